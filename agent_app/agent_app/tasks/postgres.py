"""Tasks in Postgres, the judge of who may run one."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    case,
    delete,
    extract,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.state.database import connected
from agent_app.state.tables import steps, tasks
from agent_app.tasks.task import Ending, LeaseLost, Reached, Status, Task

#: In the words of the index `tasks_open`.
_OPEN = text("tasks.status in ('queued', 'running')")
_QUEUED, _RUNNING = tasks.c.status == Status.QUEUED, tasks.c.status == Status.RUNNING


class PostgresTaskStore:
    """Tasks for good. Every change is one statement, so that a crash leaves the old state or the new one."""

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
        async with connected(self._engine) as connection:
            row = (await connection.execute(new.returning(tasks))).one_or_none()
            if row is not None:
                return _task(row), True
        # A statement of its own: what another transaction has just committed is seen.
        async with connected(self._engine) as connection:
            ours = (tasks.c.fleet == self._fleet, tasks.c.owner == owner)
            held = select(tasks).where(*ours, tasks.c.idempotency_key == key)
            return _task((await connection.execute(held)).one()), False

    async def get(self, id: uuid.UUID) -> Task | None:
        async with connected(self._engine) as connection:
            left = extract("epoch", tasks.c.lease_until - func.now()).label("lease_seconds")
            ours = select(tasks, left).where(tasks.c.fleet == self._fleet, tasks.c.id == id)
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
        async with connected(self._engine) as connection:
            rows = await connection.execute(ours.order_by(tasks.c.created_at.desc()).limit(limit))
            return [_task(row) for row in rows]

    async def sent(self, id: uuid.UUID) -> bool:
        noted = update(tasks).where(tasks.c.id == id).values(sent_at=func.now()).returning(tasks.c.id)
        async with connected(self._engine) as connection:
            return (await connection.execute(noted)).one_or_none() is not None

    async def unsent(self, agents: Collection[str], seconds: float, limit: int) -> Sequence[Task]:
        late = tasks.c.created_at < _after(-seconds)
        return await self._resent(and_(_QUEUED, tasks.c.sent_at.is_(None), late), agents, limit)

    async def stranded(
        self, agents: Collection[str], reached: Reached, seconds: float, limit: int
    ) -> Sequence[Task]:
        behind = timedelta(seconds=seconds)
        before = (
            func.now() - reached - behind if isinstance(reached, timedelta) else literal(reached - behind)
        )
        waiting = and_(_QUEUED, func.greatest(tasks.c.sent_at, tasks.c.updated_at) < before)
        abandoned = and_(_RUNNING, tasks.c.lease_until < before)
        # The first condition is what the index of open tasks finds them by.
        lost = and_(tasks.c.created_at < before, tasks.c.sent_at.is_not(None), or_(waiting, abandoned))
        return await self._resent(lost, agents, limit)

    async def _resent(
        self, where: ColumnElement[bool], agents: Collection[str], limit: int
    ) -> Sequence[Task]:
        ours = and_(tasks.c.fleet == self._fleet, tasks.c.agent.in_(agents), _OPEN, where)
        # Workers that look at once do not take the same ones.
        found = select(tasks.c.id).where(ours).order_by(tasks.c.created_at).limit(limit)
        found = found.with_for_update(skip_locked=True)
        change = update(tasks).where(tasks.c.id.in_(found)).values(sent_at=func.now()).returning(tasks)
        async with connected(self._engine) as connection:
            return [_task(row) for row in await connection.execute(change)]

    async def withdraw(self, id: uuid.UUID) -> None:
        unclaimed = and_(tasks.c.id == id, _QUEUED, tasks.c.attempts == 0, tasks.c.sent_at.is_(None))
        async with connected(self._engine) as connection:
            await connection.execute(delete(tasks).where(unclaimed))

    async def cancel(self, id: uuid.UUID) -> Task | None:
        row = await self._update(
            and_(tasks.c.id == id, tasks.c.fleet == self._fleet, or_(_QUEUED, _RUNNING)),
            status=case((_QUEUED, Status.CANCELLED), else_=tasks.c.status),
            cancel_requested=_RUNNING,
        )
        return await self.get(id) if row is None else _task(row)

    async def cancelled(self, ids: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
        wanted = select(tasks.c.id).where(tasks.c.id.in_(ids), tasks.c.cancel_requested)
        async with connected(self._engine) as connection:
            return list(await connection.scalars(wanted))

    async def claim(self, id: uuid.UUID, lease: float, *, sent: datetime | None = None) -> Task | None:
        failed = tasks.c.status == Status.FAILED
        free = or_(_QUEUED, and_(_RUNNING, tasks.c.lease_until < func.now()))
        if sent is not None:
            free = or_(free, and_(failed, tasks.c.updated_at < sent))
        row = await self._update(
            and_(tasks.c.id == id, free),
            status=Status.RUNNING,
            attempts=tasks.c.attempts + 1,
            tries=case((failed, 1), else_=tasks.c.tries + 1),
            lease_until=_after(lease),
        )
        return None if row is None else _task(row)

    async def extend(self, task: Task, lease: float) -> bool:
        return await self._is_changed(task, lease_until=_after(lease))

    async def finish(self, task: Task, ending: Ending) -> bool:
        status: Any = ending.status
        if ending.status is Status.QUEUED:
            # Somebody may have wanted its end while this attempt was ending.
            status = case((tasks.c.cancel_requested, literal(Status.CANCELLED, Text)), else_=status)
        return await self._is_changed(
            task,
            status=status,
            result=ending.result,
            artifact=ending.artifact,
            error=ending.error,
            tries=tasks.c.tries if ending.counts else tasks.c.tries - 1,
            lease_until=None,
            cancel_requested=False,
        )

    async def check(self) -> None:
        async with connected(self._engine) as connection:
            await connection.execute(select(1))

    async def step(self, task: Task, name: str) -> tuple[bool, Any]:
        done = select(steps.c.result).where(steps.c.task_id == task.id, steps.c.name == name)
        async with connected(self._engine) as connection:
            row = (await connection.execute(done)).one_or_none()
        return (False, None) if row is None else (True, row.result)

    async def keep_step(self, task: Task, name: str, result: Any) -> Any:
        # The row's lock: nobody takes the task over between the look at its lease and the insert.
        values = (
            select(tasks.c.id, literal(name), literal(result, JSONB)).where(_held(task)).with_for_update()
        )
        new = upsert(steps).from_select(["task_id", "name", "result"], values).on_conflict_do_nothing()
        async with connected(self._engine) as connection:
            if (await connection.execute(new.returning(steps.c.name))).one_or_none() is not None:
                return result
        found, kept = await self.step(task, name)
        if not found:
            raise LeaseLost
        return kept

    async def _is_changed(self, task: Task, **values: Any) -> bool:
        """Whether this attempt still held it; what it is now is not asked for, which may be long."""
        change = update(tasks).where(_held(task)).values(updated_at=func.now(), **values)
        async with connected(self._engine) as connection:
            return bool((await connection.execute(change.returning(tasks.c.id))).all())

    async def _update(self, where: ColumnElement[bool], **values: Any) -> Any:
        change = update(tasks).where(where).values(updated_at=func.now(), **values).returning(tasks)
        async with connected(self._engine) as connection:
            return (await connection.execute(change)).one_or_none()


def _held(task: Task) -> ColumnElement[bool]:
    return and_(tasks.c.id == task.id, _RUNNING, tasks.c.attempts == task.attempts)


def _after(seconds: float) -> ColumnElement[datetime]:
    # The database's clock alone counts: the workers' may differ.
    return func.now() + timedelta(seconds=seconds)


def _task(row: Any) -> Task:
    values = {column.key: row._mapping[column] for column in tasks.c if column.key != "fleet"}
    left = row._mapping.get("lease_seconds")
    return Task(
        **{**values, "status": Status(values["status"])}, lease_seconds=None if left is None else float(left)
    )
