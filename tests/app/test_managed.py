"""Whatever becomes of a call, what was set aside for it is settled, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pytest
from agent_app.agents.context import Tally
from agent_app.llm import bounds
from agent_app.llm.breaker import Breaker
from agent_app.llm.budget import BudgetLimits, MemoryBudget
from agent_app.llm.call import Caller
from agent_app.llm.calls import Calls, Candidate
from agent_app.llm.limits import MemoryRateLimits, limits_of
from agent_app.llm.managed import ManagedModel
from agent_app.llm.prices import Prices
from agent_app.llm.usage import Counts, MemoryLedger
from agent_app.problems import Problem
from agent_app.settings import Settings
from agent_app.telemetry.metrics import Metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from tests.app.conftest import GPT

ME = Caller("assistant", "me")
ASKED: list[ModelMessage] = [ModelRequest.user_text_prompt("hello there")]
#: Of one task's calls: what becomes of them, and after how many turns of the loop.
FATE: ContextVar[tuple[str, int]] = ContextVar("FATE")
IMPOSSIBLE = RequestUsage(input_tokens=5, cache_read_tokens=50, output_tokens=1)


@dataclass
class Bench:
    """A managed model over one that does what it is told to."""

    fate: str = "answers"
    usage: RequestUsage = field(default_factory=RequestUsage)
    thinks: str | None = None
    asked: int = 0
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = Settings.model_validate(
            {
                "model_prices": {GPT: {"input": 2, "output": 10}},
                "monthly_budget_usd": "0.02",
                "llm_requests_per_minute": 40,
                "llm_wait_seconds": 0,
                "max_output_tokens": 50,
                "model_attempts": 2,
                "model_backoff_seconds": 0.0001,
                **self.settings,
            }
        )
        self.budget = MemoryBudget(BudgetLimits(self.made))
        self.ledger = MemoryLedger()
        self.breaker = Breaker(4, 0.0001)
        self.calls = Calls(
            self.made,
            limits=MemoryRateLimits(limits_of(self.made)),
            budget=self.budget,
            prices=Prices(self.made),
            ledger=self.ledger,
            metrics=Metrics(),
        )
        self.vendor = FunctionModel(self._answer, stream_function=self._stream, model_name="gpt-x")

    def model(self, name: str = GPT) -> ManagedModel:
        candidates = [Candidate(name, self.vendor, self.breaker)]
        return ManagedModel(candidates, caller=ME, tally=Tally(), settings=self.made, calls=self.calls)

    async def _fate(self) -> None:
        self.asked += 1
        fate, pauses = FATE.get((self.fate, 0))
        for _ in range(pauses):
            await asyncio.sleep(0)
        if fate.isdigit():
            raise ModelHTTPError(int(fate), "gpt-x")
        if fate == "breaks":
            raise ModelAPIError("gpt-x", "broke")
        if fate == "hangs":
            await asyncio.sleep(3600)

    async def _answer(self, _: list[ModelMessage], __: AgentInfo) -> ModelResponse:
        await self._fate()
        part = TextPart("hello") if self.thinks is None else ThinkingPart(self.thinks)
        reason: Any = None if self.thinks is None else "length"
        return ModelResponse(parts=[part], usage=self.usage, finish_reason=reason)

    async def _stream(self, _: list[ModelMessage], __: AgentInfo) -> AsyncIterator[str]:
        yield "hello "
        await self._fate()
        yield "there"

    async def counted(self) -> Counts:
        lines = await self.ledger.report()
        return lines[0].counts if lines else Counts()

    async def ask(self, *, streams: bool = False, leaves: bool = False) -> None:
        if not streams:
            await model_request(self.model(), ASKED)
            return
        async with model_request_stream(self.model(), ASKED) as response:
            async for _ in response:
                await asyncio.sleep(0)
                if leaves:
                    return


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["answers", "500", "504", "400", "429", "breaks", "hangs", "leaves"]),
            st.booleans(),
            st.integers(0, 4),
            st.integers(0, 12) | st.none(),
        ),
        max_size=25,
    )
)
async def test_whatever_happens_to_calls_each_is_settled_and_counted_once(
    plan: list[tuple[str, bool, int, int | None]],
) -> None:
    bench = Bench(settings={"model_timeout": 0.02})

    async def one(fate: str, streams: bool, pauses: int) -> None:
        FATE.set((fate, pauses))
        await bench.ask(streams=streams, leaves=fate == "leaves")

    async def cancelled(task: asyncio.Task[None], after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()

    tasks = []
    for fate, streams, pauses, after in plan:
        tasks.append(asyncio.create_task(one(fate, streams, pauses)))
        if after is not None:
            await cancelled(tasks[-1], after)
    await asyncio.gather(*tasks, return_exceptions=True)
    (stand,) = await bench.budget.standing([ME])
    counts = await bench.counted()
    assert stand.reserved == 0
    assert stand.spent == counts.micros <= stand.limit
    assert bench.asked <= counts.requests <= 40
    await asyncio.sleep(0.001)
    assert bench.breaker.lets()  # no probe is under way for ever


async def test_what_a_reader_raises_is_not_the_models_failure() -> None:
    bench = Bench()
    for _ in range(10):
        with pytest.raises(ValueError, match="mine"):
            async with model_request_stream(bench.model(), ASKED) as response:
                async for _ in response:
                    raise ValueError("mine")
    assert not bench.breaker.is_open


async def test_a_slow_reader_does_not_use_up_the_models_time() -> None:
    bench = Bench(settings={"model_timeout": 0.1})
    async with model_request_stream(bench.model(), ASKED) as response:
        async for _ in response:
            await asyncio.sleep(0.15)
    assert (await bench.counted()).failures == 0


async def test_a_stream_that_stalls_is_the_models_failure_and_ends_in_time() -> None:
    bench = Bench(fate="hangs", settings={"model_timeout": 0.05})
    for _ in range(4):
        with pytest.raises(Problem, match="did not answer in time"):
            await bench.ask(streams=True)
    assert bench.breaker.is_open


async def test_a_model_whose_streams_all_break_off_is_left_alone() -> None:
    bench = Bench(fate="503")
    for _ in range(4):
        with pytest.raises(Problem, match="HTTP status 503"):
            await bench.ask(streams=True)
    assert bench.breaker.is_open
    assert (await bench.counted()).micros > 4 * 50 * 10


@pytest.mark.parametrize(
    ("fate", "costs"),
    [("500", False), ("503", False), ("429", False), ("408", True), ("502", True), ("504", True)],
)
async def test_what_a_gateway_says_for_a_vendor_counts_whole(fate: str, *, costs: bool) -> None:
    bench = Bench(fate=fate, settings={"model_attempts": 1})
    with pytest.raises(Problem):
        await bench.ask()
    assert bool((await bench.counted()).micros) == costs


@pytest.mark.parametrize(
    "usage",
    [IMPOSSIBLE, RequestUsage(output_tokens=3), RequestUsage(input_tokens=-3, output_tokens=1)],
    ids=["more from a cache than there was", "no prompt", "less than nothing"],
)
async def test_usage_that_cannot_be_counts_as_all_that_was_set_aside(usage: RequestUsage) -> None:
    # Its price has tiers: the library reckons it, and refuses to.
    bench = Bench(usage=usage)
    await model_request(bench.model("anthropic:claude-sonnet-4-5"), ASKED)
    (stand,) = await bench.budget.standing([ME])
    assert stand.reserved == 0
    assert stand.spent > 50 * 10


async def test_thinking_that_takes_all_the_tokens_is_paid_for_once_and_asked_once() -> None:
    bench = Bench(thinks="hm", usage=RequestUsage(input_tokens=5, output_tokens=50))
    response = await model_request(bench.model(), ASKED)
    assert (response.finish_reason, bench.asked, bench.breaker.is_open) == ("length", 1, False)
    assert (await bench.counted()).micros == 5 * 2 + 50 * 10


@pytest.mark.parametrize(("asked", "sent"), [(None, 50), (0, 50), (7, 7), (10**6, 50)])
def test_an_agents_own_bound_is_not_beyond_the_services(asked: Any, sent: int) -> None:
    bounded = bounds.bounded(ModelSettings(max_tokens=asked, max_retries=9, temperature=0), 50)
    assert bounded == {"max_tokens": sent, "temperature": 0}


@pytest.mark.parametrize(
    "own",
    [
        {"extra_body": {"n": 5}},
        {"extra_body": {"max_completion_tokens": 10**6}},
        {"service_tier": "priority"},
        {"anthropic_speed": "fast"},
    ],
    ids=str,
)
async def test_what_cannot_be_paid_for_in_advance_is_refused(own: Any) -> None:
    bench = Bench()
    with pytest.raises(Problem, match="leave it out") as raised:
        await model_request(bench.model(), ASKED, model_settings=own)
    assert (raised.value.status, bench.asked) == (501, 0)


@pytest.mark.parametrize("what", ["compact_messages", "batch_create"])
async def test_no_call_goes_past_the_limits(what: str) -> None:
    with pytest.raises(Problem, match=what):
        await getattr(Bench().model(), what)([])


@pytest.mark.parametrize(
    "file", [ImageUrl("https://x/y.png"), BinaryContent(b"\0" * 900_000, media_type="image/png")]
)
async def test_what_a_vendor_sees_itself_is_set_aside_as_all_its_model_takes_in(file: Any) -> None:
    bench = Bench(settings={"monthly_budget_usd": "4.1"}, fate="hangs")
    asked = [ModelRequest(parts=[UserPromptPart(["what is this?", file])])]
    call = asyncio.create_task(model_request(bench.model(), asked))
    await asyncio.sleep(0.02)
    (stand,) = await bench.budget.standing([ME])
    call.cancel()
    assert 2 * 2_000_000 < stand.reserved < 2 * 2_002_000 + 50 * 10
