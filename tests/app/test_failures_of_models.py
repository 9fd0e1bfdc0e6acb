"""Models that err: tried again, replaced by the next one, left alone, and told of without what was said."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from agent_app.agents.context import Context
from agent_app.agents.conversation import Conversation
from agent_app.agents.runs import Runs
from agent_app.llm import failure, limits
from agent_app.llm.breaker import Breaker
from agent_app.llm.call import LimitReached, LlmProblem, PromptTooLong
from agent_app.llm.calls import problem
from agent_app.problems import Problem
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings, SettingsError
from agent_app.telemetry.metrics import Metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import ModelHTTPError, ModelQuotaExceededError

from tests.app.conftest import GPT
from tests.app.stub_answers import Script
from tests.app.stub_llm import StubLlm

CLAUDE = "anthropic:claude-haiku-4-5"
talk = Conversation("Be kind.")


def _context(runs: Runs) -> Context:
    return runs.context("assistant", "me", "run")


def _statuses(stub: StubLlm) -> list[int]:
    return [call["status"] for call in stub.calls.summary()["calls"]]


@pytest.mark.parametrize("model", [GPT, CLAUDE])
@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "retry_after": 0},
        {"kind": "status", "status": 529},
        {"kind": "cut", "after": 0},
        {"kind": "cut", "after": 0.5},
        {"kind": "garbage"},
        {"kind": "empty"},
        {"kind": "hang"},
    ],
    ids=str,
)
async def test_what_passes_is_tried_again(
    stub: StubLlm, runs: Callable[..., Runs], model: str, rule: dict[str, Any]
) -> None:
    stub.faults.set([{**rule, "next": 1}])
    context = _context(runs(model=model, model_timeout=0.5))
    assert await talk.run("hello", context)
    assert len(_statuses(stub)) == 2
    assert context.tally.calls == 1


async def test_a_vendor_that_asks_for_patience_is_given_it(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    stub.faults.set([{"kind": "status", "status": 429, "retry_after": 1, "next": 1}])
    began = time.monotonic()
    await talk.run("hello", _context(runs()))
    assert time.monotonic() - began >= 1


async def test_a_vendor_that_asks_for_too_much_patience_is_passed_over(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    stub.faults.set([{"kind": "status", "status": 429, "retry_after": 60, "match": "gpt"}])
    context = _context(runs(fallback_models=[CLAUDE]))
    assert await talk.run("hello", context)
    assert context.tally.model == "claude-haiku-4-5"
    assert _statuses(stub) == [429, 200]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_model_that_does_not_let_us_in_is_replaced_at_once(
    stub: StubLlm, runs: Callable[..., Runs], status: int
) -> None:
    stub.faults.set([{"kind": "status", "status": status, "match": "gpt"}])
    assert await talk.run("hello", _context(runs(fallback_models=[CLAUDE])))
    assert _statuses(stub) == [status, 200]


async def test_a_request_that_is_wrong_is_wrong_for_every_model(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    stub.faults.set([{"kind": "status", "status": 400}])
    with pytest.raises(LlmProblem, match="HTTP status 400"):
        await talk.run("hello", _context(runs(fallback_models=[CLAUDE])))
    assert _statuses(stub) == [400]


async def test_when_all_fail_the_problem_names_each_and_tells_no_more(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    stub.faults.set([{"kind": "status", "status": 500}])
    with pytest.raises(LlmProblem) as raised:
        await talk.run("whisper", _context(runs(fallback_models=[CLAUDE], model_attempts=2)))
    assert raised.value.detail == (
        "The model gpt-x answered with HTTP status 500; "
        "The model claude-haiku-4-5 answered with HTTP status 500."
    )
    assert raised.value.status == 502
    assert _statuses(stub) == [500] * 4


async def test_a_model_that_keeps_failing_is_left_alone_and_then_tried_by_one(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    mine = runs(breaker_failures=2, breaker_seconds=0.5, model_attempts=2)
    stub.faults.set([{"kind": "status", "status": 500, "next": 2}])
    for said in ("HTTP status 500", "left alone"):
        with pytest.raises(LlmProblem, match=said):
            await talk.run("hello", _context(mine))
    assert len(_statuses(stub)) == 2
    with pytest.raises(LlmProblem) as raised:
        await talk.run("hello", _context(mine))
    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    time.sleep(0.5)  # noqa: ASYNC251 (the breaker's own clock)
    assert await talk.run("hello", _context(mine))


async def test_a_prompt_that_is_too_long_is_asked_of_no_model(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    with pytest.raises(PromptTooLong, match="AGENT_APP_MAX_PROMPT_TOKENS is 500") as raised:
        await talk.run("word " * 500, _context(runs(max_prompt_tokens=500)))
    assert raised.value.status == 413
    assert not _statuses(stub)


async def test_a_stream_is_tried_again_until_it_begins(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    stub.faults.set([{"kind": "status", "status": 500, "next": 1}])
    context = _context(runs())
    said = [piece async for piece in talk.stream("hello there you", context)]
    assert "hello there you" in "".join(said)
    assert context.tally.output_tokens > 0


async def test_a_stream_that_is_cut_says_so_and_is_not_told_twice(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    stub.faults.set([{"kind": "cut", "after": 0.6}])
    said = []
    with pytest.raises(LlmProblem) as raised:
        async for piece in talk.stream("hello " * 20, _context(runs())):
            said.append(piece)  # noqa: PERF401 (what came before the cut counts)
    assert said
    assert "hello" not in raised.value.detail
    assert len(_statuses(stub)) == 1


async def test_an_answer_of_no_words_is_none(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    stub.scripts = [Script(text="", tools=[])]
    with pytest.raises(Problem, match="without a text"):
        async for _ in talk.stream("hello", _context(runs())):
            pass


async def test_a_stream_that_ends_before_its_end_is_no_answer(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    stub.faults.set([{"kind": "end", "after": 0.6}])
    with pytest.raises(LlmProblem, match="what is no answer"):
        async for _ in talk.stream("hello " * 20, _context(runs(model=CLAUDE))):
            pass


@pytest.mark.parametrize("status", [400, 429])
def test_an_account_without_credit_is_no_fault_of_the_callers_and_does_not_pass(status: int) -> None:
    error = ModelHTTPError.for_category(ModelQuotaExceededError, status_code=status, model_name="gpt-x")
    why = failure.of(error)
    assert why is not None
    assert (why.passes, why.callers_fault, why.may_have_counted) == (False, False, False)


def test_a_vendors_impatience_or_patience_is_told_within_reason() -> None:
    candidate: Any = SimpleNamespace(short="gpt-x")
    for retry_after, told in ((0.0, 1), (1e300, 86_400)):
        assert problem([(candidate, failure.Failure("is busy", 429, retry_after))]).retry_after == told


def test_a_breaker_lets_one_probe_through_and_its_outcome_decides() -> None:
    now = 0.0
    breaker = Breaker(2, 10, clock=lambda: now)
    for _ in range(2):
        assert breaker.lets()
        breaker.failed()
    assert not breaker.lets()
    assert breaker.seconds_left == 10
    now = 10
    assert [breaker.lets() for _ in range(3)] == [True, False, False]
    breaker.failed()
    assert not breaker.lets()
    now = 20
    assert breaker.lets()
    breaker.dropped()  # a probe that was cancelled is made by the next one
    assert breaker.lets()
    breaker.worked()
    assert [breaker.lets() for _ in range(3)] == [True] * 3


@settings(max_examples=50)
@given(st.integers(1, 1000), st.floats(0.01, 60), st.floats(0.01, 600))
def test_pauses_grow_to_their_limit_and_no_further(attempt: int, base: float, longest: float) -> None:
    wait = failure.pause(attempt, base, longest, None)
    assert wait is not None
    assert 0 <= wait <= min(longest, base * 2.0 ** min(attempt - 1, 100))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("Tue, 24 Nov 2026 00:00:09 GMT", 9),
        ("Mon, 23 Nov 2026 00:00:00 GMT", 0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert failure.parsed(text, now=lambda: datetime(2026, 11, 24, tzinfo=UTC)) == seconds


async def test_a_run_waits_for_its_models_limit_and_gives_up_in_time() -> None:
    made = Settings.model_validate(
        {"llm_limits": {"built-in:built-in": {"requests_per_minute": 1}}, "llm_wait_seconds": 0.1}
    )
    runs = Runs(made, LlmKeys(), Metrics())
    assert await talk.run("one", runs.context("assistant", "me", "1"))
    with pytest.raises(LimitReached, match="1 requests a minute"):
        await talk.run("two", runs.context("assistant", "me", "2"))


def test_a_limit_of_no_vendor_is_refused() -> None:
    with pytest.raises(SettingsError, match="AGENT_APP_LLM_LIMITS"):
        limits.limits_of(Settings.model_validate({"llm_limits": {"gpt-x": {}}}))
