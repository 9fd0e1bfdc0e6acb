"""What an agent is given for one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import JsonValue

from agent_app.problems import Problem

if TYPE_CHECKING:
    from pydantic_ai.models import Model


@dataclass(frozen=True)
class Message:
    """One utterance of a session."""

    role: Literal["user", "assistant"]
    content: str


@dataclass
class Tally:
    """What the model calls of one run took; `cost_micros` is millionths of a USD."""

    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    calls: int = 0
    cached: int = 0


#: Texts to vectors.
Embedder = Callable[[Sequence[str]], Awaitable[list[list[float]]]]


class Steps(Protocol):
    """What a task has done already."""

    async def once(self, name: str, work: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """The result of `work`, which is not done again when the task is tried again."""


class NoSteps:
    """A request is not tried again: its steps are just done."""

    async def once(self, name: str, work: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        return await work()


@dataclass
class Context:
    """One run: for whom, with which model, and what has been said and done before.

    `model` is any pydantic-ai agent's or request's model; its calls are limited, metered and paid from
    the budget. A pydantic-ai agent gets the context as its `deps`.
    """

    agent: str
    #: The API key's name or the OIDC subject of who asked.
    owner: str
    model: Model
    tally: Tally = field(default_factory=Tally)
    history: Sequence[Message] = ()
    #: The same on every try of a task: give it to what you call, so that it knows a repeated call.
    run_id: str = ""
    steps: Steps = field(default_factory=NoSteps)
    embedder: Embedder | None = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The texts' vectors by AGENT_APP_EMBEDDING_MODEL, limited and paid for as the model's calls are.

        Raises:
            Problem: 501, no model of embeddings is set.
        """
        if self.embedder is None:
            raise Problem(501, "AGENT_APP_EMBEDDING_MODEL is not set: the agent needs a model of embeddings.")
        return await self.embedder(texts)

    async def step(self, name: str, work: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Does `work` once for the task, however often the task is tried; its result must be JSON.

        A crash between the work's effect and the keeping of its result repeats the work: pass
        `f"{context.run_id}:{name}"` to what has the effect as its idempotency key.
        """
        return await self.steps.once(name, work)
