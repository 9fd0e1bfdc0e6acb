"""What limits and budgets cost a call, on local Redis and Postgres: `python -m benchmarks.quota`."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from agent_app.llm.allotments import PostgresBudget
from agent_app.llm.budget import BudgetLimits
from agent_app.llm.call import Caller
from agent_app.llm.prices import Prices
from agent_app.llm.redis_limits import RedisRateLimits
from agent_app.llm.usage import MemoryLedger
from agent_app.settings import Settings
from agent_app.settings.llm import ModelLimits
from agent_app.state.tables import allotments, budgets, metadata
from pydantic_ai.usage import RequestUsage
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import create_async_engine

from tests.app import stack as stacks

CALLER = Caller("assistant", "ada")
MODEL = "openai:gpt-5-mini"
ROUNDS = 3000


async def _timed(name: str, call: Callable[[], Awaitable[None]], *, rounds: int = ROUNDS) -> None:
    for _ in range(50):
        await call()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - started) * 1e6)
    taken.sort()
    print(f"{name:45} p50 {statistics.median(taken):8.1f} µs   p99 {taken[int(rounds * 0.99)]:8.1f} µs")


async def _limits(port: int) -> None:
    of = ModelLimits(requests_per_minute=10**9, tokens_per_minute=10**12)
    async with Redis(host=stacks.LOOPBACK, port=port, password=stacks.REDIS_PASSWORD) as redis:
        limits = RedisRateLimits(redis, "bench", lambda _: of, quarantine=0)
        running = asyncio.create_task(limits.run())

        async def call() -> None:
            await limits.settle(await limits.acquire(MODEL, 4000, wait=1), 500)

        await _timed("limits: acquire + settle", call)

        async def ping() -> None:
            await redis.ping()

        await _timed("  of which any command of redis-py: PING", ping)
        started = time.perf_counter()
        await asyncio.gather(*(_often(call, 100) for _ in range(32)))
        print(f"limits: 32 at once, {3200 / (time.perf_counter() - started):.0f} acquire + settle a second")
        running.cancel()


async def _often(call: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await call()


async def _budget(port: int) -> None:
    engine = create_async_engine(
        stacks.admin_url(port).replace("postgresql:", "postgresql+psycopg:"), pool_size=2
    )
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all, tables=[budgets, allotments])
    settings = Settings(monthly_budget_usd=Decimal(10**6), monthly_budget_usd_per_key=Decimal(10**5))
    budget = PostgresBudget(engine, "bench", "fleet", BudgetLimits(settings))

    async def call() -> None:
        await budget.settle(await budget.reserve(CALLER, 1000), 400)

    await _timed("budget: reserve + settle, fleet and key", call)
    await budget.close()

    async def cold() -> None:
        small = replace(CALLER, key=str(time.perf_counter_ns()))
        await budget.settle(await budget.reserve(small, 1000), 400)

    await _timed("budget: a key's first call (opens and takes)", cold, rounds=200)
    await budget.close()
    await engine.dispose()


async def _memory() -> None:
    prices, ledger = Prices(Settings()), MemoryLedger()
    usage = RequestUsage(input_tokens=1000, cache_read_tokens=200, output_tokens=300)

    async def price() -> None:
        prices.micros(MODEL, usage)
        prices.at_most(MODEL, 1000, 4096)

    async def record() -> None:
        ledger.record(CALLER, MODEL, usage, 10, "answered")

    await _timed("prices: the most, and what it was", price)
    await _timed("ledger: record", record)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, stacks.redis(Path(directory)) as redis:
        asyncio.run(_limits(redis))
    with tempfile.TemporaryDirectory() as directory, stacks.postgres(Path(directory)) as postgres:
        asyncio.run(_budget(postgres))
    asyncio.run(_memory())


if __name__ == "__main__":
    main()
