"""`WorkQueue`: tasks that wait for a worker, and those that no worker could do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
from pydantic import Field

from agent_infra.aws import policies
from agent_infra.component import Args, Component
from agent_infra.contract import DEFAULT_TASK_SECONDS, LONGEST_TASK_SECONDS, task_contract

_DAY_SECONDS = 24 * 60 * 60
#: The longest that SQS keeps a message, so that there is time to look at a failed task.
_DEAD_LETTER_DAYS = 14


class WorkQueueOptions(Args):
    """What an environment may say about a queue."""

    max_receives: int = Field(default=5, ge=1, le=1000)
    """How often a task is tried before it goes to the dead-letter queue."""
    retention_days: int = Field(default=4, ge=1, le=14)
    """How long a task waits for a worker before SQS drops it."""


class WorkQueueArgs(WorkQueueOptions):
    """The arguments of `WorkQueue`."""

    task_timeout: int = Field(default=DEFAULT_TASK_SECONDS, ge=1, le=LONGEST_TASK_SECONDS)
    """The longest a task may take, in seconds; a task is hidden from other workers for longer than that."""
    tags: Mapping[str, str] = {}


class WorkQueue(Component):
    """An SQS queue with its dead-letter queue, encrypted by SQS, spoken to over TLS alone.

    Raises:
        ArgsError: an argument is wrong.
    """

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    dead_letter_url: pulumi.Output[str]
    dead_letter_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: WorkQueueArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = WorkQueueArgs.parse(args or {}, owner=f"WorkQueue {name!r}")
        super().__init__("WorkQueue", name, opts, tags=args.tags)
        dead_name = f"{name}-dead-letters"
        dead = aws.sqs.Queue(
            dead_name,
            message_retention_seconds=_DEAD_LETTER_DAYS * _DAY_SECONDS,
            sqs_managed_sse_enabled=True,
            tags=self._tags(dead_name),
            opts=self._opts(),
        )
        queue = aws.sqs.Queue(
            name,
            visibility_timeout_seconds=task_contract(args.task_timeout).visibility,
            message_retention_seconds=args.retention_days * _DAY_SECONDS,
            # Long polling: a worker waits for a task instead of asking, and paying, again and again.
            receive_wait_time_seconds=20,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead.arn, "maxReceiveCount": args.max_receives}
            ),
            tags=self._tags(name),
            opts=self._opts(),
        )
        aws.sqs.RedriveAllowPolicy(
            dead_name,
            queue_url=dead.url,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}
            ),
            opts=self._opts(),
        )
        for child, target in ((name, queue), (dead_name, dead)):
            aws.sqs.QueuePolicy(
                child,
                queue_url=target.url,
                policy=policies.document(policies.deny_plain_http("sqs:*", target.arn)),
                opts=self._opts(),
            )

        self.url = queue.url
        self.arn = queue.arn
        self.dead_letter_url = dead.url
        self.dead_letter_arn = dead.arn
        self.register_outputs(
            {
                "url": self.url,
                "arn": self.arn,
                "deadLetterUrl": self.dead_letter_url,
                "deadLetterArn": self.dead_letter_arn,
            }
        )
