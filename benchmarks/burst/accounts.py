"""What was measured of one arm, out of what happened to each task. All times are seconds of production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.burst.trace import Burst, Shape
from benchmarks.results import percentile


@dataclass
class Task:
    """One task's life; several starts where a worker did not end it."""

    sent: float
    starts: list[float] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    """When a pod's end cut it off: its grace period was over and the task was not."""
    done: float | None = None

    def waited(self, horizon: float) -> float:
        """From its sending to its first start; one that was never started waited to the end."""
        return (self.starts[0] if self.starts else horizon) - self.sent


@dataclass(frozen=True)
class Sample:
    """One moment of an arm."""

    at: float
    paid: int
    """Pods that hold their place on a node: those that start, and those that end, are paid as well."""
    ready: int
    waiting: int
    """Tasks that no worker has in hand."""
    in_hand: int


@dataclass(frozen=True)
class Refusal:
    """A 429: how many tasks at once the running pods would have taken just then."""

    at: float
    slots: int


@dataclass
class Record:
    """Everything that happened to one arm."""

    tasks: list[Task] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    calls: int = 0
    paid_seconds: float = 0


@dataclass(frozen=True)
class Figures:
    """What is compared."""

    tasks: int
    waiting_p50: float
    waiting_p99: float
    drain_seconds: float
    """The longest time from a burst's last task until nothing waits."""
    replica_minutes: float
    most_replicas: int
    cut_off: int
    """Tasks that a pod's end cut off in the middle."""
    late: int
    """Of those: not done within `task_timeout` of their first start, so that who asked has given up."""
    redone: int
    """Tasks whose work was begun more than once, and paid more than once."""
    not_done: int
    """Tasks that were not done at the end of the measurement, whatever the reason."""
    calls: int
    refused: int
    refused_by_scaling: int
    """Those 429s that came while the running pods took more tasks at once than the limit sustains."""

    @property
    def lost(self) -> int:
        """Tasks lost on the way down."""
        return self.late

    def as_json(self) -> dict[str, Any]:
        return {name: round(value, 1) for name, value in asdict(self).items()}


def figures(record: Record, shape: Shape, *, task_timeout: float, sustained: float) -> Figures:
    """Sums an arm up.

    Args:
        record: what happened.
        shape: the trace's.
        task_timeout: the longest a task may take.
        sustained: how many tasks at once the vendor's limit keeps going.
    """
    waited = sorted(task.waited(shape.horizon) for task in record.tasks)
    cut = [task for task in record.tasks if task.cuts]
    return Figures(
        tasks=len(record.tasks),
        waiting_p50=percentile(waited, 0.5),
        waiting_p99=percentile(waited, 0.99),
        drain_seconds=max((_drain(record.samples, burst, shape) for burst in shape.bursts), default=0.0),
        replica_minutes=record.paid_seconds / 60,
        most_replicas=max((sample.paid for sample in record.samples), default=0),
        cut_off=len(cut),
        late=sum(task.done is None or task.done > task.starts[0] + task_timeout for task in cut),
        redone=sum(len(task.starts) > 1 for task in record.tasks),
        not_done=sum(task.done is None for task in record.tasks),
        calls=record.calls,
        refused=len(record.refusals),
        refused_by_scaling=sum(refusal.slots > sustained for refusal in record.refusals),
    )


def _drain(samples: Sequence[Sample], burst: Burst, shape: Shape) -> float:
    """How long tasks waited after a burst; to the end where they still did."""
    ended = (sample.at for sample in samples if sample.at >= burst.end and not sample.waiting)
    return next(ended, shape.horizon) - burst.end


def verdicts(arms: dict[str, Figures]) -> dict[str, tuple[str, bool]]:
    """What is to be reached, what was found, and whether it was."""
    seed, keda, fleet = arms["seed"], arms["keda"], arms["fleet"]
    ratio = fleet.waiting_p99 / seed.waiting_p99 if seed.waiting_p99 else float("inf")
    paid = fleet.replica_minutes / keda.replica_minutes if keda.replica_minutes else float("inf")
    return {
        "p99 waiting, at most 0.33 of the seed's": (f"{ratio:.2f}", ratio <= 1 / 3),
        "replica-minutes, at most KEDA's": (f"{paid:.2f}", paid <= 1),
        "no task lost, none cut off": (f"{fleet.lost}, {fleet.cut_off}", fleet.lost + fleet.cut_off == 0),
        "no 429 by scaling": (str(fleet.refused_by_scaling), fleet.refused_by_scaling == 0),
    }
