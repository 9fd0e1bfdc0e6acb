"""The agent of the fault tests: asks the model, then has one effect outside, under the run's key.

Its processes are started with it in AGENT_APP_AGENTS, and with where its effects go in DRILL_EFFECTS_URL.
"""

from __future__ import annotations

import asyncio
import os

import aiohttp
from agent_app.agents.context import Context
from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest, UserPromptPart

from tests.app.effects import PREFIX


class Work(BaseModel):
    """One task's input."""

    model_config = ConfigDict(extra="forbid")
    name: str
    is_poison: bool = False
    """It raises whatever happens, after its effect."""
    seconds: float = 0
    """How long it takes between its effect and its end."""


class Drill:
    """Answers `{"said": <what the model said>, "effect": <its number>}`."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    def check(self, input: JsonValue) -> None:
        Work.model_validate(input)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        work = Work.model_validate(input)
        response = await model_request(context.model, [ModelRequest(parts=[UserPromptPart(work.name)])])
        number = await context.step("effect", lambda: self._effect(f"{context.run_id}:effect"))
        if work.is_poison:
            raise RuntimeError("poison")
        await asyncio.sleep(work.seconds)
        return {"said": response.text, "effect": number}

    async def _effect(self, key: str) -> JsonValue:
        if self._session is None:
            self._session = aiohttp.ClientSession(os.environ["DRILL_EFFECTS_URL"])
        async with self._session.post(f"{PREFIX}/{key}") as answer:
            number: int = (await answer.json())["number"]
            return number


agent = Drill()
