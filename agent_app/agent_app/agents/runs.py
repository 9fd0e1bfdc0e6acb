"""Starts runs: the context of one, with the model that its agent type asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent_app.agents.context import Context, Message, Tally
from agent_app.llm.access import Access
from agent_app.llm.call import Caller
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings
from agent_app.telemetry.metrics import Metrics
from agent_app.telemetry.traces import OFF, Traces

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine


class Runs:
    """One for the process; raises SettingsError where a model cannot be used."""

    def __init__(
        self,
        settings: Settings,
        keys: LlmKeys,
        metrics: Metrics,
        redis: Redis | None = None,
        engine: AsyncEngine | None = None,
        traces: Traces = OFF,
    ) -> None:
        self.access = Access(settings, keys, metrics, redis=redis, engine=engine, traces=traces)

    async def close(self) -> None:
        """After the last run."""
        await self.access.close()

    def model_name(self, agent: str) -> str:
        """What the agent's model is called."""
        return self.access.model_name(agent)

    def context(self, agent: str, owner: str, run_id: str, history: Sequence[Message] = ()) -> Context:
        """Of one run; `run_id` is the same on every try of a task."""
        caller, tally = Caller(agent, owner), Tally()
        model, embedder = self.access.model(caller, tally), self.access.embedder(caller)
        return Context(agent, owner, model, tally, history, run_id, embedder=embedder)
