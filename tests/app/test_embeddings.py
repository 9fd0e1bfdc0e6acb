"""A text is embedded once; vectors keep what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from agent_app.agents.runs import Runs
from agent_app.llm import vectors
from agent_app.llm.call import BudgetExhausted
from agent_app.problems import Problem
from agent_app.settings import SettingsError
from agent_app.telemetry.metrics import Metrics
from hypothesis import given
from hypothesis import strategies as st

from tests.app.stub_llm import StubLlm

SMALL = "openai:text-embedding-3-small"
_VECTORS = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20)


async def test_each_text_is_asked_for_once(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    metrics = Metrics()
    context = runs(embedding_model=SMALL, metrics=metrics).context("assistant", "me", "run")
    first = await context.embed(["a heron", "a tern", "a heron"])
    again = await context.embed(["a tern", "a gull"])
    assert len(first) == 3
    assert first[0] == first[2] != first[1]
    assert again[0] == pytest.approx(first[1])
    assert [call.last_user_text for call in stub.calls.records] == ["a tern", "a gull"]
    exposed = metrics.exposition().decode()
    assert 'agent_app_cache_requests_total{cache="embedding",outcome="hit"} 1.0' in exposed
    assert 'agent_app_cache_requests_total{cache="embedding",outcome="miss"} 3.0' in exposed


async def test_none_is_kept_where_that_is_said(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    context = runs(embedding_model=SMALL, embedding_cache_seconds=0).context("assistant", "me", "run")
    assert await context.embed(["a heron"]) == await context.embed(["a heron"])
    assert len(stub.calls.records) == 2


async def test_they_count_for_the_budget(stub: StubLlm, runs: Callable[..., Runs]) -> None:
    prices = {SMALL: {"input": "1000000", "output": "0"}, "openai:gpt-x": {"input": 0, "output": 0}}
    mine = runs(embedding_model=SMALL, monthly_budget_usd=50, model_prices=prices)
    context = mine.context("assistant", "me", "run")
    await context.embed(["a heron"])
    with pytest.raises(BudgetExhausted):
        await context.embed(["a heron stands in the water and waits " * 10])
    (line,) = await mine.access.ledger.report()
    assert line.counts.micros == stub.calls.records[0].input_tokens * 1_000_000


async def test_without_a_model_an_agent_is_told_what_is_missing(runs: Callable[..., Runs]) -> None:
    with pytest.raises(Problem, match="AGENT_APP_EMBEDDING_MODEL"):
        await runs().context("assistant", "me", "run").embed(["a heron"])


async def test_a_vendor_without_embeddings_is_refused(runs: Callable[..., Runs]) -> None:
    with pytest.raises(SettingsError, match="anthropic has no embeddings"):
        runs(embedding_model="anthropic:claude-haiku-4-5")


@given(_VECTORS)
def test_a_vector_is_read_back_as_it_was(vector: list[float]) -> None:
    assert vectors.unpacked(vectors.packed(vector)) == vector


@given(_VECTORS, _VECTORS)
def test_likeness_is_the_cosine(one: list[float], other: list[float]) -> None:
    lengths = math.hypot(*one) * math.hypot(*other)
    if len(one) != len(other) or lengths < 1e-6:
        return
    product = sum(a * b for a, b in zip(one, other, strict=True))
    assert vectors.cosine(one, other) == pytest.approx(product / lengths, abs=1e-6)


def test_vectors_of_different_models_are_not_alike() -> None:
    assert vectors.cosine([1.0, 0.0], [1.0]) == vectors.cosine([0.0], [0.0]) == 0
