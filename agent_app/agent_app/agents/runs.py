"""Starts runs: the context of one, with the model that its agent type asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent_app.agents.context import Context, Message, Tally
from agent_app.llm import vendors
from agent_app.llm.call import Caller
from agent_app.llm.managed import ManagedModel
from agent_app.secrets import LlmKeys
from agent_app.settings import Settings
from agent_app.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from pydantic_ai.models import Model


class Runs:
    """One for the process; raises SettingsError where a model cannot be used."""

    def __init__(self, settings: Settings, keys: LlmKeys, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._models: dict[str, Model] = {}
        built: dict[tuple[str, str], Model] = {}
        for agent, its in settings.agents.items():
            chosen = vendors.choose(its.model or settings.model, keys)
            if chosen not in built:
                built[chosen] = vendors.build(*chosen, settings, keys)
            self._models[agent] = built[chosen]

    def model_name(self, agent: str) -> str:
        """What the agent's model is called."""
        return self._models[agent].model_name

    def context(self, agent: str, owner: str, run_id: str, history: Sequence[Message] = ()) -> Context:
        """Of one run; `run_id` is the same on every try of a task."""
        tally = Tally()
        model = ManagedModel(
            self._models[agent],
            caller=Caller(agent, owner),
            tally=tally,
            timeout=self._settings.model_timeout,
            max_tokens=self._settings.max_output_tokens,
            metrics=self._metrics,
        )
        return Context(agent, owner, model, tally, history, run_id)
