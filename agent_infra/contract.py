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
