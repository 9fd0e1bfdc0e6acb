"""What a call of a model may cost is set aside before it, settled after it, and counted once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from agent_app.agents.conversation import Conversation
from agent_app.agents.runs import Runs
from agent_app.llm.call import BudgetExhausted, Caller, LlmProblem
from agent_app.settings import SettingsError
from agent_app.telemetry.metrics import Metrics

from tests.app.conftest import GPT
from tests.app.stub_llm import StubLlm

#: USD for a million tokens: so many millionths of a USD for one.
PRICES = {GPT: {"input": "2", "output": "10"}}
CLAUDE = "anthropic:claude-haiku-4-5"
talk = Conversation("Be kind.")


async def _spent(runs: Runs, agent: str = "assistant") -> int:
    (stand,) = await runs.access.budget.standing([Caller(agent, "me")])
    assert stand.reserved == 0
    return stand.spent


async def _lines(runs: Runs) -> list[tuple[str, int, int, int]]:
    lines = await runs.access.ledger.report(group_by=["model"])
    return [
        (line.group["model"], line.counts.requests, line.counts.failures, line.counts.micros)
        for line in lines
    ]


def _charged(stub: StubLlm) -> int:
    """Millionths of a USD, as the vendor would reckon."""
    return sum(call.input_tokens * 2 + call.output_tokens * 10 for call in stub.calls.records)


@pytest.fixture
def priced(runs: Callable[..., Runs]) -> Callable[..., Runs]:
    def make(**settings: Any) -> Runs:
        return runs(
            **{"model_prices": PRICES, "monthly_budget_usd": Decimal(1), "max_output_tokens": 100, **settings}
        )

    return make


@pytest.mark.parametrize("streams", [False, True])
async def test_a_call_costs_what_the_vendor_counts(
    stub: StubLlm, priced: Callable[..., Runs], *, streams: bool
) -> None:
    metrics = Metrics()
    mine = priced(metrics=metrics)
    context = mine.context("assistant", "me", "run")
    if streams:
        assert [piece async for piece in talk.stream("hello there", context)]
    else:
        assert await talk.run("hello there", context)
    assert context.tally.cost_micros == _charged(stub) > 0
    assert await _spent(mine) == _charged(stub)
    assert await _lines(mine) == [(GPT, 1, 0, _charged(stub))]
    exposed = metrics.exposition().decode()
    assert (
        f'agent_app_llm_cost_usd_total{{agent="assistant",model="gpt-x"}} {_charged(stub) / 1e6}' in exposed
    )


async def test_a_vendor_that_refuses_costs_nothing(stub: StubLlm, priced: Callable[..., Runs]) -> None:
    stub.faults.set([{"kind": "status", "status": 500}])
    mine = priced(model_attempts=2)
    with pytest.raises(LlmProblem):
        await talk.run("hello", mine.context("assistant", "me", "run"))
    assert await _spent(mine) == 0
    assert await _lines(mine) == [(GPT, 2, 2, 0)]


@pytest.mark.parametrize("rule", [{"kind": "hang"}, {"kind": "cut", "after": 0.5}], ids=str)
async def test_what_the_vendor_may_have_charged_counts_as_charged(
    stub: StubLlm, priced: Callable[..., Runs], rule: dict[str, Any]
) -> None:
    stub.faults.set([rule])
    mine = priced(model_attempts=1, model_timeout=0.3)
    with pytest.raises(LlmProblem):
        await talk.run("hello", mine.context("assistant", "me", "run"))
    # The longest answer at least, whatever it was.
    assert await _spent(mine) >= 100 * 10


async def test_a_stream_that_breaks_off_counts_whole(stub: StubLlm, priced: Callable[..., Runs]) -> None:
    stub.faults.set([{"kind": "cut", "after": 0.6}])
    mine = priced(model_attempts=1)
    with pytest.raises(LlmProblem):
        async for _ in talk.stream("hello " * 20, mine.context("assistant", "me", "run")):
            pass
    assert await _spent(mine) >= 100 * 10


@pytest.mark.parametrize("model", [GPT, CLAUDE])
async def test_a_stream_that_ends_before_its_end_counts_whole(
    stub: StubLlm, priced: Callable[..., Runs], model: str
) -> None:
    stub.faults.set([{"kind": "end", "after": 0.6}])
    mine = priced(model=model, model_prices={model: PRICES[GPT]}, model_attempts=1)
    with contextlib.suppress(LlmProblem):
        async for _ in talk.stream("hello " * 20, mine.context("assistant", "me", "run")):
            pass
    assert await _spent(mine) >= 100 * 10


async def test_a_vendor_that_is_not_there_costs_nothing(priced: Callable[..., Runs]) -> None:
    mine = priced(OPENAI_BASE_URL="http://127.0.0.1:9/v1", model_attempts=1)
    with pytest.raises(LlmProblem, match="could not be reached"):
        await talk.run("hello", mine.context("assistant", "me", "run"))
    assert await _spent(mine) == 0


async def test_who_leaves_in_the_middle_of_a_stream_leaves_nothing_set_aside(
    stub: StubLlm, priced: Callable[..., Runs]
) -> None:
    mine = priced()
    stream = talk.stream("hello " * 50, mine.context("assistant", "me", "run"))
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator
    assert await _spent(mine) >= 100 * 10


async def test_a_spent_budget_asks_no_vendor_and_says_which(
    stub: StubLlm, priced: Callable[..., Runs]
) -> None:
    metrics = Metrics()
    mine = priced(monthly_budget_usd=Decimal("0.0001"), metrics=metrics)
    with pytest.raises(BudgetExhausted, match="AGENT_APP_MONTHLY_BUDGET_USD") as raised:
        await talk.run("hello", mine.context("assistant", "me", "run"))
    assert (raised.value.status, raised.value.extensions) == (429, {"budget": "fleet"})
    assert not stub.calls.records
    assert 'agent_app_llm_budget_refusals_total{scope="fleet"} 1.0' in metrics.exposition().decode()


async def test_many_at_once_never_spend_more_than_the_budget(
    stub: StubLlm, priced: Callable[..., Runs]
) -> None:
    stub.delay = 0.01
    mine = priced(monthly_budget_usd=Decimal("0.02"))

    async def one(number: int) -> bool:
        try:
            await talk.run(f"hello {number}", mine.context("assistant", "me", str(number)))
        except BudgetExhausted:
            return False
        return True

    answered = await asyncio.gather(*(one(number) for number in range(100)))
    assert 0 < sum(answered) < 100
    assert await _spent(mine) == _charged(stub) <= 20_000


async def test_a_budget_needs_a_price(runs: Callable[..., Runs]) -> None:
    with pytest.raises(SettingsError, match=r"openai:gpt-x.*AGENT_APP_MODEL_PRICES"):
        runs(monthly_budget_usd=Decimal(1))


async def test_money_is_free_again_when_the_quota_is_used_up(
    stub: StubLlm, priced: Callable[..., Runs]
) -> None:
    mine = priced(llm_requests_per_minute=1, llm_wait_seconds=0.05)
    await talk.run("one", mine.context("assistant", "me", "1"))
    with pytest.raises(LlmProblem, match="1 requests a minute"):
        await talk.run("two", mine.context("assistant", "me", "2"))
    assert await _spent(mine) == _charged(stub)
