"""How a fleet reaches language models, and what it may spend on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from agent_infra.component import Args, shaped

#: What the service takes for an answer where `max_output_tokens` is not said.
DEFAULT_OUTPUT_TOKENS = 4096
BUILT_IN = "built-in"
#: Where the vendors' own prices hold.
_VENDORS_HOSTS = ("openai.com", "openai.azure.com", "anthropic.com")

ModelName = Annotated[
    str,
    shaped(
        rf"{BUILT_IN}|(openai|anthropic):[^\s:,][^\s,]{{0,180}}|[^\s:,]{{1,180}}",
        "openai:<model>, anthropic:<model> (also for whoever speaks like them, by base URL) or built-in",
    ),
]
#: Limits and prices are looked up by the whole name.
VendorModel = Annotated[
    str,
    shaped(
        r"(openai|anthropic):[^\s:,][^\s,]{0,180}",
        "the vendor too, such as openai:gpt-5-mini or anthropic:claude-haiku-4-5",
    ),
]


QuotaName = Annotated[
    str, shaped(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "up to 63 letters, digits, dots, dashes and underscores")
]
Usd = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Price = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class ModelLimits(Args):
    """What the vendor lets this environment use of one model in any 60 s, all replicas together."""

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)


class ModelPrice(Args):
    """USD for a million tokens."""

    input: Price
    output: Price
    cached_input: Price | None = None
    """As `input` where it is not said."""


class LlmAccess(Args):
    """Models, limits, budgets and caches. What is not said is as the service has it by default
    (docs/agent-service.md). Times are seconds, money is USD."""

    model: ModelName | None = None
    """Such as anthropic:claude-sonnet-4-5; not said, the key that is there decides."""
    fallback_models: Sequence[ModelName] = ()
    """Tried in this order when the model fails."""
    embedding_model: ModelName | None = None
    """Such as openai:text-embedding-3-small."""
    openai_base_url: str | None = None
    """Any vendor or gateway that speaks as OpenAI does."""
    anthropic_base_url: str | None = None

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Of each model, all replicas together: the vendor's quota, or this fleet's share of it."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Of each model, all replicas together; prompt and longest answer of each call count."""
    limits: Mapping[VendorModel, ModelLimits] = {}
    """Of one model, in place of the two above."""
    quota: QuotaName | None = None
    """Whose limits these are: fleets of one environment that say the same are counted together. Not said, all
    of them are; in settings a fleet whose key is in a secret of its own is counted alone."""
    wait_seconds: float | None = Field(default=None, ge=0, le=3600)
    """The longest a call waits for its limits."""

    monthly_budget_usd: Usd | None = None
    """Of the fleet, by calendar month, UTC; agent types have their own beneath it."""
    monthly_budget_usd_per_key: Usd | None = None
    """Of each API key or subject."""
    prices: Mapping[VendorModel, ModelPrice] = {}
    """Where the prices that the service knows are not yours."""

    max_prompt_tokens: int | None = Field(default=None, ge=1)
    """A longer prompt is refused."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """A longer answer is cut."""
    timeout: float | None = Field(default=None, gt=0, le=3600)
    """Of one attempt, its whole answer included."""
    attempts: int | None = Field(default=None, ge=1, le=20)
    """Of each model, before the next one is tried."""
    backoff_seconds: float | None = Field(default=None, gt=0, le=60)
    """The first pause between attempts; it doubles."""
    backoff_limit: float | None = Field(default=None, gt=0, le=600)
    """The longest pause."""
    breaker_failures: int | None = Field(default=None, ge=1, le=1000)
    """In a row, until a model is left alone."""
    breaker_seconds: float | None = Field(default=None, gt=0, le=3600)
    """For how long."""

    response_cache_seconds: int | None = Field(default=None, ge=0)
    """How long the same question has the same answer; 0 is off, and so is the default."""
    semantic_cache_similarity: float | None = Field(default=None, gt=0.5, le=1)
    """The likeness (cosine) from which another question's answer is taken."""
    embedding_cache_seconds: int | None = Field(default=None, ge=0)

    @property
    def models(self) -> tuple[str, ...]:
        """The models that answer; none where the key decides."""
        return tuple(dict.fromkeys([*([self.model] if self.model else []), *self.fallback_models]))

    def limits_of(self, model: str | None) -> ModelLimits:
        """What holds for a model; for one that is not named, what holds for each."""
        general = ModelLimits(
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute
        )
        return general if model is None else self.limits.get(model, general)

    def unpriced(self, more: Sequence[str] = ()) -> tuple[str, ...]:
        """The models, `more` included, whose price nobody can know: those at an address of one's own."""
        own = {
            vendor
            for vendor, url in (("openai", self.openai_base_url), ("anthropic", self.anthropic_base_url))
            if url is not None and not _is_vendors(url)
        }
        asked = dict.fromkeys(
            [*self.models, *([self.embedding_model] if self.embedding_model else []), *more]
        )
        return tuple(
            model for model in asked if _vendor(model) in own and whole_name(model) not in self.prices
        )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        found = list(self._impossible())
        if found:
            raise ValueError("; and ".join(found))
        return self

    def _impossible(self) -> Iterator[str]:
        for name in ("openai_base_url", "anthropic_base_url"):
            url = getattr(self, name)
            if url is not None and not _is_address(url):
                # Not repeated: there may be a login in it.
                yield (
                    f"{name} is no address such as https://llm.example.com/v1, without a login, ? and #; a "
                    "key belongs into the LLM secret"
                )
        named = [whole_name(model) for model in self.fallback_models]
        if self.model is not None and whole_name(self.model) in named:
            yield f"fallback_models has {self.model}, which is `model` itself; leave it out there"
        if len(set(named)) < len(named):
            yield "fallback_models names a model twice; leave one out"
        yield from self._impossible_limits()
        if self.semantic_cache_similarity is not None and self.embedding_model is None:
            yield (
                "semantic_cache_similarity needs a model that tells how alike questions are; add "
                "`embedding_model: openai:text-embedding-3-small`, or leave it out"
            )
        budget, of_each = self.monthly_budget_usd, self.monthly_budget_usd_per_key
        if budget is not None and of_each is not None and of_each > budget:
            yield (
                f"monthly_budget_usd_per_key {of_each} is above monthly_budget_usd {budget}, which ends "
                "before it; lower the one or raise the other"
            )
        if (budget is not None or of_each is not None) and (unknown := self.unpriced()):
            yield needs_price(
                "monthly_budget_usd" if budget is not None else "monthly_budget_usd_per_key", unknown
            )

    def _impossible_limits(self) -> Iterator[str]:
        output = DEFAULT_OUTPUT_TOKENS if self.max_output_tokens is None else self.max_output_tokens
        said = "" if self.max_output_tokens is not None else " (the service's default)"
        bounds = {"tokens_per_minute": self.tokens_per_minute}
        bounds |= {
            f"limits.{model}.tokens_per_minute": own.tokens_per_minute for model, own in self.limits.items()
        }
        for name, most in bounds.items():
            # A call counts its prompt, of one token at least, and its longest answer.
            if most is not None and most <= output:
                yield (
                    f"{name} {most} lets no call through: one counts its prompt and max_output_tokens "
                    f"{output}{said}; lower max_output_tokens below {most}, or raise {name}"
                )
        for model, own in self.limits.items():
            if own.requests_per_minute is None and own.tokens_per_minute is None:
                yield f"limits.{model} is empty, and would lift every limit; say one, or leave it out"


def needs_price(budget: str, models: Sequence[str]) -> str:
    """What is wrong with a budget for models of which no price is known."""
    return (
        f"{budget} cannot be kept: at an address of your own nobody knows the price of {', '.join(models)}; "
        f"add `prices: {{{whole_name(models[0])}: {{input: ..., output: ...}}}}`, in USD for a million tokens"
    )


def whole_name(model: str) -> str:
    """The model with its vendor, which the service guesses by the name where it is not said."""
    if model == BUILT_IN or ":" in model:
        return model
    return f"{'anthropic' if model.startswith('claude') else 'openai'}:{model}"


def _vendor(model: str) -> str:
    return whole_name(model).partition(":")[0]


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(
            parts.scheme in {"https", "http"}
            and parts.hostname
            and parts.port != 0
            and not any(sign in url for sign in "@?# ")
        )
    except ValueError:
        return False


def _is_vendors(url: str) -> bool:
    host = (urlsplit(url).hostname or "") if _is_address(url) else ""
    return any(host == known or host.endswith(f".{known}") for known in _VENDORS_HOSTS)
