"""What an agent is, and how one is found by its import path."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from agent_app.agents.context import Context
from agent_app.problems import Problem
from agent_app.settings import PREFIX, SettingsError
from agent_app.settings.agents import AgentType


@runtime_checkable
class Agent(Protocol):
    """Anything that turns an input into an answer; bring your own by its import path."""

    def check(self, input: JsonValue) -> None:
        """Raises ValueError if the input is not for this agent."""

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        """Does the work; text, or any JSON. As a task it may be run again after a crash."""


@runtime_checkable
class Streaming(Protocol):
    """An agent that can tell its answer piece by piece."""

    def stream(self, input: JsonValue, context: Context) -> AsyncIterator[str]:
        """The answer's text in pieces."""


class Prompt(BaseModel):
    """What most agents take: a text, or `{"prompt": text}`."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(min_length=1)

    @classmethod
    def of(cls, input: JsonValue) -> str:
        """The text."""
        return cls.model_validate({"prompt": input} if isinstance(input, str) else input).prompt


def load(name: str, agent_type: AgentType) -> Agent:
    """The agent at the import path, a pydantic-ai agent in its adapter.

    Raises:
        SettingsError: there is nothing such, or it is no agent.
    """
    where = f"{PREFIX}AGENTS: the agent {name!r} is at {agent_type.agent!r}"
    module, _, attribute = agent_type.agent.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{where}, but there is no module {error.name!r}: install its package, or correct it."
        ) from None
    except Exception as error:  # noqa: BLE001 (a module may raise anything, and its text may hold a secret)
        raise SettingsError(
            f"{where}, but {module} raised {type(error).__name__} when it was imported: see what "
            f"`python -c 'import {module}'` says."
        ) from None
    found: Any = getattr(imported, attribute, None)
    if found is None:
        raise SettingsError(f"{where}, but {module} has no {attribute!r}. Correct it.")
    if isinstance(found, type) or not hasattr(found, "run"):
        raise SettingsError(
            f"{where}, which is a {type(found).__name__}: it must be a pydantic_ai.Agent, or an object "
            "with `check(input)` and `async run(input, context)`."
        )
    if isinstance(found, Agent):
        return found
    from agent_app.agents.pydantic import PydanticAgent

    return PydanticAgent(found)


def check(agents: Mapping[str, Agent], name: str, input: JsonValue) -> Agent:
    """The agent of this name, when the input is for it.

    Raises:
        Problem: 422, saying what is allowed.
    """
    agent = agents.get(name)
    if agent is None:
        raise Problem(422, f"agent is {name!r}: allowed are {', '.join(agents)}.")
    try:
        agent.check(input)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(map(str, ("input", *first["loc"])))
        raise Problem(422, f"{where}, for the agent {name!r}: {first['msg']}.") from None
    except ValueError as error:
        raise Problem(422, f"input, for the agent {name!r}: {error}.") from None
    return agent
