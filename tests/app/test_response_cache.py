"""An answer is given again to the same question, and to nobody else's like it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from agent_app.agents.context import Message
from agent_app.agents.conversation import Conversation
from agent_app.agents.runs import Runs
from agent_app.llm.call import Caller, LlmProblem
from agent_app.llm.prompt import Prompt
from agent_app.llm.response_cache import ResponseCache
from agent_app.llm.usage import MemoryLedger
from agent_app.settings import Settings, SettingsError
from agent_app.settings.agents import SHIPPED, AgentType
from agent_app.state.cache import MemoryCache
from agent_app.telemetry.metrics import Metrics
from pydantic_ai.messages import ModelResponse, ThinkingPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters

from tests.app.conftest import GPT
from tests.app.stub_llm import StubLlm

talk = Conversation("Be kind.")
CUT = {"kind": "cut", "after": 0.6}
CACHED = {"response_cache_seconds": 60}
ALIKE = {**CACHED, "embedding_model": "built-in", "semantic_cache_similarity": 0.9}
ASKED = "How do I reset the password of my account please"
REORDERED = "please how do I reset the password of my account"


async def _say(
    runs: Runs, text: str, *, owner: str = "me", agent: str = "assistant", history: Sequence[Message] = ()
) -> Any:
    context = runs.context(agent, owner, "run", history)
    return await talk.run(text, context), context.tally


async def test_the_same_question_is_asked_once_and_costs_once(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    metrics = Metrics()
    mine = runs(**CACHED, metrics=metrics)
    first, _ = await _say(mine, ASKED)
    again, tally = await _say(mine, ASKED, owner="somebody else")
    assert again == first
    assert (tally.cached, tally.calls, tally.input_tokens, tally.cost_micros) == (1, 1, 0, 0)
    assert len(stub.calls.records) == 1
    exposed = metrics.exposition().decode()
    for outcome in ("hit", "miss"):
        assert f'agent_app_cache_requests_total{{cache="response",outcome="{outcome}"}} 1.0' in exposed
    (line,) = await mine.access.ledger.report()
    assert (line.counts.requests, line.counts.failures) == (2, 0)


async def test_it_is_off_unless_it_is_asked_for(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    mine = runs()
    await _say(mine, ASKED)
    await _say(mine, ASKED)
    assert len(stub.calls.records) == 2


async def test_an_agent_may_say_its_own(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    off = SHIPPED["wait"].model_copy(update={"response_cache_seconds": 0})
    mine = runs(**CACHED, agents={"assistant": SHIPPED["assistant"], "fresh": off})
    for agent in ("assistant", "assistant", "fresh", "fresh"):
        await _say(mine, ASKED, agent=agent)
    assert len(stub.calls.records) == 3


@pytest.mark.parametrize("other", ["history", "agent", "instructions", "model"])
async def test_another_question_is_asked(stub: StubLlm, runs: Callable[..., Runs], other: str) -> None:
    agents = {"assistant": SHIPPED["assistant"], "twin": SHIPPED["assistant"]}
    agents["dear"] = AgentType(agent=SHIPPED["assistant"].agent, model="openai:gpt-y")
    mine = runs(**CACHED, agents=agents)
    await _say(mine, ASKED)
    if other == "instructions":
        await Conversation("Be curt.").run(ASKED, mine.context("assistant", "me", "run"))
    else:
        history = [Message("user", "a"), Message("assistant", "b")] if other == "history" else []
        agent = {"agent": "twin", "model": "dear"}.get(other, "assistant")
        await _say(mine, ASKED, agent=agent, history=history)
    assert len(stub.calls.records) == 2


async def test_a_stream_is_kept_and_told_again(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    mine = runs(**CACHED)
    first = [piece async for piece in talk.stream(ASKED, mine.context("assistant", "me", "run"))]
    again = [piece async for piece in talk.stream(ASKED, mine.context("assistant", "me", "run"))]
    assert len(first) > 1
    assert again == ["".join(first)]
    assert (await _say(mine, ASKED))[0] == again[0]


async def test_thinking_that_is_given_again_is_still_its_vendors() -> None:
    cache = ResponseCache(MemoryCache(), place="a", seconds=9, ledger=MemoryLedger(), metrics=Metrics())
    thinking = ThinkingPart("hm", signature="signed", provider_name="anthropic")
    whose = {"provider_name": "anthropic", "canonical_system": "anthropic", "finish_reason": "tool_call"}
    first = ModelResponse(parts=[thinking, ToolCallPart("look", {})], **whose)  # type: ignore[arg-type]
    prompt, me = Prompt([], {}, ModelRequestParameters()), Caller("a", "me")
    await (await cache.look(prompt, me, GPT)).keep(first)
    again = (await cache.look(prompt, me, GPT)).answer
    assert again is not None
    assert again.parts == first.parts
    assert {name: getattr(again, name) for name in whose} == whose


@pytest.mark.parametrize("rule", [CUT, {**CUT, "kind": "end"}, {"kind": "status", "status": 500}], ids=str)
async def test_a_failure_is_not_kept(stub: StubLlm, runs: Callable[..., Runs], rule: dict[str, Any]) -> None:
    stub.faults.set([{**rule, "next": 1}])
    mine = runs(**CACHED, model_attempts=1)
    with contextlib.suppress(LlmProblem):
        async for _ in talk.stream(ASKED, mine.context("assistant", "me", "run")):
            pass
    answer, tally = await _say(mine, ASKED)
    assert ASKED in answer
    assert tally.cached == 0


async def test_an_answer_that_was_cut_short_is_not_kept(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    mine = runs(**CACHED, max_output_tokens=2)
    await _say(mine, ASKED)
    await _say(mine, ASKED)
    assert len(stub.calls.records) == 2


async def test_a_spare_models_answer_is_not_kept(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    stub.faults.set([{"kind": "status", "status": 401, "match": "gpt", "next": 1}])
    mine = runs(**CACHED, fallback_models=["anthropic:claude-haiku-4-5"])
    assert (await _say(mine, ASKED))[1].model == "claude-haiku-4-5"
    assert (await _say(mine, ASKED))[1].model == "gpt-x"


async def test_a_question_that_means_the_same_has_the_same_answer(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    metrics = Metrics()
    mine = runs(**ALIKE, metrics=metrics)
    first, _ = await _say(mine, ASKED)
    again, tally = await _say(mine, REORDERED)
    assert (again, tally.cached) == (first, 1)
    assert 'outcome="similar"} 1.0' in metrics.exposition().decode()
    assert (await _say(mine, "What is a heron?"))[1].cached == 0
    assert len(stub.calls.records) == 2


@pytest.mark.parametrize("other", ["owner", "history", "agent"])
async def test_what_only_means_the_same_is_not_told_elsewhere(
    stub: StubLlm, runs: Callable[..., Runs], other: str
) -> None:
    mine = runs(**ALIKE)
    await _say(mine, ASKED)
    history = [Message("user", "a"), Message("assistant", "b")] if other == "history" else []
    owner, agent = ("you" if other == "owner" else "me"), ("triage" if other == "agent" else "assistant")
    _, tally = await _say(mine, REORDERED, owner=owner, agent=agent, history=history)
    assert tally.cached == 0


async def test_a_model_of_embeddings_that_fails_spoils_no_answer(
    stub: StubLlm, runs: Callable[..., Runs]
) -> None:
    stub.faults.set([{"kind": "status", "status": 500, "match": "embed"}])
    mine = runs(**{**ALIKE, "embedding_model": "openai:text-embed"}, model_attempts=1)
    answer, _ = await _say(mine, ASKED)
    assert ASKED in answer


def test_likeness_needs_a_model_of_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_APP_SEMANTIC_CACHE_SIMILARITY", "0.9")
    with pytest.raises(SettingsError, match="without AGENT_APP_EMBEDDING_MODEL"):
        Settings.load()
