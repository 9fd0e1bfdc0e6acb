"""The latest messages of sessions in Redis: alone until they expire, or as the quick copy of Postgres."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from agent_app.agents.context import Message
from agent_app.state.history import Entry, Known, Place, known
from agent_app.state.postgres_history import PostgresStore
from agent_app.state.sparing import Sparing
from agent_app.telemetry.metrics import Metrics

# Adds a turn to a copy that ends with the turn before; any other copy has missed something and goes.
_FOLLOW = """
local last = redis.call('lindex', KEYS[1], -1)
local before = last and cjson.decode(last)[1] or 0
if before ~= tonumber(ARGV[1]) - 1 then
  redis.call('del', KEYS[1])
  return 0
end
for place = 4, #ARGV do redis.call('rpush', KEYS[1], ARGV[place]) end
redis.call('ltrim', KEYS[1], -tonumber(ARGV[2]), -1)
redis.call('expire', KEYS[1], ARGV[3])
return 1
"""


class RedisStore:
    """The latest `keep` messages of a session, until it has been idle for `seconds`."""

    def __init__(self, redis: Redis, fleet: str, keep: int, seconds: int) -> None:
        self._redis = redis
        self._prefix = f"agent-app:{fleet}"
        self._keep = keep
        self._seconds = seconds
        self._follow: Any = redis.register_script(_FOLLOW)

    async def recent(self, place: Place, limit: int) -> list[Entry]:
        texts = await self._redis.lrange(self._key(place), -limit, -1)
        return [_load(item) for item in texts]

    async def append(self, place: Place, said: Sequence[Message]) -> None:
        last = await self.recent(place, 1)
        turn, now = (last[-1].turn + 1 if last else 1), datetime.now(UTC)
        await self._push(place, [Entry(message, turn, now) for message in said], fresh=False)
        index = self._index(place.owner)
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zadd(index, {place.session: now.timestamp()})
            pipeline.zremrangebyscore(index, 0, now.timestamp() - self._seconds)
            pipeline.expire(index, self._seconds)
            await pipeline.execute()

    async def follow(self, place: Place, entries: Sequence[Entry]) -> None:
        """Adds the turn to a copy that has all before it; another copy is dropped."""
        texts = [_dump(entry) for entry in entries]
        await self._follow([self._key(place)], [entries[0].turn, self._keep, self._seconds, *texts])

    async def replace(self, place: Place, entries: Sequence[Entry]) -> None:
        """Makes these the session's messages."""
        await self._push(place, entries, fresh=True)

    async def sessions(self, owner: str, limit: int) -> Sequence[Known]:
        names = await self._redis.zrevrange(self._index(owner), 0, limit - 1)
        said = [(str(name), await self.recent(Place(owner, str(name)), self._keep)) for name in names]
        return [known(name, its) for name, its in said if its]

    async def delete(self, place: Place) -> bool:
        await self._redis.zrem(self._index(place.owner), place.session)
        return bool(await self._redis.delete(self._key(place)))

    def _key(self, place: Place) -> str:
        return f"{self._prefix}:session:{place.owner}:{place.session}"

    def _index(self, owner: str) -> str:
        return f"{self._prefix}:sessions:{owner}"

    async def _push(self, place: Place, entries: Sequence[Entry], *, fresh: bool) -> None:
        key = self._key(place)
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
        self._spared = Sparing(metrics.cache_failures.inc, "the history, which Postgres has too")

    async def recent(self, place: Place, limit: int) -> list[Entry]:
        if limit > self._keep:
            return await self._durable.recent(place, limit)
        turns, copy = await asyncio.gather(self._durable.turns(place), self._copy(place))
        if not turns:
            return []
        if copy and copy[-1].turn == turns:
            return copy[-limit:]
        entries = await self._durable.recent(place, self._keep)
        if entries:
            await self._spared(lambda: self._cache.replace(place, entries), None)
        return entries[-limit:]

    async def append(self, place: Place, said: Sequence[Message]) -> None:
        kept = await self._durable.appended(place, said)
        await self._spared(lambda: self._cache.follow(place, kept), None)

    async def sessions(self, owner: str, limit: int) -> Sequence[Known]:
        return await self._durable.sessions(owner, limit)

    async def delete(self, place: Place) -> bool:
        gone = await self._durable.delete(place)
        await self._spared(lambda: self._cache.delete(place), None)
        return gone

    async def _copy(self, place: Place) -> list[Entry]:
        none: list[Entry] = []
        return await self._spared(lambda: self._cache.recent(place, self._keep), none)


def _dump(entry: Entry) -> str:
    return json.dumps([entry.turn, entry.at.isoformat(), entry.message.role, entry.message.content])


def _load(item: str | bytes) -> Entry:
    turn, at, role, content = json.loads(item)
    return Entry(Message(role, content), turn, datetime.fromisoformat(at))
