"""Tasks and where their state is kept; Postgres is the judge of who may run one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.state.tables import tasks


class Status(StrEnum):
    """A task's life: queued, running, then one of the last two; a retry goes back to queued."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


ENDED = frozenset({Status.SUCCEEDED, Status.FAILED})


@dataclass(frozen=True)
class Task:
    """One piece of work. `attempts` also fences: what an older attempt reports is not taken."""

    id: uuid.UUID
    kind: str
    input: Any
    status: Status
    attempts: int
    created_at: datetime
    updated_at: datetime
    result: Any = None
    error: str | None = None
    idempotency_key: str | None = None
    sent_at: datetime | None = None
    lease_until: datetime | None = None


class TaskStore(Protocol):
    """Keeps tasks."""

    async def create(self, kind: str, input: Any, key: str | None) -> tuple[Task, bool]:
        """A new task, or the one that has this idempotency key; and whether it is new."""

    async def get(self, id: uuid.UUID) -> Task | None:
        """The task as it is now."""

    async def sent(self, id: uuid.UUID) -> None:
        """Notes that its message is in the queue."""

    async def withdraw(self, id: uuid.UUID) -> None:
        """Forgets a task whose message never got into the queue."""

    async def claim(self, id: uuid.UUID, lease: float, *, failed: bool = False) -> Task | None:
        """Makes it running for `lease` seconds; None if it has ended or somebody else is running it.

        With `failed` one that has ended failed is begun anew.
        """

    async def extend(self, task: Task, lease: float) -> bool:
        """Lengthens the lease; False if this attempt no longer holds it."""

    async def finish(
        self, task: Task, *, result: Any = None, error: str | None = None, retry: bool = False
    ) -> bool:
        """Ends this attempt: succeeded, failed (`error`), or back to queued (`retry`).

        False if this attempt no longer holds the lease: then nothing is changed.
        """


class MemoryTaskStore:
    """Tasks in this process alone; the oldest that have ended are forgotten beyond `keep`."""

    def __init__(self, keep: int = 10_000) -> None:
        self._keep = keep
        self._tasks: dict[uuid.UUID, Task] = {}
        self._keys: dict[str, uuid.UUID] = {}

    async def create(self, kind: str, input: Any, key: str | None) -> tuple[Task, bool]:
        if key is not None and key in self._keys:
            return self._tasks[self._keys[key]], False
        now = datetime.now(UTC)
        task = Task(uuid.uuid4(), kind, input, Status.QUEUED, 0, now, now, idempotency_key=key)
        self._tasks[task.id] = task
        if key is not None:
            self._keys[key] = task.id
        if len(self._tasks) > self._keep:
            oldest = next((item for item in self._tasks.values() if item.status in ENDED), None)
            if oldest is not None:
                await self.withdraw(oldest.id)
        return task, True

    async def get(self, id: uuid.UUID) -> Task | None:
        return self._tasks.get(id)

    async def sent(self, id: uuid.UUID) -> None:
        self._tasks[id] = replace(self._tasks[id], sent_at=datetime.now(UTC))

    async def withdraw(self, id: uuid.UUID) -> None:
        task = self._tasks.pop(id, None)
        if task is not None and task.idempotency_key is not None:
            self._keys.pop(task.idempotency_key, None)

    async def claim(self, id: uuid.UUID, lease: float, *, failed: bool = False) -> Task | None:
        task, now = self._tasks.get(id), datetime.now(UTC)
        if task is None or (task.status in ENDED and not (failed and task.status is Status.FAILED)):
            return None
        if task.status is Status.RUNNING and task.lease_until is not None and task.lease_until > now:
            return None
        self._tasks[id] = replace(
            task,
            status=Status.RUNNING,
            attempts=task.attempts + 1,
            lease_until=now + timedelta(seconds=lease),
            updated_at=now,
        )
        return self._tasks[id]

    async def extend(self, task: Task, lease: float) -> bool:
        return self._change(task, lease_until=datetime.now(UTC) + timedelta(seconds=lease))

    async def finish(
        self, task: Task, *, result: Any = None, error: str | None = None, retry: bool = False
    ) -> bool:
        status = _status(error=error, retry=retry)
        return self._change(task, status=status, result=result, error=error, lease_until=None)

    def _change(self, task: Task, **values: Any) -> bool:
        held = self._tasks.get(task.id)
        if held is None or held.status is not Status.RUNNING or held.attempts != task.attempts:
            return False
        self._tasks[task.id] = replace(held, updated_at=datetime.now(UTC), **values)
        return True


class PostgresTaskStore:
    """Tasks for good. Every change is one statement, so that a crash leaves the old state or the new one."""

    def __init__(self, engine: AsyncEngine, fleet: str) -> None:
        self._engine = engine
        self._fleet = fleet

    async def create(self, kind: str, input: Any, key: str | None) -> tuple[Task, bool]:
        values = {
            "id": uuid.uuid4(),
            "fleet": self._fleet,
            "kind": kind,
            "input": input,
            "status": Status.QUEUED,
        }
        new = upsert(tasks).values(**values, idempotency_key=key)
        new = new.on_conflict_do_nothing(index_elements=["fleet", "idempotency_key"])
        async with self._engine.begin() as connection:
            row = (await connection.execute(new.returning(tasks))).one_or_none()
            if row is not None:
                return _task(row), True
        # A statement of its own: what another transaction has just committed is seen.
        async with self._engine.connect() as connection:
            held = select(tasks).where(tasks.c.fleet == self._fleet, tasks.c.idempotency_key == key)
            return _task((await connection.execute(held)).one()), False

    async def get(self, id: uuid.UUID) -> Task | None:
        async with self._engine.connect() as connection:
            ours = select(tasks).where(tasks.c.fleet == self._fleet, tasks.c.id == id)
            row = (await connection.execute(ours)).one_or_none()
        return None if row is None else _task(row)

    async def sent(self, id: uuid.UUID) -> None:
        await self._update(tasks.c.id == id, sent_at=func.now())

    async def withdraw(self, id: uuid.UUID) -> None:
        async with self._engine.begin() as connection:
            unclaimed = and_(tasks.c.id == id, tasks.c.status == Status.QUEUED, tasks.c.attempts == 0)
            await connection.execute(delete(tasks).where(unclaimed))

    async def claim(self, id: uuid.UUID, lease: float, *, failed: bool = False) -> Task | None:
        waiting = [Status.QUEUED, Status.FAILED] if failed else [Status.QUEUED]
        free = or_(
            tasks.c.status.in_(waiting),
            and_(tasks.c.status == Status.RUNNING, tasks.c.lease_until < func.now()),
        )
        row = await self._update(
            and_(tasks.c.id == id, free),
            status=Status.RUNNING,
            attempts=tasks.c.attempts + 1,
            lease_until=_after(lease),
        )
        return None if row is None else _task(row)

    async def extend(self, task: Task, lease: float) -> bool:
        return await self._update(_held(task), lease_until=_after(lease)) is not None

    async def finish(
        self, task: Task, *, result: Any = None, error: str | None = None, retry: bool = False
    ) -> bool:
        status = _status(error=error, retry=retry)
        row = await self._update(_held(task), status=status, result=result, error=error, lease_until=None)
        return row is not None

    async def _update(self, where: ColumnElement[bool], **values: Any) -> Any:
        change = update(tasks).where(where).values(updated_at=func.now(), **values).returning(tasks)
        async with self._engine.begin() as connection:
            return (await connection.execute(change)).one_or_none()


def _status(*, error: str | None, retry: bool) -> Status:
    if retry:
        return Status.QUEUED
    return Status.SUCCEEDED if error is None else Status.FAILED


def _held(task: Task) -> ColumnElement[bool]:
    running = tasks.c.status == Status.RUNNING
    return and_(tasks.c.id == task.id, running, tasks.c.attempts == task.attempts)


def _after(seconds: float) -> ColumnElement[datetime]:
    # The database's clock alone counts: the workers' may differ.
    return func.now() + timedelta(seconds=seconds)


def _task(row: Any) -> Task:
    values = dict(row._mapping)
    del values["fleet"]
    return Task(**{**values, "status": Status(values["status"])})
