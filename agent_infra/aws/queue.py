"""`WorkQueue`: tasks that wait for a worker, and those that no worker could do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import pulumi
import pulumi_aws as aws
from pydantic import Field, model_validator

from agent_infra.aws import policies, queue_names, queue_senders
from agent_infra.aws.alarms import Alarms, Watch, watch
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.queue_senders import QueueSender
from agent_infra.component import Args, ArgsError, Component, MaybeOutput, Problem
from agent_infra.contract import (
    DEFAULT_TASK_SECONDS,
    LONGEST_TASK_SECONDS,
    SQS_LONGEST_VISIBILITY_SECONDS,
)
from agent_infra.queue_contract import LONGEST_RETENTION_DAYS, QueueContract, queue_contract


class WorkQueueOptions(Args):
    """What an environment may say about a queue. All but `fifo` and `queue_name` changes in place."""

    max_receives: int = Field(default=5, ge=1, le=1000)
    """How often a task is tried before it goes to the dead-letter queue."""
    retention_days: int | None = Field(default=None, ge=1, le=LONGEST_RETENTION_DAYS)
    """How long a task waits for a worker before SQS drops it; it must outlast all tries. Four days, or
    longer where the longest task's tries take longer, where it is not said."""
    delay_seconds: int = Field(default=0, ge=0, le=900)
    """How long a new task is held back before a worker sees it."""
    max_message_bytes: int = Field(default=262_144, ge=1024, le=1_048_576)
    """The largest message; SQS takes up to 1 MiB and charges each 64 KiB as one request."""
    kms_data_key_reuse_seconds: int = Field(default=300, ge=60, le=86_400)
    """With a KMS key: how long SQS uses one data key. Longer costs fewer calls to KMS, and a revoked
    key works for that much longer."""
    fifo: bool = False
    """Whether tasks of one group are done in their order and a task sent twice within five minutes is
    taken once. Costs a quarter more a request, and throughput. **Changing it replaces both queues**:
    what waits in the old ones is lost, so let the workers empty them first."""
    fifo_high_throughput: bool = False
    """With `fifo`: duplicates are known within each group alone, and thousands of requests a second are
    taken instead of 300. The price is the same."""
    content_deduplication: bool = True
    """With `fifo`: a message without a deduplication id of its own is known by its content."""
    queue_name: str | None = None
    """The queue's name in AWS, without `.fifo`; the dead-letter queue's ends in `-dead-letters`. Where it
    is not said Pulumi makes one up, and a FIFO queue is called by the component and the stack.
    **Changing it replaces both queues.**"""
    oldest_message_alarm_seconds: int | None = Field(default=None, ge=60)
    """The oldest task's age that raises an alarm: twice the longest task's, where it is not said."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.fifo_high_throughput and not self.fifo:
            raise ValueError(
                "fifo_high_throughput is about FIFO queues; a standard queue has no such limit: "
                "leave it out, or say `fifo: true`"
            )
        if self.queue_name is not None:
            queue_names.check_stem(self.queue_name, fifo=self.fifo)
        return self


class WorkQueueArgs(WorkQueueOptions):
    """The arguments of `WorkQueue`."""

    task_timeout: int = Field(default=DEFAULT_TASK_SECONDS, ge=1, le=LONGEST_TASK_SECONDS)
    """The longest a task may take, in seconds; a task is hidden from other workers for longer than that."""
    visibility: int | None = Field(default=None, ge=1, le=SQS_LONGEST_VISIBILITY_SECONDS)
    """The visibility timeout, in seconds, in place of the one that follows from `task_timeout`; longer than
    a worker may have a message."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A KMS key of one's own (about 1 USD a month and its calls) in place of SQS' own, which is free.
    Changes in place; whoever sends or receives then needs the key too."""
    senders: Sequence[QueueSender] = ()
    """Who may send from outside this account; inside it a role's own policy is enough."""
    alarms: Alarms | None = None
    """Whom to tell of tasks that wait too long and of dead letters; None makes no alarms."""
    deletion_protection: bool = True
    """Whether Pulumi refuses to delete the queues with what waits in them."""
    tags: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _outlasts_its_tries(self) -> Self:
        self.contract()
        return self

    def contract(self) -> QueueContract:
        """The queue's numbers."""
        return queue_contract(
            self.task_timeout,
            max_receives=self.max_receives,
            retention_days=self.retention_days,
            visibility=self.visibility,
        )


class WorkQueue(Component):
    """An SQS queue with its dead-letter queue, encrypted by SQS, spoken to over TLS alone.

    What follows from the longest task is derived: the visibility timeout, how long messages are kept
    and when the alarm on their age is raised. Idle it costs nothing; SQS charges for requests.

    Raises:
        ArgsError: an argument is wrong, or SQS would drop a task before its last try.
    """

    url: pulumi.Output[str]
    arn: pulumi.Output[str]
    queue_name: pulumi.Output[str]
    """The queue's name in AWS, by which CloudWatch knows it."""
    dead_letter_url: pulumi.Output[str]
    dead_letter_arn: pulumi.Output[str]
    kms_key_arn: pulumi.Output[str] | None
    """The key that its clients must be allowed to use; None where SQS encrypts with its own."""

    def __init__(
        self,
        name: str,
        args: WorkQueueArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = WorkQueueArgs.parse(args or {}, owner=f"WorkQueue {name!r}")
        names = _names(name, args)
        super().__init__("WorkQueue", name, opts, tags=args.tags)
        contract = args.contract()
        common = _common(args)
        dead_name = f"{name}-dead-letters"
        dead = aws.sqs.Queue(
            dead_name,
            name=names[1],
            message_retention_seconds=contract.dead_letter_retention,
            tags=self._tags(dead_name),
            opts=self._opts(protect=args.deletion_protection),
            **common,
        )
        queue = aws.sqs.Queue(
            name,
            name=names[0],
            visibility_timeout_seconds=contract.visibility,
            message_retention_seconds=contract.retention,
            delay_seconds=args.delay_seconds,
            # Long polling: a worker waits for a task instead of asking, and paying, again and again.
            receive_wait_time_seconds=20,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead.arn, "maxReceiveCount": args.max_receives}
            ),
            tags=self._tags(name),
            opts=self._opts(protect=args.deletion_protection),
            **common,
        )
        aws.sqs.RedriveAllowPolicy(
            dead_name,
            queue_url=dead.url,
            redrive_allow_policy=pulumi.Output.json_dumps(
                {"redrivePermission": "byQueue", "sourceQueueArns": [queue.arn]}
            ),
            opts=self._opts(),
        )
        senders = [
            queue_senders.statement(sender, queue.arn, number=number)
            for number, sender in enumerate(args.senders, start=1)
        ]
        for child, target in ((name, queue), (dead_name, dead)):
            allowed = senders if target is queue else ()
            aws.sqs.QueuePolicy(
                child,
                queue_url=target.url,
                policy=policies.document(policies.deny_plain_http("sqs:*", target.arn), *allowed),
                opts=self._opts(),
            )
        self._watch(args, contract, queue, dead)

        self.url = queue.url
        self.arn = queue.arn
        self.queue_name = queue.name
        self.dead_letter_url = dead.url
        self.dead_letter_arn = dead.arn
        self.kms_key_arn = None if args.kms_key_arn is None else pulumi.Output.from_input(args.kms_key_arn)
        self.register_outputs(
            {
                "url": self.url,
                "arn": self.arn,
                "queueName": self.queue_name,
                "deadLetterUrl": self.dead_letter_url,
                "deadLetterArn": self.dead_letter_arn,
                "kmsKeyArn": self.kms_key_arn,
            }
        )

    def _watch(
        self, args: WorkQueueArgs, contract: QueueContract, queue: aws.sqs.Queue, dead: aws.sqs.Queue
    ) -> None:
        late = args.oldest_message_alarm_seconds or contract.oldest_message
        watch(
            self,
            [
                Watch(
                    "oldest-message",
                    "ApproximateAgeOfOldestMessage",
                    late,
                    f"The oldest task of {self._name} has waited or been worked on for over {late} seconds. "
                    "Look whether its workers run and scale, then at their logs.",
                )
            ],
            alarms=args.alarms,
            namespace="AWS/SQS",
            dimensions={"QueueName": queue.name},
        )
        watch(
            self,
            [
                Watch(
                    # NumberOfMessagesSent does not count what SQS itself moves; what lies there does.
                    "dead-letters",
                    "ApproximateNumberOfMessagesVisible",
                    0,
                    f"Tasks of {self._name} failed {args.max_receives} times and wait as dead letters. "
                    "`agent-infra queue peek` shows them; mend the cause, then `agent-infra queue redrive`.",
                    periods=1,
                )
            ],
            alarms=args.alarms,
            namespace="AWS/SQS",
            dimensions={"QueueName": dead.name},
        )


def _names(component: str, args: WorkQueueArgs) -> tuple[str | None, str | None]:
    """The queues' names in AWS; None where Pulumi makes them up."""
    if args.queue_name is not None:
        return queue_names.queue_names(args.queue_name, fifo=args.fifo)
    if args.fifo:
        return queue_names.queue_names(queue_names.fifo_stem(component, pulumi.get_stack()), fifo=True)
    try:
        queue_names.check_component(component)
    except ValueError as error:
        raise ArgsError(f"WorkQueue {component!r}", [Problem("", str(error))]) from None
    return None, None


def _common(args: WorkQueueArgs) -> dict[str, Any]:
    """What both queues say: a dead-letter queue is of its queue's kind, and as well encrypted."""
    encrypted: dict[str, Any] = {"sqs_managed_sse_enabled": True}
    if args.kms_key_arn is not None:
        encrypted = {
            "kms_master_key_id": args.kms_key_arn,
            "kms_data_key_reuse_period_seconds": args.kms_data_key_reuse_seconds,
        }
    ordered: dict[str, Any] = {}
    if args.fifo:
        fast = args.fifo_high_throughput
        ordered = {
            "fifo_queue": True,
            "content_based_deduplication": args.content_deduplication,
            "deduplication_scope": "messageGroup" if fast else "queue",
            "fifo_throughput_limit": "perMessageGroupId" if fast else "perQueue",
        }
    return {"max_message_size": args.max_message_bytes, **encrypted, **ordered}
