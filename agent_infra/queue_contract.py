"""What the longest task asks of its queue; its visibility timeout is the task contract's."""

from __future__ import annotations

from dataclasses import dataclass

from agent_infra.contract import task_contract

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
    task_timeout: int,
    *,
    max_receives: int,
    retention_days: int | None = None,
    visibility: int | None = None,
) -> QueueContract:
    """What the longest task, in seconds, asks of its queue.

    Where `retention_days` is not said it is four days, or twice what all the tries of the longest
    task take, in whole days; thirteen at most.

    Raises:
        ContractError: a visibility that is said breaks the task contract.
        ValueError: SQS would drop a message before its last try.
    """
    visibility = task_contract(task_timeout, visibility=visibility).visibility
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
