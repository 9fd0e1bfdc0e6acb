"""What may be forgotten at any time: short texts by key, in Redis or in this process's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from redis.asyncio import Redis

from agent_app.state.sparing import Sparing

#: Of texts in a process's memory, together.
_MOST_CHARACTERS = 16_777_216


class Cache(Protocol):
    """Never raises because it is away: then it knows nothing."""

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        """The text of each key, None where there is none (any more)."""

    async def put(self, values: Mapping[str, str], *, seconds: int) -> None:
        """Keeps the texts for so long."""

    async def listed(self, key: str) -> list[str]:
        """What was pushed onto a key, the newest first."""

    async def push(self, key: str, value: str, *, keep: int, seconds: int) -> None:
        """Adds to a list, of which the newest `keep` stay, for so long after the last one."""


class RedisCache:
    """Shared by an environment's replicas; `failed` is told when Redis does not answer."""

    def __init__(self, redis: Redis, prefix: str, failed: Callable[[], object]) -> None:
        self._redis = redis
        self._prefix = prefix
        self._try = Sparing(failed, "the cache")

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        names = [self._prefix + key for key in keys]
        nothing: list[str | None] = [None] * len(keys)
        if not names:
            return nothing
        call: Any = lambda: self._redis.mget(names)  # noqa: E731 (its type, with decoded responses)
        return await self._try(call, nothing)

    async def put(self, values: Mapping[str, str], *, seconds: int) -> None:
        async def call() -> None:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, value in values.items():
                    pipeline.set(self._prefix + key, value, ex=seconds)
                await pipeline.execute()

        await self._try(call, None)

    async def listed(self, key: str) -> list[str]:
        none: list[str] = []
        call: Any = lambda: self._redis.lrange(self._prefix + key, 0, -1)  # noqa: E731 (as above)
        return await self._try(call, none)

    async def push(self, key: str, value: str, *, keep: int, seconds: int) -> None:
        async def call() -> None:
            async with self._redis.pipeline(transaction=True) as pipeline:
                pipeline.lpush(self._prefix + key, value)
                pipeline.ltrim(self._prefix + key, 0, keep - 1)
                pipeline.expire(self._prefix + key, seconds)
                await pipeline.execute()

        await self._try(call, None)


class MemoryCache:
    """Of one process; what was kept first goes first when there is no room."""

    def __init__(self, most: int = _MOST_CHARACTERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._kept: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._size = 0

    async def get(self, keys: Sequence[str]) -> list[str | None]:
        return [found[0] if (found := self._of(key)) else None for key in keys]

    async def put(self, values: Mapping[str, str], *, seconds: int) -> None:
        for key, value in values.items():
            self._keep(key, (value,), seconds)

    async def listed(self, key: str) -> list[str]:
        return list(self._of(key))

    async def push(self, key: str, value: str, *, keep: int, seconds: int) -> None:
        self._keep(key, (value, *self._of(key))[:keep], seconds)

    def _of(self, key: str) -> tuple[str, ...]:
        until, values = self._kept.get(key, (0.0, ()))
        if values and self._clock() >= until:
            self._drop(key)
            return ()
        return values

    def _keep(self, key: str, values: tuple[str, ...], seconds: int) -> None:
        self._drop(key)
        self._kept[key] = (self._clock() + seconds, values)
        self._size += sum(map(len, values))
        while self._size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        _, values = self._kept.pop(key, (0.0, ()))
        self._size -= sum(map(len, values))
