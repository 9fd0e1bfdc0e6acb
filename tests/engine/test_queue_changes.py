"""What becomes of a deployed queue: an upgrade from the first version, changed arguments, and a redrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_infra.automation import Environment, Queues
from tests.engine.conftest import Steps, aws, local_program

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]

#: The children as version 0.1.0 registered them.
FIRST = """
import pulumi
import pulumi_aws as aws

class WorkQueue(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("agent-infra:index:WorkQueue", name)
        opts, dead_name = pulumi.ResourceOptions(parent=self), f"{name}-dead-letters"
        dead = aws.sqs.Queue(
            dead_name, message_retention_seconds=1209600, sqs_managed_sse_enabled=True,
            tags={"Name": dead_name, "managed-by": "agent-infra"}, opts=opts,
        )
        queue = aws.sqs.Queue(
            name, visibility_timeout_seconds=360, message_retention_seconds=345600,
            receive_wait_time_seconds=20, sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5}),
            tags={"Name": name, "managed-by": "agent-infra"}, opts=opts,
        )
        aws.sqs.RedriveAllowPolicy(
            dead_name, queue_url=dead.url, opts=opts,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}
            ),
        )
        for child, target in ((name, queue), (dead_name, dead)):
            statement = {
                "Sid": "DenyPlainHttp", "Effect": "Deny", "Principal": "*", "Action": "sqs:*",
                "Resource": target.arn, "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
            policy = pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]})
            aws.sqs.QueuePolicy(child, queue_url=target.url, policy=policy, opts=opts)
        self.url, self.dead_letter_url = queue.url, dead.url

queue = WorkQueue("tasks")
"""
NOW = """
import pulumi
import pulumi_aws as aws
from agent_infra import WorkQueue

key = aws.kms.Key("key")
queue = WorkQueue("tasks", {**ARGS, "deletion_protection": False})
"""
EXPORTS = """
pulumi.export("queue_urls", {"support": queue.url})
pulumi.export("dead_letter_queue_urls", {"support": queue.dead_letter_url})
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with local_program(tmp_path, "queues") as made:
        yield made


def deploy(environment: Environment, program: str) -> set[tuple[str, str]]:
    (environment.project.root / "__main__.py").write_text(program + EXPORTS)
    steps = Steps()
    environment.up(listener=steps)
    return {(op, kind.rpartition(":")[2]) for op, kind in steps.types()}


def test_a_queue_is_upgraded_and_changed_in_place_until_its_kind_changes(environment: Environment) -> None:
    deploy(environment, FIRST)
    first = environment.outputs()
    dead = Queues.open(environment).dead_letter_urls["support"]
    aws(environment, "sqs").send_message(QueueUrl=dead, MessageBody=json.dumps({"task_id": "x"}))

    assert deploy(environment, NOW.replace("ARGS", "{}")) == {("create", "Key")}
    assert environment.outputs() == first

    args = '{"task_timeout": 900, "max_receives": 3, "kms_key_arn": key.arn, "max_message_bytes": 65536}'
    assert deploy(environment, NOW.replace("ARGS", args)) == {("update", "Queue")}
    assert environment.outputs() == first

    queues = Queues.open(environment)
    assert queues.status("support")[0].dead_letters == 1
    assert queues.redrive("support").moved == 1
    (status,) = queues.status()
    assert (status.waiting, status.dead_letters) == (1, 0)

    replaced = deploy(environment, NOW.replace("ARGS", '{"fifo": True}'))
    assert {("create-replacement", "Queue"), ("delete-replaced", "Queue")} <= replaced
    assert environment.outputs()["queue_urls"]["support"].endswith("/tasks-local.fifo")
    assert environment.up().changed == 0
    environment.destroy()
