"""An answer while it is told: how long the model may take for it, and whether it broke off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse

from agent_app.llm import failure
from agent_app.llm.failure import Failure


class Watched:
    """A stream whose model has `seconds` for all of it.

    What its reader does between two pieces is not the model's time, and what the reader raises is not the
    model's failure. No timeout is held while the reader has its turn: it may be another task.
    """

    def __init__(self, response: StreamedResponse, seconds: float) -> None:
        self.response = response
        #: What the model's side raised, and what that means.
        self.error: Exception | None = None
        self.why: Failure | None = None
        self._seconds = seconds
        self._pieces = response._get_event_iterator
        # The one place below all that pydantic-ai does with the pieces.
        it: Any = response
        it._get_event_iterator = self._watched

    async def _watched(self) -> AsyncIterator[ModelResponseStreamEvent]:
        pieces: Any = self._pieces()
        left = self._seconds
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    piece = await anext(pieces, None)
                _check(self.response, is_over=piece is None)
            except Exception as error:
                self._failed(error)
                raise
            if piece is None:
                return
            left -= time.monotonic() - began
            yield piece

    def _failed(self, error: Exception) -> None:
        why = failure.of(error)
        if why is not None and not self.response.cancelled:
            self.error, self.why = error, replace(why, in_stream=True)


def _check(response: StreamedResponse, *, is_over: bool) -> None:
    # pydantic-ai takes any end of Anthropic's streams for one of an answer.
    told = response.provider_details or {}
    if is_over and response.provider_name == "anthropic" and "finish_reason" not in told:
        raise UnexpectedModelBehavior("the answer ended without its end")
