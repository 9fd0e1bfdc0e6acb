"""A task, its life, and what keeps it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    """One piece of work. `attempts` also fences: what an older attempt reports is not taken."""

    id: uuid.UUID
    owner: str
    agent: str
    input: Any
    status: Status
    attempts: int
    created_at: datetime
    updated_at: datetime
    result: Any = None
    #: The key in the bucket of a result that is too long for the database.
    artifact: str | None = None
    error: str | None = None
    idempotency_key: str | None = None
    sent_at: datetime | None = None
    lease_until: datetime | None = None
    cancel_requested: bool = False


@dataclass(frozen=True)
class Ending:
    """How an attempt ended; `status` is queued where it is to be tried again."""

    status: Status
    result: Any = None
    artifact: str | None = None
    error: str | None = None


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

    async def sent(self, id: uuid.UUID) -> None:
        """Notes that its message is in the queue."""

    async def unsent(self, seconds: float, limit: int) -> Sequence[Task]:
        """Queued tasks whose message was not sent within `seconds`: who took them died in between."""

    async def withdraw(self, id: uuid.UUID) -> None:
        """Forgets a task whose message never got into the queue."""

    async def cancel(self, id: uuid.UUID) -> Task | None:
        """Ends a queued task, and asks for the end of a running one; None if there is no such task."""

    async def cancelled(self, ids: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
        """Which of these running tasks somebody wants to end."""

    async def claim(self, id: uuid.UUID, lease: float, *, failed: bool = False) -> Task | None:
        """Makes it running for `lease` seconds; None if it has ended or somebody else is running it.

        With `failed` one that has ended failed is begun anew.
        """

    async def extend(self, task: Task, lease: float) -> bool:
        """Lengthens the lease; False if this attempt no longer holds it."""

    async def finish(self, task: Task, ending: Ending) -> bool:
        """Ends this attempt. False if it no longer holds the lease: then nothing is changed."""

    async def step(self, task: Task, name: str) -> tuple[bool, Any]:
        """Whether an attempt of the task has done this step, and its result."""

    async def keep_step(self, task: Task, name: str, result: Any) -> Any:
        """Keeps a step's result, unless there is one; the one that is kept.

        Raises:
            LeaseLost: this attempt no longer holds the lease.
        """
