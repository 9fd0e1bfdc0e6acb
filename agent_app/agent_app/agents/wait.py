"""An agent that only takes its time: to try scaling, rollouts and drains without a model's cost."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agent_app.agents.context import Context


class _Wait(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seconds: float = Field(ge=0, le=43_200)


class Wait:
    """Takes `{"seconds": ...}`."""

    def check(self, input: JsonValue) -> None:
        _Wait.model_validate(input)

    async def run(self, input: JsonValue, context: Context) -> JsonValue:
        seconds = _Wait.model_validate(input).seconds
        await asyncio.sleep(seconds)
        return {"waited_seconds": seconds}


agent = Wait()
