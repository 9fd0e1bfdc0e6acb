"""The task contract: one number, the longest a task may take, and everything that follows from it.

A task is not lost when a pod is replaced: the pod is given the time to finish it, and the queue
does not hand the message to another worker before then. These are pure functions; the worker in
the pod reads the same number from `AGENT_APP_TASK_TIMEOUT`.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds between a pod's end being announced and its last new request: load balancers learn of it late.
DRAIN_SECONDS = 5
#: Seconds that a worker needs after a task to store its result and delete its message.
SETTLE_SECONDS = 30
#: The queue hides a message this much longer than the task and its settling may take.
VISIBILITY_MARGIN_SECONDS = 30
#: SQS hides a message for twelve hours at most, from its first receipt
#: (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html).
SQS_LONGEST_VISIBILITY_SECONDS = 12 * 60 * 60
LONGEST_TASK_SECONDS = SQS_LONGEST_VISIBILITY_SECONDS - SETTLE_SECONDS - VISIBILITY_MARGIN_SECONDS
#: What a task may take where nobody said otherwise.
DEFAULT_TASK_SECONDS = 300


@dataclass(frozen=True)
class TaskContract:
    """The numbers, all in seconds."""

    task_timeout: int
    """The longest a task may take; the worker ends it then."""
    drain: int
    """Before a pod is told to stop: the time for it to leave the load balancers."""
    grace: int
    """`terminationGracePeriodSeconds`: draining, the longest task and its settling."""
    visibility: int
    """The queue's visibility timeout: longer than a worker can hold a message."""
    heartbeat: int
    """How often a worker renews its hold on the message; three fit into a visibility timeout."""


def task_contract(task_timeout: int) -> TaskContract:
    """Everything that follows from the longest a task may take, in seconds.

    Raises:
        ValueError: SQS could not hide a message for that long.
    """
    if not 1 <= task_timeout <= LONGEST_TASK_SECONDS:
        raise ValueError(
            f"a task timeout of {task_timeout} seconds is not possible: say 1 to {LONGEST_TASK_SECONDS} "
            "(SQS hides a message for 12 hours at most), and split longer work into several tasks"
        )
    visibility = task_timeout + SETTLE_SECONDS + VISIBILITY_MARGIN_SECONDS
    return TaskContract(
        task_timeout=task_timeout,
        drain=DRAIN_SECONDS,
        grace=DRAIN_SECONDS + task_timeout + SETTLE_SECONDS,
        visibility=visibility,
        heartbeat=visibility // 3,
    )


_DAY_SECONDS = 24 * 60 * 60
#: SQS keeps a message for fourteen days at most
#: (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html).
SQS_LONGEST_RETENTION_DAYS = 14
#: A standard queue's message keeps its age when it becomes a dead letter: a day is left to look at it.
LONGEST_RETENTION_DAYS = SQS_LONGEST_RETENTION_DAYS - 1
#: How long a task waits at least where nobody said otherwise: over a long weekend.
DEFAULT_RETENTION_DAYS = 4


@dataclass(frozen=True)
class QueueContract:
    """A queue's numbers, all in seconds."""

    visibility: int
    """For how long a received message is hidden from other workers."""
    retention: int
    """How long a task waits for a worker before SQS drops it: longer than all its tries take."""
    dead_letter_retention: int
    """The longest that SQS keeps a message, so that there is time to look at a failed task."""
    oldest_message: int
    """The age at which the oldest task is late: two of the longest would have been done by then."""


def queue_contract(
    task_timeout: int, *, max_receives: int, retention_days: int | None = None
) -> QueueContract:
    """What the longest task, in seconds, asks of its queue.

    Where `retention_days` is not said it is four days, or twice what all the tries of the longest
    task take, in whole days; thirteen at most.

    Raises:
        ValueError: SQS would drop a message before its last try.
    """
    visibility = task_contract(task_timeout).visibility
    tries = max_receives * visibility
    wanted = max(DEFAULT_RETENTION_DAYS, -(-2 * tries // _DAY_SECONDS))
    days = min(wanted, LONGEST_RETENTION_DAYS) if retention_days is None else retention_days
    if days * _DAY_SECONDS <= tries:
        longest = days if retention_days is not None else LONGEST_RETENTION_DAYS
        fitting = (longest * _DAY_SECONDS - 1) // visibility
        more = (
            f"retention_days of {tries // _DAY_SECONDS + 1} or more, or "
            if tries < LONGEST_RETENTION_DAYS * _DAY_SECONDS
            else ""
        )
        fewer = f"max_receives of {fitting} or fewer, or " if fitting else ""
        raise ValueError(
            f"{max_receives} tries of {visibility} seconds each (for task_timeout {task_timeout}) take "
            f"{tries} seconds, and a queue that keeps messages for {days} days "
            f"({days * _DAY_SECONDS} seconds) would drop a task before its last try: say {more}{fewer}"
            "a shorter task_timeout"
        )
    return QueueContract(
        visibility=visibility,
        retention=days * _DAY_SECONDS,
        dead_letter_retention=SQS_LONGEST_RETENTION_DAYS * _DAY_SECONDS,
        oldest_message=2 * visibility,
    )
