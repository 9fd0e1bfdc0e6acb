"""Redis alone as the sessions' store."""

from __future__ import annotations

import fakeredis
from agent_app.llm.model import Message
from agent_app.state.history import MemoryStore, RedisStore


def _said(text: str) -> list[Message]:
    return [Message("user", text), Message("assistant", text.upper())]


async def test_redis_keeps_the_newest_messages_and_lets_them_expire() -> None:
    async with fakeredis.FakeAsyncRedis(decode_responses=True) as redis:
        store = RedisStore(redis, "fleet", keep=4, seconds=60)
        for text in ("one", "two", "three"):
            await store.append("s", _said(text))
        entries = await store.recent("s", 10)
        assert [entry.message.content for entry in entries] == ["two", "TWO", "three", "THREE"]
        assert [entry.turn for entry in entries] == [2, 2, 3, 3]
        assert 0 < await redis.ttl("agent-app:fleet:session:s") <= 60


async def test_fleets_do_not_see_each_others_sessions() -> None:
    async with fakeredis.FakeAsyncRedis(decode_responses=True) as redis:
        await RedisStore(redis, "one", keep=4, seconds=60).append("s", _said("mine"))
        assert await RedisStore(redis, "other", keep=4, seconds=60).recent("s", 4) == []


async def test_memory_is_bounded_in_sessions_and_in_messages() -> None:
    store = MemoryStore(keep=4)
    for session in "abcdef":
        for text in ("one", "two", "three"):
            await store.append(session, _said(text))
    assert await store.recent("a", 9) == []
    assert len(await store.recent("f", 9)) == 4
