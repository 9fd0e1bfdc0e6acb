"""An agent that only talks: one call of the model for each answer.

It calls the model directly: pydantic-ai's agent loop, which it does not need, costs 4 ms of CPU a run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pydantic import JsonValue
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

from agent_app.agents.agent import Prompt
from agent_app.agents.context import Context, Message
from agent_app.problems import Problem


class Conversation:
    """Answers a text with a text, with the session's history in view."""

    def __init__(self, instructions: str) -> None:
        self._instructions = instructions

    def check(self, input: JsonValue) -> None:
        Prompt.of(input)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        response = await model_request(context.model, self._messages(input, context))
        return _said(response.text)

    async def stream(self, input: JsonValue, context: Context) -> AsyncIterator[str]:
        async with model_request_stream(context.model, self._messages(input, context)) as response:
            said = ""
            async for _ in response:
                text = response.get().text or ""
                if len(text) > len(said):
                    piece, said = text[len(said) :], text
                    yield piece
        _said(said)

    def _messages(self, input: JsonValue, context: Context) -> list[ModelMessage]:
        request = ModelRequest(parts=[UserPromptPart(Prompt.of(input))], instructions=self._instructions)
        return [*turns(context.history), request]


def _said(text: str | None) -> str:
    if not text:
        # As where thinking took all the tokens that an answer may have.
        raise Problem(502, "The model answered without a text: AGENT_APP_MAX_OUTPUT_TOKENS may be too few.")
    return text


def turns(history: Sequence[Message]) -> list[ModelMessage]:
    """What was said, as pydantic-ai keeps it."""
    return [
        ModelRequest(parts=[UserPromptPart(item.content)])
        if item.role == "user"
        else ModelResponse(parts=[TextPart(item.content)])
        for item in history
    ]
