"""How many requests an owner may make in a minute: together, alone, and while Redis is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from agent_app.http.api import create
from agent_app.http.request_limits import RequestLimits, Window
from agent_app.settings import Settings
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from agent_app import service
from tests.app.stack import Stack
from tests.app.stores import LOOPBACK, REDIS_PASSWORD, redis_server


def _redis(port: int) -> Redis:
    return Redis.from_url(
        f"redis://{LOOPBACK}:{port}/0", password=REDIS_PASSWORD, decode_responses=True, socket_timeout=2
    )


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with service.opened(Settings(requests_per_minute=3)) as parts:
        transport = httpx.ASGITransport(create(parts))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as opened:
            yield opened


async def test_requests_beyond_the_limit_are_told_when_to_come_back(client: httpx.AsyncClient) -> None:
    first = await client.get("/v1/sessions")
    assert first.status_code == 200
    assert first.headers["ratelimit-limit"] == "3"
    assert first.headers["ratelimit-remaining"] == "2"
    assert first.headers["ratelimit-policy"] == "3;w=60"
    answers = [await client.get(path) for path in ("/v1/sessions", "/v1/tasks", "/v1/agents", "/v1/agents")]
    refused = answers[-1]
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["ratelimit-reset"] == refused.headers["retry-after"]
    metrics = (await client.get("/metrics")).text
    assert f"agent_app_http_requests_limited_total {[a.status_code for a in answers].count(429)}.0" in metrics


async def test_probes_are_never_limited_and_say_nothing_of_it(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json") * 3:
        answer = await client.get(path)
        assert answer.status_code == 200
        assert "ratelimit-limit" not in answer.headers


async def test_without_a_limit_no_answer_speaks_of_one() -> None:
    async with service.opened(Settings()) as parts:
        assert parts.request_limits is None


async def test_replicas_share_a_limit_and_owners_do_not(stack: Stack) -> None:
    async with _redis(stack.redis_port) as one, _redis(stack.redis_port) as another:
        replicas = [RequestLimits(10, fleet=stack.database, redis=redis) for redis in (one, another)]
        admitted = [(await replicas[n % 2].hit("ada")).admitted for n in range(24)]
        assert admitted[:10] == [True] * 10
        # Where a minute ends in between, the window that slides lets one more in.
        assert sum(admitted) <= 11
        assert (await replicas[0].hit("bob")).remaining == 9
        others = RequestLimits(10, fleet=f"{stack.database}-2", redis=one)
        assert (await others.hit("ada")).admitted
        names = [name async for name in one.scan_iter(f"*{stack.database}*")]
        assert names
        assert all([0 < await one.ttl(name) <= 120 for name in names])


async def test_the_last_minutes_share_still_counts_and_tells_when_one_more_is_free(stack: Stack) -> None:
    async with _redis(stack.redis_port) as redis:
        limits = RequestLimits(10, fleet=stack.database, redis=redis)
        for _ in range(2):  # a minute may end in between
            minute = (await redis.time())[0] // 60
            last = {"minute": minute - 1, "count": 10, "before": 0}
            await redis.hset(f"agent-app:{stack.database}:requests:ada", mapping=last)
            standings = [await limits.hit("ada") for _ in range(11)]
            if (await redis.time())[0] // 60 == minute:
                break
        assert not standings[-1].admitted
        assert 1 <= standings[-1].seconds <= 61


@given(most=st.integers(1, 20), pauses=st.lists(st.floats(0, 130), max_size=60), start=st.floats(0, 10_000))
def test_who_waits_as_long_as_was_said_is_let_in(most: int, pauses: list[float], start: float) -> None:
    now = start
    window = Window(most, clock=lambda: now)
    admitted: list[float] = []
    for pause in pauses:
        now += pause
        standing = window.hit("ada")
        assert 0 <= standing.remaining < most
        if not standing.admitted:
            assert standing.remaining == 0
            now += standing.seconds
            assert window.hit("ada").admitted
        admitted.append(now)
        assert len([at for at in admitted if at // 60 == now // 60]) <= most


async def test_without_redis_each_process_counts_for_itself(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with _redis(server.port) as redis:
            limits = RequestLimits(2, fleet="t", redis=redis)
            assert (await limits.hit("ada")).remaining == 1
            with server.gone():
                standings = [await limits.hit("ada") for _ in range(4)]
                assert standings[0].admitted
                assert not standings[-1].admitted


async def test_a_redis_that_does_not_answer_costs_one_request_a_moment(stack: Stack) -> None:
    async with _redis(stack.redis_port) as redis:
        limits = RequestLimits(2, fleet=stack.database, redis=redis)
        await redis.client_pause(2000)
        answers = [await limits.hit("ada") for _ in range(4)]
        assert answers[0].admitted
        assert not answers[-1].admitted
        assert limits.counts_alone
        await redis.client_unpause()
