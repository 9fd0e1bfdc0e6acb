"""Tasks in Postgres, the judge of who may run one."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.state.tables import steps, tasks
from agent_app.tasks.task import Ending, LeaseLost, Status, Task


class PostgresTaskStore:
    """Tasks for good. Every change is one statement, so that a crash leaves the old state or the new one.

    `engine` commits each statement, as `open_engine`'s does.
    """

    def __init__(self, engine: AsyncEngine, fleet: str) -> None:
        self._engine = engine
        self._fleet = fleet

    async def create(self, owner: str, agent: str, input: Any, key: str | None) -> tuple[Task, bool]:
        values = {
            "id": uuid.uuid4(),
            "fleet": self._fleet,
            "owner": owner,
            "agent": agent,
            "input": input,
            "status": Status.QUEUED,
        }
        new = upsert(tasks).values(**values, idempotency_key=key)
        new = new.on_conflict_do_nothing(index_elements=["fleet", "owner", "idempotency_key"])
        async with self._engine.connect() as connection:
            row = (await connection.execute(new.returning(tasks))).one_or_none()
            if row is not None:
                return _task(row), True
        # A statement of its own: what another transaction has just committed is seen.
        async with self._engine.connect() as connection:
            ours = (tasks.c.fleet == self._fleet, tasks.c.owner == owner)
            held = select(tasks).where(*ours, tasks.c.idempotency_key == key)
            return _task((await connection.execute(held)).one()), False

    async def get(self, id: uuid.UUID) -> Task | None:
        async with self._engine.connect() as connection:
            ours = select(tasks).where(tasks.c.fleet == self._fleet, tasks.c.id == id)
            row = (await connection.execute(ours)).one_or_none()
        return None if row is None else _task(row)

    async def newest(
        self, owner: str, limit: int, *, agent: str | None = None, status: Status | None = None
    ) -> Sequence[Task]:
        ours = select(tasks).where(tasks.c.fleet == self._fleet, tasks.c.owner == owner)
        if agent is not None:
            ours = ours.where(tasks.c.agent == agent)
        if status is not None:
            ours = ours.where(tasks.c.status == status)
        async with self._engine.connect() as connection:
            rows = await connection.execute(ours.order_by(tasks.c.created_at.desc()).limit(limit))
            return [_task(row) for row in rows]

    async def sent(self, id: uuid.UUID) -> None:
        await self._update(tasks.c.id == id, sent_at=func.now())

    async def unsent(self, seconds: float, limit: int) -> Sequence[Task]:
        late = select(tasks).where(
            tasks.c.fleet == self._fleet,
            tasks.c.sent_at.is_(None),
            tasks.c.status == Status.QUEUED,
            tasks.c.created_at < func.now() - timedelta(seconds=seconds),
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(late.order_by(tasks.c.created_at).limit(limit))
            return [_task(row) for row in rows]

    async def withdraw(self, id: uuid.UUID) -> None:
        async with self._engine.connect() as connection:
            unclaimed = and_(tasks.c.id == id, tasks.c.status == Status.QUEUED, tasks.c.attempts == 0)
            await connection.execute(delete(tasks).where(unclaimed))

    async def cancel(self, id: uuid.UUID) -> Task | None:
        queued, running = tasks.c.status == Status.QUEUED, tasks.c.status == Status.RUNNING
        row = await self._update(
            and_(tasks.c.id == id, tasks.c.fleet == self._fleet, or_(queued, running)),
            status=case((queued, Status.CANCELLED), else_=tasks.c.status),
            cancel_requested=running,
        )
        return await self.get(id) if row is None else _task(row)

    async def cancelled(self, ids: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
        wanted = select(tasks.c.id).where(tasks.c.id.in_(ids), tasks.c.cancel_requested)
        async with self._engine.connect() as connection:
            return list(await connection.scalars(wanted))

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

    async def finish(self, task: Task, ending: Ending) -> bool:
        row = await self._update(
            _held(task),
            status=ending.status,
            result=ending.result,
            artifact=ending.artifact,
            error=ending.error,
            lease_until=None,
            cancel_requested=False,
        )
        return row is not None

    async def step(self, task: Task, name: str) -> tuple[bool, Any]:
        done = select(steps.c.result).where(steps.c.task_id == task.id, steps.c.name == name)
        async with self._engine.connect() as connection:
            row = (await connection.execute(done)).one_or_none()
        return (False, None) if row is None else (True, row.result)

    async def keep_step(self, task: Task, name: str, result: Any) -> Any:
        # The row's lock: nobody takes the task over between the look at its lease and the insert.
        values = (
            select(tasks.c.id, literal(name), literal(result, JSONB)).where(_held(task)).with_for_update()
        )
        new = upsert(steps).from_select(["task_id", "name", "result"], values).on_conflict_do_nothing()
        async with self._engine.connect() as connection:
            if (await connection.execute(new.returning(steps.c.name))).one_or_none() is not None:
                return result
        found, kept = await self.step(task, name)
        if not found:
            raise LeaseLost
        return kept

    async def _update(self, where: ColumnElement[bool], **values: Any) -> Any:
        change = update(tasks).where(where).values(updated_at=func.now(), **values).returning(tasks)
        async with self._engine.connect() as connection:
            return (await connection.execute(change)).one_or_none()


def _held(task: Task) -> ColumnElement[bool]:
    running = tasks.c.status == Status.RUNNING
    return and_(tasks.c.id == task.id, running, tasks.c.attempts == task.attempts)


def _after(seconds: float) -> ColumnElement[datetime]:
    # The database's clock alone counts: the workers' may differ.
    return func.now() + timedelta(seconds=seconds)


def _task(row: Any) -> Task:
    values = {column.key: row._mapping[column] for column in tasks.c if column.key != "fleet"}
    return Task(**{**values, "status": Status(values["status"])})
