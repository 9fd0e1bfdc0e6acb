"""Sums up a text of any length: its parts first, each kept as a step, then the parts' summaries."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError, UserError

from agent_app.agents.context import Context
from agent_app.agents.pydantic import dumped, failed

#: Characters of one part: about 6,000 tokens, so that any of today's models takes it.
PART = 24_000
#: Parts that are summed up at once.
_AT_ONCE = 4


class Summary(BaseModel):
    """A text in short."""

    title: str = Field(max_length=200)
    points: list[str] = Field(min_length=1, max_length=10, description="What matters most first")


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1)

    @classmethod
    def of(cls, input: JsonValue) -> str:
        return cls.model_validate({"text": input} if isinstance(input, str) else input).text


_reader = Agent[None, Summary](
    output_type=Summary,
    retries=2,
    instructions="Sum the text up in its own language. Say nothing that is not in it.",
)


class Summariser:
    """Takes a text, or `{"text": ...}`."""

    def check(self, input: JsonValue) -> None:
        _Text.of(input)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        text = _Text.of(input)
        round = 0
        while len(parts := split(text, PART)) > 1:
            summaries = await self._all(parts, round, context)
            shorter = "\n\n".join(summaries)
            # Ten points of a part may be longer than a short part: without progress it is cut.
            text = shorter if len(shorter) < len(text) else text[:PART]
            round += 1
        return await self._one(text, context)

    async def _all(self, parts: list[str], round: int, context: Context) -> list[str]:
        free = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int, part: str) -> str:
            async with free:
                done = await context.step(f"round {round} part {number}", lambda: self._one(part, context))
            summary = Summary.model_validate(done)
            return "\n".join([summary.title, *summary.points])

        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(one(number, part)) for number, part in enumerate(parts)]
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        return [task.result() for task in running]

    async def _one(self, text: str, context: Context) -> JsonValue:
        try:
            run = await _reader.run(text, model=context.model)
        except (AgentRunError, UserError) as error:
            raise failed(error, context) from None
        return dumped(run.output)


def split(text: str, length: int) -> list[str]:
    """Parts of at most `length` characters, at ends of paragraphs, lines or words where there are any."""
    parts = []
    while len(text) > length:
        cut = max(text.rfind(end, length // 2, length) for end in ("\n\n", "\n", " "))
        cut = cut + 1 if cut >= 0 else length
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


agent = Summariser()
