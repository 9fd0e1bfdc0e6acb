"""The task contract: one number, the longest a task may take, and everything that follows from it.

A task is not lost when a pod is replaced: the pod is given the time to finish it, the queue does not
hand the message to another worker before then, and what replaces pods waits that long. These are pure
functions; docs/components/agent-fleet.md has them as a table, which a test compares with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Seconds between a pod's end being announced and its last new request: load balancers learn of it late.
PRE_STOP_SECONDS = 5
#: Seconds that a worker needs after a task to store its result and delete its message.
SETTLE_SECONDS = 15
#: Seconds that a process needs after its drain: it hands back what is left (10) and closes its connections.
STOP_SECONDS = 15
#: The queue hides a message this much longer than a worker may hold it.
VISIBILITY_MARGIN_SECONDS = 30
#: A worker hides what it takes for so long, again and again at a third of it: when it dies, its tasks are
#: with another one that soon, however long they may take.
HOLD_SECONDS = 60
#: A hold is renewed at a third of it: less than five seconds are lost in one slow call of SQS.
SHORTEST_HOLD_SECONDS = 15
#: A new pod's way to being ready: a node for it, its image, the database's migration, its start. It is also
#: what Kubernetes gives a rollout to make progress (`progressDeadlineSeconds`) where nobody says otherwise.
START_SECONDS = 600
#: SQS hides a message for twelve hours at most, from its first receipt
#: (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html).
SQS_LONGEST_VISIBILITY_SECONDS = 12 * 60 * 60
LONGEST_TASK_SECONDS = (
    SQS_LONGEST_VISIBILITY_SECONDS - SETTLE_SECONDS - STOP_SECONDS - VISIBILITY_MARGIN_SECONDS
)
#: What a task may take where nobody said otherwise.
DEFAULT_TASK_SECONDS = 300
#: How long a node waits for its pods: the `terminationGracePeriod` of EKS Auto Mode's own node pools.
NODE_GRACE_SECONDS = 24 * 60 * 60
#: The cluster autoscaler (`--max-graceful-termination-sec`) and eksctl's drains cut pods off after this.
DRAINERS_PATIENCE_SECONDS = 600
#: The share of pods, rounded up, that a rollout adds at once, and that a drain of nodes may take at once.
#: Rounded up it is never none, so that neither waits for ever.
SHARE = "25%"


class ContractError(ValueError):
    """Numbers contradict each other; `contradictions` says which, by how much, and the way out."""

    def __init__(self, contradictions: list[str]) -> None:
        self.contradictions = tuple(contradictions)
        super().__init__("; ".join(contradictions))


@dataclass(frozen=True)
class TaskContract:
    """The numbers, in seconds where nothing else is said."""

    task_timeout: int
    """The longest a task or a request may take; the service ends it then (`AGENT_APP_TASK_TIMEOUT`)."""
    pre_stop: int
    """Before an API pod is told to stop (`preStop`): the time for it to leave the load balancers. Nothing
    leads to a worker pod, so it is told at once."""
    drain: int
    """What is in hand may go on for so long after that (`AGENT_APP_DRAIN_SECONDS`)."""
    grace: int
    """`terminationGracePeriodSeconds`: `pre_stop`, `drain`, and the process's own end."""
    visibility: int
    """The queue's visibility timeout: longer than a worker can have a message."""
    hold: int
    """For how long a worker hides a message each time (`AGENT_APP_VISIBILITY_SECONDS`)."""
    heartbeat: int
    """How often it does so: three times within `hold`."""
    start: int
    """What a new pod may take until it is ready."""
    progress_deadline: int
    """`progressDeadlineSeconds`: a rollout that makes no progress for so long has failed."""
    rollout_timeout: int
    """How long Pulumi waits for a rollout (`pulumi.com/timeoutSeconds`)."""
    node_grace: int
    """How long a node that has to go waits for its pods, whatever they ask for."""
    protect: bool
    """Whether nodes with such pods are left alone where they need not go."""
    max_unavailable: int = 0
    """A rollout takes an old pod away only when a new one is ready."""
    max_surge: str = SHARE
    """How many new pods a rollout starts at once."""
    disrupted: str = SHARE
    """How many pods a drain of nodes may take at once (PodDisruptionBudget `maxUnavailable`)."""


def task_contract(
    task_timeout: int,
    *,
    pre_stop: int | None = None,
    drain: int | None = None,
    grace: int | None = None,
    visibility: int | None = None,
    hold: int | None = None,
    start: int | None = None,
    progress_deadline: int | None = None,
    rollout_timeout: int | None = None,
    node_grace: int | None = None,
    protect: bool | None = None,
) -> TaskContract:
    """Everything that follows from the longest a task may take, in seconds.

    What is said by name is taken as it is, and what follows from it follows.

    Raises:
        ContractError: SQS could not hide a message for that long, or what was said breaks the contract.
    """
    if not 1 <= task_timeout <= LONGEST_TASK_SECONDS:
        raise ContractError(
            [
                f"a task timeout of {task_timeout} seconds is not possible: say 1 to {LONGEST_TASK_SECONDS} "
                "(SQS hides a message for 12 hours at most), and split longer work into several tasks"
            ]
        )
    pre_stop = _or(pre_stop, PRE_STOP_SECONDS)
    drain = _or(drain, task_timeout + SETTLE_SECONDS)
    grace = _or(grace, pre_stop + drain + STOP_SECONDS)
    visibility = _or(visibility, longest_hold(task_timeout) + VISIBILITY_MARGIN_SECONDS)
    hold = _or(hold, min(HOLD_SECONDS, visibility))
    start = _or(start, START_SECONDS)
    progress_deadline = _or(progress_deadline, start + grace)
    contract = TaskContract(
        task_timeout=task_timeout,
        pre_stop=pre_stop,
        drain=drain,
        grace=grace,
        visibility=visibility,
        hold=hold,
        heartbeat=hold // 3,
        start=start,
        progress_deadline=progress_deadline,
        rollout_timeout=_or(rollout_timeout, progress_deadline + start),
        node_grace=_or(node_grace, NODE_GRACE_SECONDS),
        protect=grace > DRAINERS_PATIENCE_SECONDS if protect is None else protect,
    )
    if found := list(contradictions(contract)):
        raise ContractError(found)
    return contract


def longest_hold(task_timeout: int) -> int:
    """For how long a worker can have a message: the task, its settling, and a process's end."""
    return task_timeout + SETTLE_SECONDS + STOP_SECONDS


def contradictions(contract: TaskContract) -> Iterator[str]:
    """What breaks the contract: which number contradicts which, by how much, and what to say instead."""
    task = contract.task_timeout
    drain = task + SETTLE_SECONDS
    if contract.drain < drain:
        yield (
            f"drain {contract.drain} is {drain - contract.drain} seconds shorter than a task of task_timeout "
            f"{task} and its settling ({SETTLE_SECONDS}): say a drain of {drain} or more"
            + _or_shorter(contract.drain - SETTLE_SECONDS)
        )
    grace = contract.pre_stop + contract.drain + STOP_SECONDS
    if contract.grace < grace:
        yield (
            f"grace {contract.grace} is {grace - contract.grace} seconds shorter than pre_stop "
            f"{contract.pre_stop}, drain {contract.drain} and a process's end ({STOP_SECONDS}) together: say "
            f"a grace of {grace} or more"
            + _or_shorter(contract.grace - contract.pre_stop - SETTLE_SECONDS - STOP_SECONDS)
        )
    if contract.grace > contract.node_grace:
        yield (
            f"grace {contract.grace} is {contract.grace - contract.node_grace} seconds longer than "
            f"node_grace {contract.node_grace}, after which a node that has to go ends its pods: use node "
            f"pools with a terminationGracePeriod of {contract.grace} or more and say it as node_grace"
            + _or_shorter(contract.node_grace - contract.pre_stop - SETTLE_SECONDS - STOP_SECONDS)
        )
    yield from _queue_contradictions(contract)
    progress = contract.start + contract.grace
    if contract.progress_deadline < progress:
        yield (
            f"progress_deadline {contract.progress_deadline} is {progress - contract.progress_deadline} "
            f"seconds shorter than start {contract.start} and grace {contract.grace} together: a rollout "
            f"that waits for a task would be called failed; say a progress_deadline of {progress} or more"
        )
    if contract.rollout_timeout < contract.progress_deadline:
        yield (
            f"rollout_timeout {contract.rollout_timeout} is "
            f"{contract.progress_deadline - contract.rollout_timeout} seconds shorter than progress_deadline "
            f"{contract.progress_deadline}: `up` would fail before the rollout does; say a rollout_timeout "
            f"of {contract.progress_deadline} or more"
        )


def _queue_contradictions(contract: TaskContract) -> Iterator[str]:
    held = longest_hold(contract.task_timeout)
    if contract.visibility <= held:
        yield (
            f"visibility {contract.visibility} is not longer than a worker may have a message, {held} "
            f"seconds for task_timeout {contract.task_timeout}, its settling ({SETTLE_SECONDS}) and a "
            f"process's end ({STOP_SECONDS}): it is {held + 1 - contract.visibility} short; say a visibility "
            f"of {held + 1} or more" + _or_shorter(contract.visibility - 1 - SETTLE_SECONDS - STOP_SECONDS)
        )
    if contract.visibility > SQS_LONGEST_VISIBILITY_SECONDS:
        yield (
            f"visibility {contract.visibility} is {contract.visibility - SQS_LONGEST_VISIBILITY_SECONDS} "
            f"seconds longer than SQS hides a message: say {SQS_LONGEST_VISIBILITY_SECONDS} or less"
        )
    if contract.hold < SHORTEST_HOLD_SECONDS:
        yield (
            f"hold {contract.hold} leaves {contract.hold // 3} seconds between two heartbeats, and one slow "
            f"call of SQS would lose the message: say a hold of {SHORTEST_HOLD_SECONDS} or more, "
            f"{SHORTEST_HOLD_SECONDS - contract.hold} more"
        )
    if contract.hold > contract.visibility:
        yield (
            f"hold {contract.hold} is {contract.hold - contract.visibility} seconds longer than the queue's "
            f"visibility {contract.visibility}: say a hold of {contract.visibility} or less, or a longer "
            "visibility"
        )


def _or_shorter(seconds: int) -> str:
    """The other way out, where there is one."""
    return f", or a task_timeout of {seconds} or less" if seconds >= 1 else ""


def _or(said: int | None, derived: int) -> int:
    return derived if said is None else said
