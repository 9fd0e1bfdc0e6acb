"""Every call is counted once, whether or not Postgres is there at the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from agent_app.llm import usage as ledgers
from agent_app.llm.call import Caller
from agent_app.llm.usage import Counts, Ledger, Line, MemoryLedger, PostgresLedger, Row
from agent_app.problems import Problem
from pydantic_ai.usage import RequestUsage
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.app.stack import LOOPBACK, PASSWORD, Stack, free_port

ADA, BOB = Caller("assistant", "ada"), Caller("triage", "bob")
MINI, HAIKU = "openai:gpt-5-mini", "anthropic:claude-haiku-4-5"
TOOK = RequestUsage(input_tokens=100, cache_read_tokens=40, output_tokens=10)


def _november() -> datetime:
    return datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


@pytest.fixture
async def engine(stack: Stack) -> AsyncIterator[AsyncEngine]:
    url = f"{stack.role}:{PASSWORD}-role@{LOOPBACK}:{stack.postgres_port}/{stack.database}"
    engine = create_async_engine(f"postgresql+psycopg://{url}?sslmode=disable")
    yield engine
    await engine.dispose()


def _record(ledger: Ledger) -> None:
    ledger.record(ADA, MINI, TOOK, 50, "answered")
    ledger.record(ADA, MINI, RequestUsage(), 0, "cached")
    ledger.record(BOB, MINI, TOOK, 60, "timeout")
    ledger.record(BOB, HAIKU, TOOK, 70, "answered")


_BY_AGENT = [
    Line({"agent": "triage"}, Counts(2, 1, 200, 20, 80, 130)),
    Line({"agent": "assistant"}, Counts(2, 0, 100, 10, 40, 50)),
]


async def test_memory_sums_by_what_is_asked_for() -> None:
    ledger = MemoryLedger(now=_november)
    _record(ledger)
    assert await ledger.report("2026-11", ["agent"]) == _BY_AGENT
    assert await ledger.report("2026-12", ["agent"]) == []
    first = (await ledger.report(group_by=["key", "day", "fleet"]))[0]
    assert first.group == {"key": "bob", "day": "2026-11-30", "fleet": "agent"}


async def test_two_fleets_add_to_what_is_there(engine: AsyncEngine) -> None:
    one, other = (PostgresLedger(engine, "test", fleet, now=_november) for fleet in ("one", "other"))
    for _ in range(3):
        for ledger in (one, other):
            _record(ledger)
            assert await ledger.flush()
    elsewhere = PostgresLedger(engine, "prod", "one", now=_november)
    _record(elsewhere)
    await elsewhere.close()
    six = [
        Line(line.group, Counts(*(6 * number for number in vars(line.counts).values()))) for line in _BY_AGENT
    ]
    assert await one.report("2026-11", ["agent"]) == six
    assert {line.group["fleet"] for line in await one.report(None, ["fleet"])} == {"one", "other"}
    assert await one.report("2026-10", ["agent"]) == []
    assert await elsewhere.report(None, ["agent"]) == _BY_AGENT


async def test_what_postgres_did_not_take_is_kept_and_stored_once_it_is_back(engine: AsyncEngine) -> None:
    ledger = PostgresLedger(engine, "test", "f", now=_november)
    ledger._engine = create_async_engine(f"postgresql+psycopg://x:x@{LOOPBACK}:{free_port()}/x")
    _record(ledger)
    assert not await ledger.flush()
    assert not await ledger.flush()
    ledger._engine = engine
    await ledger.close()
    assert await ledger.report("2026-11", ["agent"]) == _BY_AGENT


async def test_who_is_cancelled_while_counts_are_stored_leaves_none_to_be_stored_again() -> None:
    begun, goes_on, stored = asyncio.Event(), asyncio.Event(), []

    class Slow(PostgresLedger):
        async def _store(self, rows: Sequence[tuple[Row, Counts]]) -> None:
            begun.set()
            await goes_on.wait()
            stored.extend(rows)

    ledger = Slow(create_async_engine("postgresql+psycopg://nowhere"), "test", "agent")
    _record(ledger)
    flush = asyncio.create_task(ledger.flush())
    await begun.wait()
    flush.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await flush
    await ledger.close()
    assert len(stored) == 3


async def test_many_keys_are_stored_in_several_statements_and_beyond_the_bound_together(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MOST_ROWS", 2500)
    ledger = PostgresLedger(engine, "test", "f", now=_november)
    for number in range(3000):
        ledger.record(Caller("assistant", f"key-{number}"), MINI, TOOK, 1, "answered")
    assert len(ledger._rows) == 2501
    await ledger.close()
    by_key = await ledger.report(None, ["key"])
    assert len(by_key) == 2501
    assert by_key[0] == Line({"key": "(other)"}, Counts(500, 0, 50_000, 5000, 20_000, 500))


@pytest.mark.parametrize("month", ["2026-13", "november", "", "0000-01"])
async def test_a_month_that_is_none_is_refused(month: str) -> None:
    with pytest.raises(Problem, match="2026-11") as refused:
        await MemoryLedger().report(month)
    assert refused.value.status == 422


@pytest.mark.parametrize("groups", [[], ["micros"], ["model", "owner"]])
async def test_a_group_that_is_none_is_refused(groups: list[str]) -> None:
    with pytest.raises(Problem, match="fleet, agent, key, model, day") as refused:
        await MemoryLedger().report(None, groups)
    assert refused.value.status == 422
