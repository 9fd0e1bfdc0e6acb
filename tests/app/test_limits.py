"""In no window is more admitted than the limit, whatever becomes of Redis and of the replicas' clocks."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from agent_app.llm import limits, redis_limits
from agent_app.llm.call import LimitReached
from agent_app.llm.limits import MemoryRateLimits, Permit, RateLimits, Unlimited
from agent_app.llm.redis_limits import RedisRateLimits
from agent_app.settings import Settings, SettingsError
from agent_app.settings.llm import ModelLimits
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.app import stack as stacks
from tests.app.stack import LOOPBACK, REDIS_PASSWORD

MODEL = "openai:gpt-5-mini"
WINDOW = 1.0
Admitted = list[tuple[float, int]]


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[Redis]:
    with stacks.redis(tmp_path) as port:
        async with _client(port) as client:
            yield client


def _client(port: int) -> Redis:
    return Redis(host=LOOPBACK, port=port, password=REDIS_PASSWORD, socket_connect_timeout=1)


def _shared(redis: Redis, *, requests: int | None = None, tokens: int | None = None, **options: Any) -> Any:
    of = ModelLimits(requests_per_minute=requests, tokens_per_minute=tokens)
    options = {"window": WINDOW, "buckets": 20, "quarantine": 0.0, "heartbeat": 0.1, **options}
    return RedisRateLimits(redis, "test", lambda model: of, **options)


@asynccontextmanager
async def _running(*several: RateLimits) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in several]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _callers(
    several: list[Any], seconds: float, admitted: Admitted, *, each: int = 4, tokens: int = 1
) -> None:
    """Calls as often as they are let; notes when each was admitted, by a clock that nobody changes."""
    until = time.perf_counter() + seconds

    async def caller(one: Any) -> None:
        while time.perf_counter() < until:
            asked = time.perf_counter()
            with suppress(LimitReached):
                await one.acquire(MODEL, tokens, wait=0.5)
                # It was admitted between the two: what is one window apart at the least may count once.
                admitted.append((max(asked, time.perf_counter() - 0.05), tokens))

    await asyncio.gather(*(caller(one) for one in several for _ in range(each)))


def _most_in_a_window(admitted: Admitted, window: float = WINDOW) -> int:
    times = sorted(admitted)
    return max(
        (sum(n for at, n in times[i:] if at - start < window) for i, (start, _) in enumerate(times)),
        default=0,
    )


async def test_several_clients_at_once_stay_within_requests_and_use_nearly_all(redis: Redis) -> None:
    several, admitted = [_shared(redis, requests=20) for _ in range(4)], Admitted()
    async with _running(*several):
        await _callers(several, 2.2, admitted)
    assert _most_in_a_window(admitted, WINDOW - 0.05) <= 20
    assert len(admitted) >= 2 * 20 * 0.8


async def test_requests_and_tokens_are_taken_together_or_not_at_all(redis: Redis) -> None:
    one = _shared(redis, requests=2, tokens=100)
    await one.acquire(MODEL, 90, wait=0)
    with pytest.raises(LimitReached) as refused:
        await one.acquire(MODEL, 20, wait=0)
    assert refused.value.status == 503
    assert refused.value.retry_after in {1, 2}
    assert "2 requests a minute and 100 tokens a minute" in refused.value.detail
    await one.acquire(MODEL, 10, wait=0)  # the refused one took neither
    with pytest.raises(LimitReached):
        await one.acquire(MODEL, 0, wait=0)


@pytest.mark.parametrize("shared", [False, True])
async def test_more_than_the_whole_limit_is_refused_at_once_with_the_reason(
    redis: Redis, shared: bool
) -> None:
    of = ModelLimits(tokens_per_minute=100)
    one: Any = _shared(redis, tokens=100) if shared else MemoryRateLimits(lambda model: of)
    with pytest.raises(LimitReached, match="101 tokens of openai:gpt-5-mini, whose limit is 100") as refused:
        await one.acquire(MODEL, 101, wait=60)
    assert refused.value.status == 413


async def test_what_was_not_used_is_free_for_other_processes_and_what_was_used_more_is_not(
    redis: Redis,
) -> None:
    one, other = _shared(redis, tokens=100), _shared(redis, tokens=100)
    async with _running(one, other):
        permit = await one.acquire(MODEL, 100, wait=0)
        with pytest.raises(LimitReached):
            await other.acquire(MODEL, 40, wait=0)
        one.settle(permit, 60)
        one.settle(permit, 0)  # a second time changes nothing
        late = await other.acquire(MODEL, 30, wait=0.5)
        other.settle(late, 40)
        await asyncio.sleep(0.1)
        with pytest.raises(LimitReached):
            await one.acquire(MODEL, 1, wait=0)


async def test_a_report_whose_answer_was_lost_counts_once(redis: Redis) -> None:
    one = _shared(redis, tokens=100, window=30.0)
    permits = [await one.acquire(MODEL, 50, wait=0) for _ in range(2)]
    ask, answers = one._ask, 0

    async def deaf(model: Any, action: str, *numbers: int) -> Any:
        nonlocal answers
        answer = await ask(model, action, *numbers)
        if action == "amend" and (answers := answers + 1) < 3:
            raise limits.Unreachable
        return answer

    one._ask = deaf
    one.settle(permits[0], 20)
    (model,) = one._models.values()
    assert [await one._tell(model) for _ in range(3)] == [True, True, False]
    assert await redis.hget(f"agent-app:llm:{{test:{MODEL}}}", "tokens") == b"70"


async def test_replicas_whose_clocks_differ_share_one_window(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + random.uniform(-9000, 9000))  # noqa: S311
    several, admitted = [_shared(redis, requests=20) for _ in range(3)], Admitted()
    async with _running(*several):
        await _callers(several, 2.2, admitted)
    assert _most_in_a_window(admitted, WINDOW - 0.05) <= 20
    assert len(admitted) >= 32


async def test_redis_killed_and_back_empty_in_the_middle_forgets_nothing(tmp_path: Path) -> None:
    admitted: Admitted = []
    window, port = 2.5, stacks.free_port()
    with stacks.redis(tmp_path, port):
        async with _client(port) as first, _client(port) as second:
            options = {"window": window, "buckets": 50, "quarantine": 0.6, "heartbeat": 0.15}
            several = [_shared(redis, requests=30, **options) for redis in (first, second)]
            async with _running(*several):
                await _callers(several, 0.9, admitted)  # the first window is new, too
                assert len(admitted) == 30
                killed = time.perf_counter()
                os.kill((await first.info("server"))["process_id"], signal.SIGKILL)
                (tmp_path / "again").mkdir()
                with stacks.redis(tmp_path / "again", port):
                    back = time.perf_counter()
                    assert back - killed < 1.2  # the window of the first ones is not over
                    await _callers(several, 3.4, admitted)
    assert _most_in_a_window(admitted, window - 0.05) <= 30
    after = [at for at, _ in admitted if at > back]
    assert len(after) >= 20  # it recovered by itself, once the first ones were a window ago


async def test_without_redis_nothing_is_admitted_and_the_wait_is_bounded() -> None:
    async with _client(stacks.free_port()) as nowhere:
        one, started = _shared(nowhere, requests=20), time.perf_counter()
        with pytest.raises(LimitReached, match="Redis does not answer") as closed:
            await one.acquire(MODEL, 1, wait=0.3)
        assert closed.value.status == 503
        assert time.perf_counter() - started < 0.3 + 2 * redis_limits._ANSWER_SECONDS


async def test_what_is_settled_after_its_window_makes_no_room_in_the_next(redis: Redis) -> None:
    one, other = (_shared(redis, tokens=100, window=0.3, buckets=10) for _ in range(2))
    old = await one.acquire(MODEL, 100, wait=0)
    await asyncio.sleep(0.4)
    await other.acquire(MODEL, 100, wait=0.2)
    one.settle(old, 0)
    (model,) = one._models.values()
    assert not await one._tell(model)
    assert await redis.hget(f"agent-app:llm:{{test:{MODEL}}}", "tokens") == b"100"


async def test_a_new_window_admits_nothing_until_living_processes_have_reported(redis: Redis) -> None:
    options = {"requests": 5, "window": 30.0, "quarantine": 0.5}
    busy, idle = _shared(redis, **options), _shared(redis, models=[MODEL], **options)
    async with _running(busy, idle):
        for _ in range(5):
            await busy.acquire(MODEL, 1, wait=2)
        await redis.flushall()
        with pytest.raises(LimitReached):
            await idle.acquire(MODEL, 1, wait=1.2)
    assert await redis.hget(f"agent-app:llm:{{test:{MODEL}}}", "requests") == b"5"
    assert await redis.ttl(f"agent-app:llm:{{test:{MODEL}}}") > 86_400


async def test_a_failover_to_a_copy_that_lags_is_noticed(redis: Redis) -> None:
    one, key = _shared(redis, requests=4, window=30.0, quarantine=0.2), f"agent-app:llm:{{test:{MODEL}}}"
    await one.acquire(MODEL, 1, wait=1)
    old = await redis.dump(key)
    for _ in range(3):
        await one.acquire(MODEL, 1, wait=0)
    await redis.restore(key, 0, old, replace=True)
    with pytest.raises(LimitReached):
        await one.acquire(MODEL, 1, wait=0.5)


async def test_a_clock_of_redis_that_is_set_back_does_not_keep_the_window_full(redis: Redis) -> None:
    one, key = _shared(redis, requests=2), f"agent-app:llm:{{test:{MODEL}}}"
    await one.acquire(MODEL, 1, wait=0)
    ahead = 3_600_000  # as if Redis' clock had been an hour later until now
    async with redis.pipeline() as pipeline:
        for field in ("last", "oldest", "born"):
            by = ahead // 50 if field == "oldest" else ahead
            pipeline.hincrby(key, field, by)
        await pipeline.execute()
    for _ in range(3):
        await one.acquire(MODEL, 1, wait=2)


async def test_who_waits_says_for_how_long_and_is_let_in_when_there_is_room(redis: Redis) -> None:
    waits: list[tuple[str, float]] = []
    one = _shared(redis, requests=1, waited=lambda model, seconds: waits.append((model, seconds)))
    await one.acquire(MODEL, 1, wait=0)
    assert waits == []
    await one.acquire(MODEL, 1, wait=5)
    assert waits[0][0] == MODEL
    assert WINDOW * 0.8 <= waits[0][1] <= WINDOW * 2


async def test_a_script_that_redis_forgot_is_loaded_again(redis: Redis) -> None:
    one = _shared(redis, requests=5)
    await one.acquire(MODEL, 1, wait=0)
    await redis.script_flush()
    await one.acquire(MODEL, 1, wait=0)


async def test_a_model_without_limits_asks_nobody() -> None:
    one = _shared(_client(stacks.free_port()))
    permit: Permit = await one.acquire(MODEL, 10**9, wait=0)
    one.settle(permit, 5)


async def test_only_fleets_of_the_same_quota_share_their_limits(redis: Redis) -> None:
    def of(quota: str | None, environment: str = "prod") -> RateLimits:
        said = Settings(environment=environment, llm_quota=quota, llm_requests_per_minute=3)
        return limits.choose(said, redis, [MODEL])

    async with _running(of(None), of(None), of("support"), of("support"), of("sales"), of("sales", "dev")):
        for _ in range(100):
            windows = {key.decode().partition("}")[0] for key in await redis.keys("*{*")}
            if len(windows) == 4:
                break
            await asyncio.sleep(0.05)
    assert len(windows) == 4


def test_a_models_own_limits_go_before_the_general_ones() -> None:
    own = ModelLimits(tokens_per_minute=7)
    of = limits.limits_of(Settings(llm_requests_per_minute=3, llm_limits={"openai:a": own}))
    assert of("openai:a") == own
    assert of("openai:b") == ModelLimits(requests_per_minute=3)
    assert isinstance(limits.choose(Settings(), None), Unlimited)
    assert isinstance(limits.choose(Settings(llm_requests_per_minute=3), None), MemoryRateLimits)
    with pytest.raises(SettingsError, match=r"'gpt-5'.*vendor:model"):
        limits.choose(Settings(llm_limits={"gpt-5": own}), None)


def test_a_process_reports_more_than_once_before_a_new_window_opens() -> None:
    assert 2 * redis_limits.HEARTBEAT_SECONDS < redis_limits.QUARANTINE_SECONDS <= 5


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 60), st.integers(0, 100)), max_size=60))
def test_in_memory_no_window_holds_more_than_the_limits(calls: list[tuple[float, int, int]]) -> None:
    now, admitted = 1000.0, Admitted()
    clock: Callable[[], float] = lambda: now  # noqa: E731
    of = ModelLimits(requests_per_minute=5, tokens_per_minute=100)
    one = MemoryRateLimits(lambda model: of, clock=clock)

    async def whole() -> None:
        nonlocal now
        for later, tokens, used in calls:
            now += later
            with suppress(LimitReached):
                permit = await one.acquire(MODEL, tokens, wait=0)
                one.settle(permit, min(used, tokens))
                admitted.append((now, min(used, tokens)))
            ours = [n for at, n in admitted if now - at <= 60]
            assert len(ours) <= 5
            assert sum(ours) <= 100

    asyncio.run(whole())


async def test_in_memory_the_wait_that_is_told_is_long_enough() -> None:
    now = 1000.0
    one = MemoryRateLimits(lambda model: ModelLimits(requests_per_minute=1), clock=lambda: now)
    await one.acquire(MODEL, 1, wait=0)
    with pytest.raises(LimitReached) as refused:
        await one.acquire(MODEL, 1, wait=0)
    assert refused.value.retry_after is not None
    assert refused.value.retry_after <= 61
    now += refused.value.retry_after
    await one.acquire(MODEL, 1, wait=0)
