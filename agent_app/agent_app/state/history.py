"""What was said in each session: Postgres is the judge, Redis the quick copy of the latest turns."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.llm.model import Message
from agent_app.state.tables import messages, sessions
from agent_app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

#: After Redis failed, how long it is left alone, so that an outage does not cost every answer a timeout.
_LEFT_ALONE_SECONDS = 2.0


@dataclass(frozen=True)
class Entry:
    """A message with its place in the session."""

    message: Message
    turn: int
    at: datetime


class Store(Protocol):
    """Keeps sessions."""

    async def recent(self, session: str, limit: int) -> list[Entry]:
        """The latest `limit` messages, the oldest first; none for an unknown session."""

    async def append(self, session: str, said: Sequence[Message]) -> None:
        """Adds one turn, whole or not at all."""


class MemoryStore:
    """Sessions in this process alone."""

    def __init__(self, keep: int = 1000) -> None:
        self._keep = keep
        self._sessions: dict[str, list[Entry]] = {}

    async def recent(self, session: str, limit: int) -> list[Entry]:
        return self._sessions.get(session, [])[-limit:]

    async def append(self, session: str, said: Sequence[Message]) -> None:
        # The least recently used sessions go first, so that memory stays bounded.
        entries = self._sessions.pop(session, [])
        turn = entries[-1].turn + 1 if entries else 1
        entries += [Entry(message, turn, datetime.now(UTC)) for message in said]
        self._sessions[session] = entries[-self._keep :]
        while len(self._sessions) > self._keep:
            del self._sessions[next(iter(self._sessions))]


class PostgresStore:
    """Sessions for good."""

    def __init__(self, engine: AsyncEngine, fleet: str) -> None:
        self._engine = engine
        self._fleet = fleet

    async def turns(self, session: str) -> int:
        """How many turns the session has; 0 for an unknown one."""
        async with self._engine.connect() as connection:
            turns = await connection.scalar(select(sessions.c.turns).where(*self._is(session)))
        return turns or 0

    async def recent(self, session: str, limit: int) -> list[Entry]:
        ours = (messages.c.fleet == self._fleet, messages.c.session_id == session)
        newest = select(messages).where(*ours).order_by(messages.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(newest)).all()
        return [Entry(Message(row.role, row.content), row.turn, row.created_at) for row in reversed(rows)]

    async def append(self, session: str, said: Sequence[Message]) -> None:
        async with self._engine.begin() as connection:
            new = upsert(sessions).values(fleet=self._fleet, id=session, turns=0).on_conflict_do_nothing()
            await connection.execute(new)
            # The row's lock puts turns that are said at once one after the other.
            turn = await connection.scalar(
                update(sessions)
                .where(*self._is(session))
                .values(turns=sessions.c.turns + 1, updated_at=func.now())
                .returning(sessions.c.turns)
            )
            place = {"fleet": self._fleet, "session_id": session, "turn": turn}
            rows = [{**place, "role": item.role, "content": item.content} for item in said]
            await connection.execute(insert(messages), rows)

    def _is(self, session: str) -> tuple[ColumnElement[bool], ...]:
        return sessions.c.fleet == self._fleet, sessions.c.id == session


class RedisStore:
    """The latest messages of a session, until it has been idle for long."""

    def __init__(self, redis: Redis, fleet: str, keep: int, seconds: int) -> None:
        self._redis = redis
        self._prefix = f"agent-app:{fleet}:session:"
        self._keep = keep
        self._seconds = seconds

    async def recent(self, session: str, limit: int) -> list[Entry]:
        texts = await self._redis.lrange(self._prefix + session, -limit, -1)
        return [_load(text) for text in texts]

    async def append(self, session: str, said: Sequence[Message]) -> None:
        last = await self.recent(session, 1)
        turn = last[-1].turn + 1 if last else 1
        await self._push(session, [Entry(message, turn, datetime.now(UTC)) for message in said], fresh=False)

    async def replace(self, session: str, entries: Sequence[Entry]) -> None:
        """Makes these the session's messages."""
        await self._push(session, entries, fresh=True)

    async def _push(self, session: str, entries: Sequence[Entry], *, fresh: bool) -> None:
        key = self._prefix + session
        async with self._redis.pipeline(transaction=True) as pipeline:
            if fresh:
                pipeline.delete(key)
            pipeline.rpush(key, *(_dump(entry) for entry in entries))
            pipeline.ltrim(key, -self._keep, -1)
            pipeline.expire(key, self._seconds)
            await pipeline.execute()


class CachedStore:
    """Postgres with Redis before it: a copy that is not of the newest turn is not used."""

    def __init__(self, durable: PostgresStore, cache: RedisStore, keep: int, metrics: Metrics) -> None:
        self._durable = durable
        self._cache = cache
        self._keep = keep
        self._metrics = metrics
        self._left_alone_until = 0.0

    async def recent(self, session: str, limit: int) -> list[Entry]:
        if limit > self._keep:
            return await self._durable.recent(session, limit)
        turns = await self._durable.turns(session)
        if not turns:
            return []
        copy = await self._copy(session)
        if copy and copy[-1].turn == turns:
            return copy[-limit:]
        entries = await self._durable.recent(session, self._keep)
        await self._put(session, entries)
        return entries[-limit:]

    async def append(self, session: str, said: Sequence[Message]) -> None:
        await self._durable.append(session, said)
        # Read back, not appended: another replica may have added a turn, or this copy may have missed one.
        await self._put(session, await self._durable.recent(session, self._keep))

    async def _copy(self, session: str) -> list[Entry]:
        if time.monotonic() < self._left_alone_until:
            return []
        try:
            return await self._cache.recent(session, self._keep)
        except (RedisError, OSError, ValueError) as error:
            self._failed(error)
            return []

    async def _put(self, session: str, entries: Sequence[Entry]) -> None:
        if time.monotonic() < self._left_alone_until or not entries:
            return
        try:
            await self._cache.replace(session, entries)
        except (RedisError, OSError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._left_alone_until = time.monotonic() + _LEFT_ALONE_SECONDS
        self._metrics.cache_failures.inc()
        log.warning("Redis failed: the history is read from Postgres", reason=type(error).__name__)


def _dump(entry: Entry) -> str:
    return json.dumps([entry.turn, entry.at.isoformat(), entry.message.role, entry.message.content])


def _load(text: str | bytes) -> Entry:
    turn, at, role, content = json.loads(text)
    return Entry(Message(role, content), turn, datetime.fromisoformat(at))
