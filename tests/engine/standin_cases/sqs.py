"""Cases of the stand-in's sqs rows."""

from __future__ import annotations

import json

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World, allow


def _redrive(world: World) -> Properties:
    dead = world.make("aws:sqs/queue:Queue")
    text = json.dumps({"deadLetterTargetArn": dead["arn"], "maxReceiveCount": 5})
    return {"queueUrl": world.queue(), "redrivePolicy": text}


def _send_policy(action: str) -> str:
    return allow(action, Principal={"Service": "sns.amazonaws.com"})


CASES: dict[str, Case] = {
    "aws:sqs/queue:Queue": Case(
        lambda w: {"visibilityTimeoutSeconds": 300, "messageRetentionSeconds": 1209600, **TAGS},
        {"visibilityTimeoutSeconds": 600, "receiveWaitTimeSeconds": 20, **NEW_TAGS},
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Case(
        lambda w: {"queueUrl": w.queue(), "policy": _send_policy("sqs:SendMessage")},
        {"policy": _send_policy("sqs:*")},
    ),
    "aws:sqs/redrivePolicy:RedrivePolicy": Case(_redrive),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": Case(
        lambda w: {"queueUrl": w.queue(), "redriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})},
        {"redriveAllowPolicy": json.dumps({"redrivePermission": "allowAll"})},
    ),
}
