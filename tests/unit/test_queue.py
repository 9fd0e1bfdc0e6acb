"""`WorkQueue`: a queue that fits the longest task, and its dead-letter queue."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent_infra import ArgsError, WorkQueue, WorkQueueArgs, task_contract
from agent_infra.aws import queue_names
from agent_infra.aws.queue_senders import QueueSender
from agent_infra.contract import LONGEST_TASK_SECONDS
from agent_infra.queue_contract import queue_contract
from tests.unit.components import made
from tests.unit.recording import Recorded, record

QUEUE, POLICY = "aws:sqs/queue:Queue", "aws:sqs/queuePolicy:QueuePolicy"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DAY = 24 * 60 * 60
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"


def both(recorded: Recorded) -> tuple[dict[str, Any], dict[str, Any]]:
    return recorded.one(QUEUE, "it").inputs, recorded.one(QUEUE, "it-dead-letters").inputs


def policy(recorded: Recorded, name: str = "it") -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(recorded.one(POLICY, name).inputs["policy"])["Statement"]
    return statements


def refusal(args: dict[str, Any], name: str = "it") -> str:
    with pytest.raises(ArgsError) as raised:
        record(lambda: WorkQueue(name, args) and None)
    return str(raised.value)


def test_a_task_is_hidden_for_longer_than_it_may_take_and_fails_into_the_dead_letter_queue() -> None:
    recorded = made(WorkQueue, {"task_timeout": 900, "max_receives": 3})
    queue, dead = both(recorded)
    assert queue["visibilityTimeoutSeconds"] == task_contract(900).visibility > 900
    assert dead["messageRetentionSeconds"] > queue["messageRetentionSeconds"]
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["maxReceiveCount"] == 3
    assert redrive["deadLetterTargetArn"].endswith("it-dead-letters")
    allowed = json.loads(
        recorded.one("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy").inputs["redriveAllowPolicy"]
    )
    assert allowed["redrivePermission"] == "byQueue"


def test_the_children_of_the_first_version_keep_their_names_and_nothing_that_replaces_them_is_said() -> None:
    recorded = made(WorkQueue, {})
    assert {
        (item.type.rsplit(":", 1)[-1], item.name) for item in recorded.resources if "aws:" in item.type
    } == {
        ("Queue", "it"),
        ("Queue", "it-dead-letters"),
        ("RedriveAllowPolicy", "it-dead-letters"),
        ("QueuePolicy", "it"),
        ("QueuePolicy", "it-dead-letters"),
    }
    for inputs in both(recorded):
        assert not inputs.keys() & {"name", "namePrefix", "fifoQueue"}


def test_both_queues_are_encrypted_by_sqs_where_nobody_said_a_key() -> None:
    for inputs in both(made(WorkQueue, {})):
        assert inputs["sqsManagedSseEnabled"] is True
        assert "kmsMasterKeyId" not in inputs


def test_a_key_of_ones_own_encrypts_both_queues_and_is_told_to_clients() -> None:
    args = {"kms_key_arn": KEY, "kms_data_key_reuse_seconds": 3600}
    recorded = record(lambda: WorkQueue("it", args).kms_key_arn)
    assert recorded.result == KEY
    for inputs in both(recorded):
        assert (inputs["kmsMasterKeyId"], inputs["kmsDataKeyReusePeriodSeconds"]) == (KEY, 3600)
        assert "sqsManagedSseEnabled" not in inputs


def test_without_a_key_there_is_none_to_be_allowed() -> None:
    assert record(lambda: WorkQueue("it").kms_key_arn is None).result is True


def test_a_fifo_queue_has_a_fifo_dead_letter_queue_and_both_names_end_so() -> None:
    queue, dead = both(made(WorkQueue, {"fifo": True}))
    assert (queue["name"], dead["name"]) == ("it-test.fifo", "it-test-dead-letters.fifo")
    for inputs in (queue, dead):
        assert inputs["fifoQueue"] is True
        assert inputs["contentBasedDeduplication"] is True
        assert (inputs["deduplicationScope"], inputs["fifoThroughputLimit"]) == ("queue", "perQueue")


def test_high_throughput_is_by_choice() -> None:
    for inputs in both(made(WorkQueue, {"fifo": True, "fifo_high_throughput": True})):
        assert inputs["deduplicationScope"] == "messageGroup"
        assert inputs["fifoThroughputLimit"] == "perMessageGroupId"


def test_a_queue_is_called_as_was_said() -> None:
    queue, dead = both(made(WorkQueue, {"queue_name": "orders"}))
    assert (queue["name"], dead["name"]) == ("orders", "orders-dead-letters")


def test_delay_and_size_are_what_was_said() -> None:
    queue, dead = both(made(WorkQueue, {"delay_seconds": 30, "max_message_bytes": 65_536}))
    assert (queue["delaySeconds"], queue["maxMessageSize"], dead["maxMessageSize"]) == (30, 65_536, 65_536)
    assert "delaySeconds" not in dead


def test_senders_may_send_to_the_queue_alone() -> None:
    senders = [
        {"principal_arn": "arn:aws:iam::210987654321:role/shop"},
        {"service": "sns.amazonaws.com", "source_arn": TOPIC, "source_account": "123456789012"},
    ]
    recorded = made(WorkQueue, {"senders": senders})
    _, role, topic = policy(recorded)
    assert role == {
        "Sid": "Sender1",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::210987654321:role/shop"},
        "Action": "sqs:SendMessage",
        "Resource": "arn:aws:sqs:eu-central-1:123456789012:it",
    }
    assert topic["Principal"] == {"Service": "sns.amazonaws.com"}
    assert topic["Condition"] == {
        "ArnEquals": {"aws:SourceArn": TOPIC},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert len(policy(recorded, "it-dead-letters")) == 1


def test_a_senders_arn_may_be_known_later() -> None:
    def program() -> None:
        sender = QueueSender(service="sns.amazonaws.com", source_arn=pulumi.Output.from_input(TOPIC))
        WorkQueue("it", WorkQueueArgs(senders=[sender]))

    assert policy(record(program))[1]["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}


def test_nobody_is_let_in_by_a_star() -> None:
    for name in ("it", "it-dead-letters"):
        for statement in policy(made(WorkQueue, {}), name):
            assert statement["Effect"] == "Deny" or "*" not in json.dumps(statement["Principal"])


def test_there_are_no_alarms_until_somebody_is_to_be_told() -> None:
    assert not made(WorkQueue, {}).of(ALARM)


def test_alarms_watch_the_oldest_task_and_the_dead_letters() -> None:
    recorded = made(WorkQueue, {"task_timeout": 900, "alarms": {"notify": [TOPIC]}})
    oldest = recorded.one(ALARM, "it-oldest-message").inputs
    assert oldest["metricName"] == "ApproximateAgeOfOldestMessage"
    assert oldest["dimensions"] == {"QueueName": "it"}
    assert oldest["threshold"] == 2 * task_contract(900).visibility
    dead = recorded.one(ALARM, "it-dead-letters").inputs
    assert dead["metricName"] == "ApproximateNumberOfMessagesVisible"
    assert dead["dimensions"] == {"QueueName": "it-dead-letters"}
    assert (dead["threshold"], dead["comparisonOperator"]) == (0, "GreaterThanThreshold")
    assert dead["evaluationPeriods"] == 1
    assert oldest["alarmActions"] == dead["alarmActions"] == [TOPIC]


def test_the_age_that_alarms_can_be_said() -> None:
    recorded = made(WorkQueue, {"alarms": {}, "oldest_message_alarm_seconds": 7200})
    assert recorded.one(ALARM, "it-oldest-message").inputs["threshold"] == 7200


def test_a_queue_that_would_drop_a_task_before_its_last_try_is_refused_with_the_numbers() -> None:
    said = refusal({"task_timeout": 43_140, "max_receives": 3, "retention_days": 1})
    assert "3 tries of 43200 seconds each (for task_timeout 43140) take 129600 seconds" in said
    assert "keeps messages for 1 days (86400 seconds)" in said
    assert "say retention_days of 2 or more, or max_receives of 1 or fewer, or a shorter task_timeout" in said


def test_tries_that_no_retention_can_outlast_are_refused() -> None:
    said = refusal({"task_timeout": 43_140, "max_receives": 1000})
    assert "say max_receives of 25 or fewer, or a shorter task_timeout" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"fifo_high_throughput": True}, "leave it out, or say `fifo: true`"),
        ({"queue_name": "x" * 68}, "say 1 to 67 letters, digits, dashes and underscores"),
        ({"queue_name": "x" * 63, "fifo": True}, "say 1 to 62 letters"),
        ({"queue_name": "tasks.fifo", "fifo": True}, "leave that out, it is added"),
        ({"queue_name": "a.b"}, "queue_name 'a.b' has 3 characters"),
        ({"kms_key_arn": "alias/mine"}, "not an alias"),
        ({"max_receives": 0}, "max_receives: 0 is wrong"),
        ({"retention_days": 14}, "retention_days: 14 is wrong"),
        ({"delay_seconds": 901}, "delay_seconds: 901 is wrong"),
        ({"max_message_bytes": 1_048_577}, "max_message_bytes: 1048577 is wrong"),
        ({"kms_data_key_reuse_seconds": 59}, "kms_data_key_reuse_seconds: 59 is wrong"),
        ({"senders": [{}]}, "a sender is a `principal_arn`"),
        ({"senders": [{"principal_arn": "*"}]}, "without a star"),
        ({"senders": [{"principal_arn": "arn:aws:iam::210987654321:role/*"}]}, "without a star"),
        ({"senders": [{"service": "sns.amazonaws.com"}]}, "without `source_arn` would send for anybody"),
        ({"senders": [{"service": "sns.amazonaws.com", "source_arn": "arn:aws:sns:*"}]}, "without a star"),
        (
            {"senders": [{"service": "s3.amazonaws.com", "source_arn": "arn:aws:s3:::b"}]},
            "say `source_account`",
        ),
        ({"queue": 1}, "queue: is not known"),
    ],
)
def test_wrong_arguments_are_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    message = refusal(args)
    assert message.startswith("WorkQueue 'it': ")
    assert said in message


def test_a_component_whose_queues_names_would_be_too_long_is_told_to_be_named() -> None:
    said = refusal({}, "x" * 60)
    assert "up to 59 letters, digits, dashes and underscores, or say `queue_name`" in said
    record(lambda: WorkQueue("x" * 60, {"queue_name": "short"}) and None)


@given(st.integers(1, LONGEST_TASK_SECONDS), st.integers(1, 1000), st.none() | st.integers(1, 13))
@settings(max_examples=50)
def test_a_task_outlives_all_its_tries_or_the_queue_is_refused(
    timeout: int, receives: int, days: int | None
) -> None:
    try:
        contract = queue_contract(timeout, max_receives=receives, retention_days=days)
    except ValueError as error:
        assert receives * task_contract(timeout).visibility >= (days or 13) * DAY
        said = re.search(r"max_receives of (\d+) or fewer", str(error))
        assert said
        queue_contract(timeout, max_receives=int(said[1]), retention_days=days)
        return
    assert receives * contract.visibility < contract.retention < contract.dead_letter_retention
    assert timeout < contract.visibility < contract.oldest_message


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
@settings(max_examples=50)
def test_a_fifo_queues_name_is_one_that_sqs_takes(component: str, stack: str) -> None:
    for name in queue_names.queue_names(queue_names.fifo_stem(component, stack), fifo=True):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,75}\.fifo", name)


@given(st.from_regex(r"[a-z0-9-]{1,90}", fullmatch=True), st.from_regex(r"[a-z0-9-]{1,90}", fullmatch=True))
@settings(max_examples=50)
def test_two_long_names_do_not_become_one(one: str, other: str) -> None:
    assume(one != other)
    assert queue_names.fifo_stem(one, "prod-" * 10) != queue_names.fifo_stem(other, "prod-" * 10)
