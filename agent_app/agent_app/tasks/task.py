"""A task, its life, and what keeps it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """A task's life: queued, running, then one of the last three; a retry goes back to queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True)
class Task:
    """One piece of work. `attempts` also fences: what an older attempt reports is not taken.

    `tries` are the attempts that count against the most that it may have: not those that were handed back
    or postponed, nor those before it was begun anew.
    """

    id: uuid.UUID
    owner: str
    agent: str
    input: Any
    status: Status
    attempts: int
    tries: int
    created_at: datetime
    updated_at: datetime
    result: Any = None
    #: The key in the bucket of a result that is too long for the database.
    artifact: str | None = None
    error: str | None = None
    idempotency_key: str | None = None
    sent_at: datetime | None = None
    lease_until: datetime | None = None
    #: By the store's own clock; told by `get` alone.
    lease_seconds: float | None = None
    cancel_requested: bool = False


@dataclass(frozen=True)
class Ending:
    """How an attempt ended; `status` is queued where it is to be tried again."""

    status: Status
    result: Any = None
    artifact: str | None = None
    error: str | None = None
    #: Whether it was one of the tries that the task may have.
    counts: bool = True


#: What a queue has delivered by now: the newest message's time of sending by the queue's clock, or all there
#: was until so long ago.
Reached = datetime | timedelta


class LeaseLost(Exception):
    """Somebody else holds the task by now: what this attempt does no longer counts."""


class TaskStore(Protocol):
    """Keeps tasks."""

    async def create(self, owner: str, agent: str, input: Any, key: str | None) -> tuple[Task, bool]:
        """A new task, or the one of this owner that has this idempotency key; and whether it is new."""

    async def get(self, id: uuid.UUID) -> Task | None:
        """The task as it is now."""

    async def newest(
        self, owner: str, limit: int, *, agent: str | None = None, status: Status | None = None
    ) -> Sequence[Task]:
        """The owner's tasks, the newest first."""

    async def sent(self, id: uuid.UUID) -> bool:
        """Notes that its message is in the queue; False if there is no such task any more."""

    async def unsent(self, agents: Collection[str], seconds: float, limit: int) -> Sequence[Task]:
        """Queued tasks whose message was not sent within `seconds`: who took them died in between.

        They count as sent from now on; so do those of `stranded`.
        """

    async def stranded(
        self, agents: Collection[str], reached: Reached, seconds: float, limit: int
    ) -> Sequence[Task]:
        """Tasks that nobody runs and whose message is lost.

        It was sent, hidden or held `seconds` before what the queue has `reached`, and was not delivered.
        """

    async def withdraw(self, id: uuid.UUID) -> None:
        """Forgets a task whose message never got into the queue, unless somebody else has sent it."""

    async def cancel(self, id: uuid.UUID) -> Task | None:
        """Ends a queued task, and asks for the end of a running one; None if there is no such task."""

    async def cancelled(self, ids: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
        """Which of these running tasks somebody wants to end."""

    async def claim(self, id: uuid.UUID, lease: float, *, sent: datetime | None = None) -> Task | None:
        """Makes it running for `lease` seconds; None if it has ended or somebody else is running it.

        One that has failed is begun anew if its message was `sent` after that: a person wants it done.
        """

    async def extend(self, task: Task, lease: float) -> bool:
        """Lengthens the lease; False if this attempt no longer holds it."""

    async def finish(self, task: Task, ending: Ending) -> bool:
        """Ends this attempt. False if it no longer holds the lease: then nothing is changed."""

    async def check(self) -> None:
        """Raises if the store does not answer."""

    async def step(self, task: Task, name: str) -> tuple[bool, Any]:
        """Whether an attempt of the task has done this step, and its result."""

    async def keep_step(self, task: Task, name: str, result: Any) -> Any:
        """Keeps a step's result, unless there is one; the one that is kept.

        Raises:
            LeaseLost: this attempt no longer holds the lease.
        """
