"""The vendors' limits, shared through a real Redis that is also lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_app.agents.conversation import Conversation
from agent_app.agents.runs import Runs
from agent_app.llm import limits
from agent_app.llm.call import LimitReached
from agent_app.llm.limits import MemoryRateLimits
from agent_app.llm.redis_limits import RedisRateLimits
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings, SettingsError
from agent_app.settings.llm import ModelLimits
from agent_app.telemetry.metrics import Metrics
from redis.asyncio import Redis

from tests.app import stack as stacks
from tests.app.stack import LOOPBACK, REDIS_PASSWORD, Stack

MODEL = "openai:m"
WINDOW = 1.0


@asynccontextmanager
async def _replica(port: int, environment: str, most: ModelLimits) -> AsyncIterator[RedisRateLimits]:
    place = {"host": LOOPBACK, "port": port, "password": REDIS_PASSWORD}
    async with Redis(**place, socket_timeout=1, socket_connect_timeout=1) as redis:
        shared = RedisRateLimits(
            redis,
            environment,
            lambda _: most,
            models=[MODEL],
            window=WINDOW,
            buckets=20,
            quarantine=0.5,
            heartbeat=0.1,
        )
        beat = asyncio.create_task(shared.run())
        try:
            yield shared
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)


async def _ask(shared: limits.RateLimits, admitted: list[float], until: float, tokens: int) -> None:
    while time.monotonic() < until:
        try:
            permit = await shared.acquire(MODEL, tokens, wait=0.3)
        except LimitReached:
            continue
        admitted.append(time.monotonic())
        shared.settle(permit, tokens)


def _most_in_a_window(moments: list[float]) -> int:
    moments = sorted(moments)
    # A moment is seen here after Redis admitted it: the window is looked at a little shorter.
    return max(sum(at <= each < at + WINDOW * 0.95 for each in moments) for at in moments)


async def test_replicas_together_stay_within_the_limit_and_use_it(stores: Stack) -> None:
    most = ModelLimits(requests_per_minute=20)
    admitted: list[float] = []
    async with (
        _replica(stores.redis_port, "together", most) as one,
        _replica(stores.redis_port, "together", most) as two,
    ):
        end = time.monotonic() + 3.6
        await asyncio.gather(*(_ask(each, admitted, end, 1) for each in (one, two) for _ in range(5)))
    assert _most_in_a_window(admitted) <= 20
    assert len(admitted) >= 45  # 0.5 s of quarantine, then 20 in each window and a bucket


async def test_a_redis_that_comes_back_empty_forgets_nothing_that_counts(tmp_path: Path) -> None:
    most = ModelLimits(requests_per_minute=20)
    admitted: list[float] = []
    port = stacks.free_port()
    with stacks.redis(tmp_path, port):
        pass
    async with _replica(port, "lost", most) as one, _replica(port, "lost", most) as two:
        end = time.monotonic() + 6
        asking = asyncio.gather(*(_ask(each, admitted, end, 1) for each in (one, two) for _ in range(3)))
        for _ in range(3):
            with stacks.redis(tmp_path, port):
                await asyncio.sleep(1.3)
        with stacks.redis(tmp_path, port):
            await asking
    assert admitted
    assert _most_in_a_window(admitted) <= 20


@pytest.mark.parametrize("real", [True, False])
async def test_tokens_that_were_not_used_are_free_again(stores: Stack, *, real: bool) -> None:
    most = ModelLimits(tokens_per_minute=100)
    async with _replica(stores.redis_port, "tokens", most) as shared:
        held: limits.RateLimits = shared if real else MemoryRateLimits(lambda _: most, window=WINDOW)
        permit = await held.acquire(MODEL, 90, wait=5)
        with pytest.raises(LimitReached) as raised:
            await held.acquire(MODEL, 50, wait=0)
        assert raised.value.status == 503
        assert raised.value.retry_after
        held.settle(permit, 10)
        await held.acquire(MODEL, 50, wait=0.5)
        with pytest.raises(LimitReached, match="whose limit is 100"):
            await held.acquire(MODEL, 101, wait=5)


async def test_without_redis_nothing_is_admitted(stores: Stack) -> None:
    async with _replica(stacks.free_port(), "gone", ModelLimits(requests_per_minute=9)) as shared:
        with pytest.raises(LimitReached, match="Redis does not answer"):
            await shared.acquire(MODEL, 1, wait=0.3)


async def test_a_run_waits_for_its_models_limit_and_gives_up_in_time() -> None:
    settings = Settings.model_validate(
        {"llm_limits": {"built-in:built-in": {"requests_per_minute": 1}}, "llm_wait_seconds": 0.1}
    )
    runs = Runs(settings, LlmKeys(), Metrics())
    talk = Conversation("Be kind.")
    assert await talk.run("one", runs.context("assistant", "me", "1"))
    with pytest.raises(LimitReached, match="1 requests a minute"):
        await talk.run("two", runs.context("assistant", "me", "2"))


def test_a_limit_of_no_vendor_is_refused() -> None:
    with pytest.raises(SettingsError, match="AGENT_APP_LLM_LIMITS"):
        limits.limits_of(Settings.model_validate({"llm_limits": {"gpt-x": {}}}))
