"""All that calling models takes, put together from the settings; one for the process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import structlog

from agent_app.agents.context import Embedder, Tally
from agent_app.llm import budget, limits, usage, vendors
from agent_app.llm.breaker import Breaker
from agent_app.llm.call import Caller
from agent_app.llm.calls import Calls, Candidate
from agent_app.llm.embeddings import Embeddings
from agent_app.llm.managed import ManagedModel
from agent_app.llm.prices import Prices
from agent_app.llm.response_cache import ResponseCache
from agent_app.llm.traced import TracedEmbeddingModel, TracedModel
from agent_app.secrets import LlmKeys
from agent_app.settings import PREFIX, Settings
from agent_app.state.cache import Cache, MemoryCache, RedisCache
from agent_app.telemetry import logs
from agent_app.telemetry.metrics import Metrics
from agent_app.telemetry.traces import OFF, Traces

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

log = structlog.get_logger(__name__)


class Access:
    """The models of each agent type, and what their calls go through.

    Args:
        settings: what they say.
        keys: the vendors'.
        metrics: has calls counted.
        redis: None keeps limits and caches in this process alone.
        engine: None keeps budgets and usage in this process alone.
        traces: has a span for each call of a vendor.

    Raises:
        SettingsError: a model cannot be used, or a budget is set for one whose price is not known.
    """

    def __init__(
        self,
        settings: Settings,
        keys: LlmKeys,
        metrics: Metrics,
        *,
        redis: Redis | None,
        engine: AsyncEngine | None,
        traces: Traces = OFF,
    ) -> None:
        self._settings = settings
        self._models = _Models(settings, keys, traces)
        prices = Prices(settings)
        prices.check(settings, self._models.names)
        waits = metrics.llm_limit_waits
        self.limits = limits.choose(
            settings,
            redis,
            self._models.names,
            lambda model, seconds: waits.labels(model).observe(seconds),
        )
        self.budget = budget.choose(settings, engine, metrics)
        self.ledger = usage.choose(settings, engine)
        self._calls = Calls(
            settings,
            limits=self.limits,
            budget=self.budget,
            prices=prices,
            ledger=self.ledger,
            metrics=metrics,
        )
        self._cache: Cache = MemoryCache()
        if redis is not None:
            prefix = f"agent-app:{settings.environment}:{settings.fleet}:"
            self._cache = RedisCache(redis, prefix, metrics.answer_cache_failures.inc)
        self._metrics = metrics
        self._embeddings = self._embedding()
        self._answers = {name: self._answered(name) for name in settings.agents}

    async def run(self) -> None:
        """Keeps limits, budgets and usage up to date with other processes; ends by being cancelled."""
        await asyncio.gather(
            _kept_up("limits", self.limits.run),
            _kept_up("budgets", self.budget.run),
            _kept_up("usage", self.ledger.run),
        )

    async def close(self) -> None:
        """After the last call: gives back what is held, and closes the connections to the vendors."""
        async with AsyncExitStack() as stack:  # each, whatever becomes of the others
            stack.push_async_callback(self._models.close)
            stack.push_async_callback(self.ledger.close)
            stack.push_async_callback(self.budget.close)

    def model_name(self, agent: str) -> str:
        """What the agent's model is called."""
        return self._models.of(agent)[0].short

    def model(self, caller: Caller, tally: Tally) -> ManagedModel:
        """For one run."""
        return ManagedModel(
            self._models.of(caller.agent),
            caller=caller,
            tally=tally,
            settings=self._settings,
            calls=self._calls,
            cache=self._answers.get(caller.agent),
        )

    def embedder(self, caller: Caller) -> Embedder | None:
        """For one run; None where no model of embeddings is set."""
        return None if self._embeddings is None else partial(self._embeddings.embed, caller=caller)

    def _embedding(self) -> Embeddings | None:
        candidate = self._models.embedding
        if candidate is None:
            return None
        return Embeddings(
            candidate,
            calls=self._calls,
            cache=self._cache,
            seconds=self._settings.embedding_cache_seconds,
            ledger=self.ledger,
            metrics=self._metrics,
        )

    def _answered(self, agent: str) -> ResponseCache | None:
        own = self._settings.agents[agent].response_cache_seconds
        seconds = self._settings.response_cache_seconds if own is None else own
        if not seconds:
            return None
        return ResponseCache(
            self._cache,
            place=agent,
            seconds=seconds,
            ledger=self.ledger,
            metrics=self._metrics,
            similarity=self._settings.semantic_cache_similarity,
            embeddings=self._embeddings,
        )


class _Models:
    """The candidates of each agent type; two that ask for the same model share it."""

    def __init__(self, settings: Settings, keys: LlmKeys, traces: Traces) -> None:
        self._settings = settings
        self._keys = keys
        self._traces = traces
        self._built: dict[tuple[str, str], Candidate] = {}
        self._of: dict[str, Sequence[Candidate]] = {}
        spare = [self._candidate(name, f"{PREFIX}FALLBACK_MODELS") for name in settings.fallback_models]
        for agent, its in settings.agents.items():
            setting = f"{PREFIX}AGENTS" if its.model else f"{PREFIX}MODEL"
            first = self._candidate(its.model or settings.model, setting)
            self._of[agent] = [first, *(other for other in spare if other is not first)]
        self.embedding = self._embedding()

    @property
    def names(self) -> list[str]:
        """Each `vendor:model`."""
        return [candidate.name for candidate in self._all()]

    def of(self, agent: str) -> Sequence[Candidate]:
        # A worker may be given a task of an agent it does not know, which it then refuses to run.
        return self._of.get(agent) or next(iter(self._of.values()))

    async def close(self) -> None:
        for candidate in self._all():
            await vendors.close(candidate.model)

    def _all(self) -> list[Candidate]:
        embedding = [] if self.embedding is None else [self.embedding]
        return [*self._built.values(), *embedding]

    def _candidate(self, wanted: str | None, setting: str) -> Candidate:
        chosen = vendors.choose(wanted, self._keys, setting)
        if chosen not in self._built:
            model = vendors.build(*chosen, self._settings, self._keys)
            if self._traces.on:
                model = TracedModel(model, self._traces, provider=chosen[0])
            self._built[chosen] = Candidate(":".join(chosen), model, self._breaker())
        return self._built[chosen]

    def _embedding(self) -> Candidate | None:
        wanted = self._settings.embedding_model
        if wanted is None:
            return None
        chosen = vendors.choose(wanted, self._keys, f"{PREFIX}EMBEDDING_MODEL")
        model = vendors.build_embedding(*chosen, self._settings, self._keys)
        if self._traces.on:
            model = TracedEmbeddingModel(model, self._traces, provider=chosen[0])
        return Candidate(":".join(chosen), model, self._breaker())

    def _breaker(self) -> Breaker:
        return Breaker(self._settings.breaker_failures, self._settings.breaker_seconds)


async def _kept_up(what: str, run: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 (whatever it is, calls go on, and so must this)
            logs.failure(log, f"keeping up the {what} failed; it goes on", error)
            await asyncio.sleep(1)
