"""Starts runs: the context of one, with the model that its agent type asks for."""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from agent_app.agents.context import Context, Message, Tally
from agent_app.llm import limits, vendors
from agent_app.llm.breaker import Breaker
from agent_app.llm.call import Caller
from agent_app.llm.managed import Candidate, ManagedModel
from agent_app.llm.traced import TracedModel
from agent_app.secrets import LlmKeys
from agent_app.settings import PREFIX, Settings
from agent_app.telemetry.metrics import Metrics
from agent_app.telemetry.traces import OFF, Traces


class Runs:
    """One for the process; raises SettingsError where a model cannot be used."""

    def __init__(
        self,
        settings: Settings,
        keys: LlmKeys,
        metrics: Metrics,
        redis: Redis | None = None,
        traces: Traces = OFF,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._candidates: dict[str, Sequence[Candidate]] = {}
        built: dict[tuple[str, str], Candidate] = {}

        def candidate(wanted: str | None, setting: str) -> Candidate:
            chosen = vendors.choose(wanted, keys, setting)
            if chosen not in built:
                breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
                model = vendors.build(*chosen, settings, keys)
                if traces.on:
                    model = TracedModel(model, traces, provider=chosen[0])
                built[chosen] = Candidate(":".join(chosen), model, breaker)
            return built[chosen]

        spare = [candidate(name, f"{PREFIX}FALLBACK_MODELS") for name in settings.fallback_models]
        for agent, its in settings.agents.items():
            first = candidate(
                its.model or settings.model, f"{PREFIX}AGENTS" if its.model else f"{PREFIX}MODEL"
            )
            self._candidates[agent] = [first, *(other for other in spare if other is not first)]

        names = {each.name for several in self._candidates.values() for each in several}
        waits = metrics.llm_limit_waits
        self.limits = limits.choose(
            settings, redis, names, lambda model, seconds: waits.labels(model).observe(seconds)
        )

    async def close(self) -> None:
        """Closes the connections to the vendors."""
        models = {id(each.model): each.model for several in self._candidates.values() for each in several}
        for model in models.values():
            await vendors.close(model)

    def model_name(self, agent: str) -> str:
        """What the agent's model is called."""
        return self._candidates[agent][0].model.model_name

    def context(self, agent: str, owner: str, run_id: str, history: Sequence[Message] = ()) -> Context:
        """Of one run; `run_id` is the same on every try of a task."""
        tally = Tally()
        model = ManagedModel(
            self._candidates[agent],
            caller=Caller(agent, owner),
            tally=tally,
            settings=self._settings,
            limits=self.limits,
            metrics=self._metrics,
        )
        return Context(agent, owner, model, tally, history, run_id)
