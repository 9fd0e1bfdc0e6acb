"""`WorkQueue`: a queue that fits the longest task, and its dead-letter queue."""

from __future__ import annotations

import json

from agent_infra import (
    WorkQueue,
    task_contract,
)
from tests.unit.components import made


def test_a_task_is_hidden_for_longer_than_it_may_take_and_fails_into_the_dead_letter_queue() -> None:
    recorded = made(WorkQueue, {"task_timeout": 900, "max_receives": 3})
    queue = recorded.one("aws:sqs/queue:Queue", "it").inputs
    assert queue["visibilityTimeoutSeconds"] == task_contract(900).visibility > 900
    dead = recorded.one("aws:sqs/queue:Queue", "it-dead-letters").inputs
    assert dead["messageRetentionSeconds"] > queue["messageRetentionSeconds"]
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["maxReceiveCount"] == 3
    assert redrive["deadLetterTargetArn"].endswith("it-dead-letters")
    allowed = json.loads(
        recorded.one("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy").inputs["redriveAllowPolicy"]
    )
    assert allowed["redrivePermission"] == "byQueue"
