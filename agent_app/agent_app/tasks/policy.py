"""How the tasks of one agent type are run: its own settings, else the service's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import JsonValue

from agent_app.agents.agent import Agent, load
from agent_app.agents.context import Context
from agent_app.problems import Problem
from agent_app.settings import Settings

_T = TypeVar("_T")


@dataclass(frozen=True)
class Policy:
    """Times are seconds."""

    name: str
    agent: Agent
    description: str
    timeout: float
    max_attempts: int
    retry_seconds: int
    #: Tasks at once in a process: of a queue of its own, else of all that share the fleet's.
    concurrency: int
    #: Chats at once in a process.
    chats: int
    queue_url: str | None
    dead_letter_url: str | None

    def pause(self, received: int) -> int:
        """What a task waits after its `received`-th try failed; doubles each time."""
        return min(self.retry_seconds << min(received - 1, 10), 900)


def policies(settings: Settings) -> Mapping[str, Policy]:
    """The policy of each agent type, its agent loaded.

    Raises:
        SettingsError: an import path has no agent.
    """
    common_queue = settings.queue_url.get_secret_value() if settings.queue_url else None
    common_dead_letters = settings.dead_letter_url.get_secret_value() if settings.dead_letter_url else None
    made = {}
    for name, its in settings.agents.items():
        own = its.queue_url is not None
        made[name] = Policy(
            name=name,
            agent=load(name, its),
            description=its.description,
            timeout=_or(its.timeout, settings.task_timeout),
            max_attempts=_or(its.max_attempts, settings.max_attempts),
            retry_seconds=_or(its.retry_seconds, settings.retry_seconds),
            concurrency=_or(its.concurrency, settings.worker_concurrency),
            chats=_or(its.concurrency, settings.chat_concurrency),
            queue_url=its.queue_url.get_secret_value() if its.queue_url else common_queue,
            dead_letter_url=(its.dead_letter_url.get_secret_value() if its.dead_letter_url else None)
            if own
            else common_dead_letters,
        )
    return made


class _Unknown:
    def __init__(self, name: str, known: Mapping[str, Policy]) -> None:
        self._says = f"this worker knows no agent {name!r}; it knows {sorted(known)}"

    def check(self, input: JsonValue) -> None:
        raise ValueError(self._says)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        raise Problem(422, self._says)


def unknown(name: str, known: Mapping[str, Policy]) -> Policy:
    """The policy of a task whose agent this worker does not have: it fails, and says so."""
    return replace(next(iter(known.values())), name=name, agent=_Unknown(name, known))


def _or(own: _T | None, common: _T) -> _T:
    return common if own is None else own
