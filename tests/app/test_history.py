"""Sessions in Redis alone and in memory, and how much of one a model sees."""

from __future__ import annotations

from datetime import UTC, datetime

import fakeredis
from agent_app.agents.context import Message
from agent_app.state.cached_history import RedisStore
from agent_app.state.history import Entry, MemoryStore, Place, window
from redis.asyncio import Redis

from tests.app.stack import LOOPBACK, REDIS_PASSWORD, Stack

PLACE = Place("me", "s")


def _said(text: str) -> list[Message]:
    return [Message("user", text), Message("assistant", text.upper())]


async def test_redis_keeps_the_newest_messages_and_lets_them_expire() -> None:
    async with fakeredis.FakeAsyncRedis(decode_responses=True) as redis:
        store = RedisStore(redis, "fleet", keep=4, seconds=60)
        for text in ("one", "two", "three"):
            await store.append(PLACE, _said(text))
        entries = await store.recent(PLACE, 10)
        assert [entry.message.content for entry in entries] == ["two", "TWO", "three", "THREE"]
        assert [entry.turn for entry in entries] == [2, 2, 3, 3]
        assert 0 < await redis.ttl("agent-app:fleet:session:me:s") <= 60


async def test_fleets_do_not_see_each_others_sessions() -> None:
    async with fakeredis.FakeAsyncRedis(decode_responses=True) as redis:
        await RedisStore(redis, "one", keep=4, seconds=60).append(PLACE, _said("mine"))
        assert await RedisStore(redis, "other", keep=4, seconds=60).recent(PLACE, 4) == []


async def test_memory_is_bounded_in_sessions_and_in_messages() -> None:
    store = MemoryStore(keep=4)
    for session in "abcdef":
        for text in ("one", "two", "three"):
            await store.append(Place("me", session), _said(text))
    assert await store.recent(Place("me", "a"), 9) == []
    assert len(await store.recent(Place("me", "f"), 9)) == 4


async def test_an_owner_lists_and_deletes_its_own_sessions_alone() -> None:
    async with fakeredis.FakeAsyncRedis(decode_responses=True) as redis:
        for store in (RedisStore(redis, "fleet", keep=4, seconds=60), MemoryStore()):
            for owner, session in (("me", "one"), ("me", "two"), ("you", "one")):
                await store.append(Place(owner, session), _said("hello"))
            assert [known.session for known in await store.sessions("me", 9)] == ["two", "one"]
            assert {known.title for known in await store.sessions("me", 9)} == {"hello"}
            assert await store.delete(Place("me", "one"))
            assert not await store.delete(Place("me", "one"))
            assert [known.session for known in await store.sessions("me", 9)] == ["two"]
            assert len(await store.recent(Place("you", "one"), 9)) == 2


async def test_a_copy_that_missed_a_turn_is_dropped(stores: Stack) -> None:
    now = datetime.now(UTC)
    place = {"host": LOOPBACK, "port": stores.redis_port, "password": REDIS_PASSWORD}
    async with Redis(**place, decode_responses=True) as redis:
        store = RedisStore(redis, "fleet", keep=4, seconds=60)
        await store.follow(PLACE, [Entry(message, 1, now) for message in _said("one")])
        await store.follow(PLACE, [Entry(message, 2, now) for message in _said("two")])
        assert [entry.turn for entry in await store.recent(PLACE, 9)] == [1, 1, 2, 2]
        await store.follow(PLACE, [Entry(message, 4, now) for message in _said("four")])
        assert await store.recent(PLACE, 9) == []


def test_the_model_sees_the_newest_whole_turns_within_its_tokens() -> None:
    now = datetime.now(UTC)
    entries = [Entry(message, turn, now) for turn in (1, 2, 3) for message in _said("x" * 40)]
    assert [entry.turn for entry in window(entries, 1000)] == [1, 1, 2, 2, 3, 3]
    assert [entry.turn for entry in window(entries, 59)] == [2, 2, 3, 3]
    assert [entry.turn for entry in window(entries, 39)] == [3, 3]
    assert window(entries, 19) == []
