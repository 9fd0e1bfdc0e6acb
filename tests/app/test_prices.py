"""What calls cost, to the millionth of a USD."""

from __future__ import annotations

from decimal import Decimal

import pytest
from agent_app.llm import tokens
from agent_app.llm.prices import Prices, _find
from agent_app.settings import Settings, SettingsError
from agent_app.settings.agents import AgentType
from agent_app.settings.llm import ModelPrice
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.usage import RequestUsage

MODELS = ("openai:gpt-5-mini", "anthropic:claude-haiku-4-5", "anthropic:claude-sonnet-4-5")
_TOKENS = st.integers(0, 300_000)


def _prices(**settings: object) -> Prices:
    return Prices(Settings(**settings))


@given(st.sampled_from(MODELS), _TOKENS, _TOKENS, _TOKENS, _TOKENS, _TOKENS)
def test_a_call_costs_what_the_list_says_and_never_more_than_was_said_before(
    model: str, plain: int, cached: int, written: int, hour: int, output: int
) -> None:
    usage = RequestUsage(
        input_tokens=plain + cached + written + hour,
        cache_read_tokens=cached,
        cache_write_tokens=written + hour,
        cache_write_1h_tokens=hour,
        output_tokens=output,
    )
    prices, listed = _prices(), _find(model)
    assert listed is not None
    assert prices.micros(model, usage) == listed.micros(usage)
    assert prices.micros(model, usage) <= prices.at_most(model, usage.input_tokens, output)


def test_cached_input_has_its_own_price_and_all_is_rounded_up() -> None:
    prices = _prices()
    usage = RequestUsage(input_tokens=1000, cache_read_tokens=200, output_tokens=100)
    assert prices.micros("openai:gpt-5-mini", usage) == 405
    assert prices.micros("openai:gpt-5-mini", RequestUsage(input_tokens=1)) == 1


def test_the_settings_prices_go_before_the_list() -> None:
    own = {"openai:gpt-5-mini": ModelPrice(input=Decimal(10), output=Decimal(20), cached_input=Decimal(1))}
    prices = _prices(model_prices={**own, "openai:ours": ModelPrice(input=Decimal(3), output=Decimal(4))})
    usage = RequestUsage(input_tokens=100, cache_read_tokens=40, output_tokens=10)
    assert prices.micros("openai:gpt-5-mini", usage) == 60 * 10 + 40 + 10 * 20
    assert prices.micros("openai:ours", usage) == 100 * 3 + 10 * 4
    assert prices.at_most("openai:ours", 100, 10) == 340
    assert prices.known("openai:ours")


def test_the_built_in_model_is_free_and_an_unknown_one_costs_nothing_that_could_be_said() -> None:
    prices = _prices()
    for model, known in (("built-in", True), ("built-in:built-in", True), ("openai:nobody-knows", False)):
        assert prices.known(model) is known
        assert prices.micros(model, RequestUsage(input_tokens=10)) == prices.at_most(model, 10, 10) == 0


@pytest.mark.parametrize(
    ("budget", "named"),
    [
        ({"monthly_budget_usd": 5}, "AGENT_APP_MONTHLY_BUDGET_USD is"),
        ({"monthly_budget_usd_per_key": 5}, "AGENT_APP_MONTHLY_BUDGET_USD_PER_KEY is"),
        ({"agents": {"a": AgentType(agent="m:a", monthly_budget_usd=Decimal(5))}}, "agent 'a'"),
    ],
)
def test_a_budget_for_a_model_without_a_price_is_refused_at_start(
    budget: dict[str, object], named: str
) -> None:
    settings = Settings(**budget)
    with pytest.raises(SettingsError) as refused:
        Prices(settings).check(settings, ["openai:gpt-5-mini", "openai:mine", "built-in"])
    for said in (named, "'openai:mine'", "AGENT_APP_MODEL_PRICES"):
        assert said in str(refused.value)
    assert "gpt-5" not in str(refused.value)
    Prices(settings).check(settings, ["openai:gpt-5-mini", "built-in"])
    Prices(Settings()).check(Settings(), ["openai:mine"])


def test_a_price_without_its_vendor_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'gpt-5'.*vendor:model"):
        _prices(model_prices={"gpt-5": ModelPrice(input=Decimal(1), output=Decimal(1))})


@given(st.text(st.characters()))
def test_a_text_is_at_least_a_token_for_four_bytes_and_at_most_one_for_each(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    assert tokens.at_most(text) == size
    assert size <= 4 * tokens.estimate(text) < size + 4
