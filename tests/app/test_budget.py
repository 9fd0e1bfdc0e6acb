"""Budgets hold: under concurrency, over processes that die and answers that are lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from agent_app.llm import budget as budgets
from agent_app.llm.allotments import PostgresBudget
from agent_app.llm.budget import BudgetLimits, MemoryBudget, NoBudget, Reservation
from agent_app.llm.call import BudgetExhausted, Caller, LlmProblem
from agent_app.llm.clock import Away
from agent_app.settings import Settings
from agent_app.settings.agents import AgentType
from agent_app.telemetry.metrics import Metrics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.app.stack import LOOPBACK, PASSWORD, Stack, free_port

ADA = Caller("assistant", "ada")
BOB = Caller("triage", "bob")


def _limits(**usd: str) -> BudgetLimits:
    return BudgetLimits(Settings(**{name: Decimal(value) for name, value in usd.items()}))


def _engine(stack: Stack) -> AsyncEngine:
    url = f"{stack.role}:{PASSWORD}-role@{LOOPBACK}:{stack.postgres_port}/{stack.database}"
    return create_async_engine(f"postgresql+psycopg://{url}?sslmode=disable", pool_size=4, max_overflow=0)


def _run(stack: Stack, program: Callable[[AsyncEngine], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        engine = _engine(stack)
        try:
            await program(engine)
        finally:
            await engine.dispose()

    asyncio.run(whole())


def _budget(engine: AsyncEngine, limits: BudgetLimits, fleet: str = "f", **options: Any) -> PostgresBudget:
    return PostgresBudget(engine, "test", fleet, limits, **options)


async def _account(engine: AsyncEngine, fleet: str = "f", scope: str = "fleet") -> tuple[int, int, int]:
    query = text(
        "select spent, lost, held from budgets where fleet = :fleet and scope = :scope order by month"
    )
    async with engine.connect() as connection:
        rows = (await connection.execute(query, {"fleet": fleet, "scope": scope})).all()
    return tuple(rows[-1]) if rows else (0, 0, 0)


async def test_no_budget_is_set_and_nothing_is_refused() -> None:
    budget = budgets.choose(Settings(), None, Metrics())
    assert isinstance(budget, NoBudget)
    budget.settle(await budget.reserve(ADA, 10**15), 10**15)


async def test_a_budget_says_which_it_is_its_limit_and_when_it_renews() -> None:
    now = datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC)
    budget = MemoryBudget(_limits(monthly_budget_usd="2.5"), now=lambda: now)
    budget.settle(await budget.reserve(ADA, 2_000_000), 2_000_000)
    with pytest.raises(BudgetExhausted) as refused:
        await budget.reserve(BOB, 600_000)
    assert refused.value.status == 429
    assert refused.value.retry_after == 31
    for said in ("fleet 'agent'", "2.5 USD", "2027-01-01", "AGENT_APP_MONTHLY_BUDGET_USD"):
        assert said in refused.value.detail


async def test_what_running_calls_reserve_may_soon_be_free() -> None:
    budget = MemoryBudget(_limits(monthly_budget_usd="1"))
    held = await budget.reserve(ADA, 900_000)
    with pytest.raises(BudgetExhausted) as refused:
        await budget.reserve(ADA, 200_000)
    assert refused.value.retry_after == 10
    budget.settle(held, 100_000)
    budget.settle(held, 100_000)  # a second time changes nothing
    await budget.reserve(ADA, 900_000)


async def test_a_call_counts_for_the_fleet_its_key_and_its_agent_or_for_none() -> None:
    agents = {
        "assistant": AgentType(agent="a:b", monthly_budget_usd=Decimal(1)),
        "triage": AgentType(agent="a:b"),
    }
    limits = BudgetLimits(
        Settings(agents=agents, monthly_budget_usd=Decimal(3), monthly_budget_usd_per_key=Decimal(2))
    )
    budget = MemoryBudget(limits)
    with pytest.raises(BudgetExhausted, match="agent 'assistant'"):
        await budget.reserve(ADA, 1_500_000)
    await budget.reserve(Caller("triage", "ada"), 2_000_000)  # nothing of the refused one is left
    with pytest.raises(BudgetExhausted, match="key 'ada'"):
        await budget.reserve(Caller("triage", "ada"), 1)
    await budget.reserve(BOB, 1_000_000)
    with pytest.raises(BudgetExhausted, match="fleet 'agent'"):
        await budget.reserve(Caller("triage", "eve"), 1)


def test_many_processes_at_once_spend_nearly_all_and_never_more(stack: Stack) -> None:
    limit = 1_000_000

    async def program(engine: AsyncEngine) -> None:
        several = [_budget(engine, _limits(monthly_budget_usd="1"), idle=0.2) for _ in range(4)]
        settled, outstanding, calls = 0, 0, 0
        deadline = time.monotonic() + 12

        async def caller(budget: PostgresBudget, seed: int) -> None:
            nonlocal settled, outstanding, calls
            chance = random.Random(seed)  # noqa: S311
            while settled < 0.97 * limit and time.monotonic() < deadline:
                most = chance.randint(100, 1500)
                try:
                    held = await budget.reserve(ADA, most)
                except BudgetExhausted:
                    await asyncio.sleep(0.05)
                    continue
                outstanding += most
                assert settled + outstanding <= limit
                await asyncio.sleep(0.001)
                real = chance.randint(most // 3, most)
                budget.settle(held, real)
                outstanding, settled, calls = outstanding - most, settled + real, calls + 1

        async def beats() -> None:
            while True:
                await asyncio.gather(*(budget.beat() for budget in several))
                await asyncio.sleep(0.1)

        beating = asyncio.create_task(beats())
        await asyncio.gather(*(caller(several[i % 4], i) for i in range(40)))
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        await asyncio.gather(*(budget.close() for budget in several))
        assert 0.95 * limit <= settled <= limit
        assert calls > 1000
        assert await _account(engine) == (settled, 0, 0)

    _run(stack, program)


Step = tuple[str, int, int]
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve"] * 4 + ["settle"] * 3 + ["beat", "kill", "expire", "deaf", "close"]),
        st.integers(0, 2),
        st.integers(1, 400),
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_whatever_happens_in_whatever_order_the_limit_holds(stack: Stack, steps: list[Step]) -> None:
    """Kills, allotments that expire under the living, and statements that ran but whose answer was lost."""
    limit, fleet = 2000, f"f{random.getrandbits(60)}"

    async def program(engine: AsyncEngine) -> None:
        limits = _limits(monthly_budget_usd="0.002")
        several = [_budget(engine, limits, fleet, idle=0.0) for _ in range(3)]
        held: list[list[Reservation]] = [[], [], []]
        spent = 0
        for action, who, amount in steps:
            budget = several[who]
            with suppress(LlmProblem):
                if action == "reserve":
                    held[who].append(await budget.reserve(ADA, amount))
                elif action == "settle" and held[who]:
                    one = held[who].pop(amount % len(held[who]))
                    budget.settle(one, real := min(amount, one.micros))
                    spent += real
                elif action == "beat":
                    await budget.beat()
                elif action in {"kill", "close"}:
                    if action == "close":
                        await budget.close()
                    spent += sum(one.micros for one in held[who])  # it may have been
                    several[who], held[who] = _budget(engine, limits, fleet, idle=0.0), []
                elif action == "expire":
                    await _execute(engine, "update budget_allotments set expires_at = now() - interval '1 s'")
                    budget._reap_from = 0.0
                    await budget.beat()
                elif action == "deaf":
                    _lose_an_answer(budget, after=amount % 4)
            reserved = sum(one.micros for mine in held for one in mine)
            assert spent + reserved <= limit
            assert sum(await _account(engine, fleet)) <= limit

    _run(stack, program)


async def _execute(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


def _lose_an_answer(budget: PostgresBudget, *, after: int) -> None:
    """Lets a statement run, and then fails as if its answer had been cut off."""

    ask, left = budget._ask, after

    async def deaf(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        answer = await ask(*arguments, **options)
        left -= 1
        if left < 0:
            budget._ask = ask  # type: ignore[method-assign]
            raise Away
        return answer

    budget._ask = deaf  # type: ignore[method-assign]


def test_a_statement_that_arrives_after_a_newer_one_changes_nothing(stack: Stack) -> None:

    async def program(engine: AsyncEngine) -> None:
        budget = _budget(engine, _limits(monthly_budget_usd="1"), idle=0.0)
        budget.settle(await budget.reserve(ADA, 1000), 1000)
        ask, late = budget._ask, list[Any]()

        async def slow(statement: Any, values: Any, *, rows: bool) -> Any:
            late.append((statement, values))
            raise Away

        budget._ask = slow  # type: ignore[method-assign]
        await budget.beat()  # gives all back, but that is on its way for long
        budget._ask = ask  # type: ignore[method-assign]
        assert late
        await budget.reserve(ADA, 500_000)
        for statement, values in late:
            await ask(statement, values, rows=True)
        spent, _, held = await _account(engine)
        assert spent == 1000
        assert held >= 500_000

    _run(stack, program)


def test_what_a_dead_process_held_counts_as_spent_and_the_rest_can_be_had(stack: Stack) -> None:
    async def program(engine: AsyncEngine) -> None:
        limits = _limits(monthly_budget_usd="1")
        dead, living = _budget(engine, limits), _budget(engine, limits, idle=0.0)
        await dead.reserve(ADA, 10_000)
        held = await living.reserve(ADA, 980_000)
        living.settle(held, 980_000)
        await _execute(
            engine, "update budget_allotments set expires_at = now() - interval '1 s' where settled = 0"
        )
        await living.beat()  # renews its own
        living._reap_from = 0.0
        await living.beat()
        spent, lost, in_hand = await _account(engine)
        assert (spent, lost, in_hand) == (980_000, 10_000, 0)
        with pytest.raises(BudgetExhausted):
            await living.reserve(ADA, 10_001)
        await asyncio.sleep(0.6)
        await living.reserve(ADA, 10_000)

    _run(stack, program)


def test_without_postgres_what_is_in_hand_can_be_spent_and_no_more(stack: Stack) -> None:
    async def program(engine: AsyncEngine) -> None:
        budget = _budget(engine, _limits(monthly_budget_usd="10"))
        budget.settle(await budget.reserve(ADA, 1000), 1000)
        nowhere = f"postgresql+psycopg://x:x@{LOOPBACK}:{free_port()}/x"
        budget._engine = create_async_engine(nowhere)
        for _ in range(9):
            budget.settle(await budget.reserve(ADA, 10_000), 10_000)
        with pytest.raises(LlmProblem, match="database does not answer") as refused:
            await budget.reserve(ADA, 10_000)
        assert refused.value.status == 503
        await budget.beat()  # fails without an error
        budget._engine = engine
        await budget.reserve(ADA, 10_000)
        await budget.close()
        assert await _account(engine) == (91_000, 0, 10_000)

    _run(stack, program)


def test_a_new_month_has_its_own_budget_and_the_old_one_is_settled_in_its_own(stack: Stack) -> None:
    now = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)

    async def program(engine: AsyncEngine) -> None:
        nonlocal now
        budget = _budget(engine, _limits(monthly_budget_usd="1"), now=lambda: now)
        late = await budget.reserve(ADA, 1_000_000)
        with pytest.raises(BudgetExhausted, match="2026-02-01"):
            await budget.reserve(ADA, 1)
        now = datetime(2026, 2, 1, tzinfo=UTC)
        new = await budget.reserve(ADA, 700_000)
        budget.settle(late, 400_000)
        budget.settle(new, 600_000)
        await budget.beat()
        await budget.close()
        async with engine.connect() as connection:
            rows = await connection.execute(
                text("select month::text, spent, held from budgets order by month")
            )
            assert [tuple(row) for row in rows] == [("2026-01-01", 400_000, 0), ("2026-02-01", 600_000, 0)]
            assert await connection.scalar(text("select count(*) from budget_allotments")) == 0

    _run(stack, program)


def test_what_a_call_cost_beyond_its_reservation_is_on_the_account(stack: Stack) -> None:
    async def program(engine: AsyncEngine) -> None:
        budget = _budget(engine, _limits(monthly_budget_usd="1"))
        budget.settle(await budget.reserve(ADA, 100_000), 900_000)
        await budget.close()
        assert await _account(engine) == (900_000, 0, 0)
        with pytest.raises(BudgetExhausted):
            await budget.reserve(ADA, 100_001)

    _run(stack, program)
