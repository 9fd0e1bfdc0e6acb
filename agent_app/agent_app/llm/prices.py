"""What a call costs, in millionths of a USD, rounded up: genai-prices' list, and the settings over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from agent_app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider
    from pydantic_ai.usage import RequestUsage

BUILT_IN = "built-in"
#: The prices of plain text calls; a list's other ones are for what such a call does not do.
_TEXT = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok", "output_mtok")
_OTHER_USE = ("input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens", "audio_seconds")


@dataclass(frozen=True)
class _Rates:
    """USD for a million tokens, which is millionths of a USD for one."""

    input: Decimal
    cached: Decimal
    written: Decimal
    written_1h: Decimal
    output: Decimal

    def micros(self, usage: RequestUsage) -> int:
        cached, written, hour = usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
        plain = max(0, usage.input_tokens - cached - written)
        return _up(
            plain * self.input
            + cached * self.cached
            + (written - hour) * self.written
            + hour * self.written_1h
            + usage.output_tokens * self.output
        )

    def at_most(self, input_tokens: int, output_tokens: int) -> int:
        dearest = max(self.input, self.cached, self.written, self.written_1h)
        return _up(input_tokens * dearest + output_tokens * self.output)


class _Listed:
    """A model whose price has tiers, or depends on the time: the library reckons, in 0.2 ms."""

    def __init__(self, provider: Provider, model: ModelInfo) -> None:
        self._provider = provider
        self._model = model

    def micros(self, usage: RequestUsage) -> int:
        return _up(self._model.calc_price(usage, self._provider).total_price * 1_000_000)

    def at_most(self, input_tokens: int, output_tokens: int) -> int:
        from pydantic_ai.usage import RequestUsage

        write = {"cache_write_tokens": input_tokens}
        ways: tuple[Mapping[str, int], ...] = ({}, write, {**write, "cache_write_1h_tokens": input_tokens})
        return max(
            self.micros(RequestUsage(input_tokens=input_tokens, output_tokens=output_tokens, **way))
            for way in ways
        )


class Prices:
    """What calls of `vendor:model` cost; a model whose price nobody knows costs 0, and no budget allows it.

    Args:
        settings: AGENT_APP_MODEL_PRICES.

    Raises:
        SettingsError: it names something that is no `vendor:model`.
    """

    def __init__(self, settings: Settings) -> None:
        wrong = sorted(name for name in settings.model_prices if ":" not in name)
        if wrong:
            raise SettingsError(
                f"AGENT_APP_MODEL_PRICES has {', '.join(map(repr, wrong))}: its keys are vendor:model, such "
                f"as 'openai:gpt-5-mini'. Name the vendor."
            )
        self._known: dict[str, _Rates | _Listed | None] = {}
        for name, price in settings.model_prices.items():
            cached = price.input if price.cached_input is None else price.cached_input
            self._known[name] = _Rates(price.input, cached, price.input, price.input, price.output)

    def known(self, model: str) -> bool:
        """Whether the model has a price; the built-in one has: 0."""
        return _free(model) or self._of(model) is not None

    def micros(self, model: str, usage: RequestUsage) -> int:
        """What the call cost; cached input at its own price."""
        price = None if _free(model) else self._of(model)
        if price is None:
            return 0
        if isinstance(price, _Rates) and any(getattr(usage, name, 0) for name in _OTHER_USE):
            listed = _find(model)
            price = price if listed is None else listed
        return price.micros(usage)

    def at_most(self, model: str, input_tokens: int, output_tokens: int) -> int:
        """The most that a call of so many tokens costs, whichever of them the vendor's cache takes in."""
        price = None if _free(model) else self._of(model)
        return 0 if price is None else price.at_most(input_tokens, output_tokens)

    def check(self, settings: Settings, models: Iterable[str]) -> None:
        """Refuses a budget for models whose price is not known.

        Raises:
            SettingsError: naming them all.
        """
        budgets = {
            "AGENT_APP_MONTHLY_BUDGET_USD": settings.monthly_budget_usd,
            "AGENT_APP_MONTHLY_BUDGET_USD_PER_KEY": settings.monthly_budget_usd_per_key,
            **{
                f"monthly_budget_usd of the agent {name!r}": agent.monthly_budget_usd
                for name, agent in settings.agents.items()
            },
        }
        asked = [name for name, budget in budgets.items() if budget is not None]
        unknown = [model for model in dict.fromkeys(models) if not self.known(model)]
        if asked and unknown:
            example = f'{{"{unknown[0]}": {{"input": "0.25", "output": "2"}}}}'
            raise SettingsError(
                f"{asked[0]} is set, but the price of {', '.join(map(repr, unknown))} is not known: say it "
                f"in AGENT_APP_MODEL_PRICES, in USD for a million tokens, such as {example}, or unset it."
            )

    def _of(self, model: str) -> _Rates | _Listed | None:
        if model not in self._known:
            listed = _find(model)
            self._known[model] = None if listed is None else _rates(listed) or listed
        return self._known[model]


def _free(model: str) -> bool:
    return model == BUILT_IN or model.startswith(f"{BUILT_IN}:")


def _find(model: str) -> _Listed | None:
    from genai_prices import data_snapshot

    vendor, _, name = model.partition(":")
    try:
        return _Listed(*data_snapshot.get_snapshot().find_provider_model(name, None, vendor, None))
    except LookupError:
        return None


def _rates(listed: _Listed) -> _Rates | None:
    """The rates of a price that is the same for each token, at any time: 100 times as fast as the library."""
    prices: Any = listed._model.prices
    said = {} if isinstance(prices, list) else {k: v for k, v in prices.__dict__.items() if v is not None}
    if not said or "requests_kcount" in said:
        return None
    rates = [said.get(name) for name in _TEXT]
    if not all(rate is None or isinstance(rate, Decimal) for rate in rates) or rates[0] is None:
        return None
    input, cached, written, hour, output = rates
    written = input if written is None else written
    return _Rates(
        input,
        input if cached is None else cached,
        written,
        written if hour is None else hour,
        Decimal(0) if output is None else output,
    )


def _up(micros: Decimal) -> int:
    return int(micros.to_integral_value(ROUND_CEILING))
