"""A pydantic-ai agent as the service runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import JsonValue, TypeAdapter
from pydantic_ai import Agent, AgentRunResultEvent
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from agent_app.agents.agent import Prompt
from agent_app.agents.context import Context
from agent_app.agents.conversation import turns
from agent_app.problems import Problem

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


class PydanticAgent:
    """Runs it with the context as its `deps` and the context's model; its output becomes JSON."""

    def __init__(self, agent: Agent[Any, Any]) -> None:
        self._agent = agent

    def check(self, input: JsonValue) -> None:
        Prompt.of(input)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        try:
            run = await self._agent.run(
                Prompt.of(input), deps=context, model=context.model, message_history=turns(context.history)
            )
        except (AgentRunError, UserError) as error:
            raise failed(error, context) from None
        return dumped(run.output)

    async def stream(self, input: JsonValue, context: Context) -> AsyncIterator[str]:
        options: dict[str, Any] = {"message_history": turns(context.history)}
        told = False
        try:
            async with self._agent.run_stream_events(
                Prompt.of(input), deps=context, model=context.model, **options
            ) as events:
                async for event in events:
                    piece = _piece(event)
                    if isinstance(event, AgentRunResultEvent) and not told:
                        output = dumped(event.result.output)
                        piece = output if isinstance(output, str) else _JSON.dump_json(output).decode()
                    if piece:
                        told = True
                        yield piece
        except (AgentRunError, UserError) as error:
            raise failed(error, context) from None


def dumped(output: Any) -> JsonValue:
    """Any output as JSON."""
    value: JsonValue = _JSON.dump_python(output, mode="json")
    return value


def _piece(event: Any) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def failed(error: Exception, context: Context) -> Problem:
    """What who asked is told of an agent's error."""
    # The error's own text may repeat what was said.
    return Problem(502, f"The agent {context.agent!r} failed: {type(error).__name__}.")
