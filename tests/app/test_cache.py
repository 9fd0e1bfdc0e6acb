"""What is kept for a while, in memory and in a real Redis, and a Redis that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agent_app.state.cache import Cache, MemoryCache, RedisCache
from redis.asyncio import Redis

from tests.app import stack as stacks
from tests.app.stack import LOOPBACK, REDIS_PASSWORD


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Cache]:
    if request.param == "memory":
        yield MemoryCache()
        return
    with stacks.redis(tmp_path) as port:
        async with _client(port) as redis:
            yield RedisCache(redis, "test:", lambda: None)


def _client(port: int) -> Redis:
    return Redis(
        host=LOOPBACK, port=port, password=REDIS_PASSWORD, decode_responses=True, socket_connect_timeout=1
    )


async def test_what_is_put_is_there(cache: Cache) -> None:
    await cache.put({"a": "1", "b": "2"}, seconds=60)
    await cache.put({"b": "3"}, seconds=60)
    assert await cache.get(["a", "b", "c"]) == ["1", "3", None]
    assert await cache.get([]) == []


async def test_a_list_keeps_its_newest(cache: Cache) -> None:
    for number in range(5):
        await cache.push("list", str(number), keep=3, seconds=60)
    assert await cache.listed("list") == ["4", "3", "2"]
    assert await cache.listed("none") == []


async def test_its_time_ends(cache: Cache) -> None:
    await cache.put({"a": "1"}, seconds=1)
    await cache.push("list", "1", keep=3, seconds=1)
    await asyncio.sleep(1.1)
    assert await cache.get(["a"]) == [None]
    assert await cache.listed("list") == []


async def test_memory_is_bounded() -> None:
    cache = MemoryCache(most=10)
    for key in "abcd":
        await cache.put({key: "12345"}, seconds=60)
    assert await cache.get(list("abcd")) == [None, None, "12345", "12345"]
    await cache.put({"e": "x" * 11}, seconds=60)
    assert await cache.get(["e", "d"]) == [None, None]


async def test_without_redis_nothing_is_known_and_it_is_left_alone(tmp_path: Path) -> None:
    failures: list[None] = []
    with stacks.redis_server(tmp_path) as server:
        async with _client(server.port) as redis:
            cache = RedisCache(redis, "test:", lambda: failures.append(None))
            with server.gone():
                await cache.put({"a": "1"}, seconds=60)
                assert await cache.get(["a"]) == [None]
                assert await cache.listed("list") == []
                assert len(failures) == 1
