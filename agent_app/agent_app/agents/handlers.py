"""What a task can be: each kind checks its input when it is asked for, and does the work in a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_app.llm.model import Model
from agent_app.problems import Problem


class Handler(Protocol):
    """One kind of task."""

    def check(self, input: Any) -> None:
        """Raises ValueError if the input is not for this kind."""

    async def run(self, input: Any) -> Any:
        """Does the work; what it returns must be JSON. It may be run again after a crash."""


class _Prompt(BaseModel):
    model_config = ConfigDict(extra="forbid")
    prompt: str = Field(min_length=1)


class PromptHandler:
    """Asks the model: the input is the prompt, or `{"prompt": ...}`."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def check(self, input: Any) -> None:
        self._prompt(input)

    async def run(self, input: Any) -> Any:
        reply = await self._model.reply([], self._prompt(input))
        usage = {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens}
        return {"reply": reply.text, "model": reply.model, "usage": usage}

    def _prompt(self, input: Any) -> str:
        return _Prompt.model_validate({"prompt": input} if isinstance(input, str) else input).prompt


class _Wait(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seconds: float = Field(ge=0, le=43_200)


class WaitHandler:
    """Only takes its time, `{"seconds": ...}`: to try scaling, rollouts and drains without a model's cost."""

    def check(self, input: Any) -> None:
        _Wait.model_validate(input)

    async def run(self, input: Any) -> Any:
        seconds = _Wait.model_validate(input).seconds
        await asyncio.sleep(seconds)
        return {"waited_seconds": seconds}


def standard(model: Model) -> dict[str, Handler]:
    """The kinds this service knows, by name; the first is the default."""
    return {"prompt": PromptHandler(model), "wait": WaitHandler()}


def check(handlers: Mapping[str, Handler], kind: str, input: Any) -> None:
    """Whether such a task can be run.

    Raises:
        Problem: 422, saying what is allowed.
    """
    handler = handlers.get(kind)
    if handler is None:
        allowed = ", ".join(handlers)
        raise Problem(422, f"kind is {kind!r}: allowed are {allowed}.")
    try:
        handler.check(input)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(map(str, ("input", *first["loc"])))
        raise Problem(422, f"{where}, for a task of kind {kind!r}: {first['msg']}.") from None
