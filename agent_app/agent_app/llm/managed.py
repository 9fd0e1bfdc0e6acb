"""The model that a run is given: bounded in time, counted, its errors free of what was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai.exceptions import AgentRunError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from agent_app.agents.context import Tally
from agent_app.llm.call import Caller, LlmProblem
from agent_app.telemetry.metrics import Metrics

#: The vendor asks for patience: HTTP status and what it means for who waits.
_BUSY = frozenset({429, 503, 529})
_BUSY_SECONDS = 10


class ManagedModel(WrapperModel):
    """One run's calls of one model; `tally` has what they took."""

    def __init__(
        self, model: Model, *, caller: Caller, tally: Tally, timeout: float, max_tokens: int, metrics: Metrics
    ) -> None:
        super().__init__(model)
        self._caller = caller
        self._tally = tally
        self._timeout = timeout
        self._max_tokens = max_tokens
        self._metrics = metrics
        tally.model = model.model_name

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async with self._counted():
            response = await self.wrapped.request(
                messages, self._bounded(model_settings), model_request_parameters
            )
        self._add(response.usage)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncIterator[StreamedResponse]:
        async with (
            self._counted(),
            self.wrapped.request_stream(
                messages, self._bounded(model_settings), model_request_parameters, run_context
            ) as response,
        ):
            try:
                yield response
            finally:
                self._add(response.usage)

    def _bounded(self, given: ModelSettings | None) -> ModelSettings:
        return ModelSettings(**{"max_tokens": self._max_tokens, **(given or {})})

    def _add(self, usage: RequestUsage) -> None:
        self._tally.calls += 1
        self._tally.input_tokens += usage.input_tokens
        self._tally.output_tokens += usage.output_tokens
        self._metrics.llm_tokens.labels(self.model_name, "input").inc(usage.input_tokens)
        self._metrics.llm_tokens.labels(self.model_name, "output").inc(usage.output_tokens)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        outcome = "failed"
        try:
            async with asyncio.timeout(self._timeout):
                yield
            outcome = "answered"
        except TimeoutError:
            raise LlmProblem(
                504, f"The model {self.model_name} did not answer in {self._timeout:g} s."
            ) from None
        except ModelHTTPError as error:
            # The vendor's body may repeat the prompt or part of the key: the status is enough.
            busy = error.status_code in _BUSY
            raise LlmProblem(
                503 if busy else 502,
                f"The model {self.model_name} answered with HTTP status {error.status_code}.",
                retry_after=_BUSY_SECONDS if busy else None,
            ) from None
        except AgentRunError as error:
            raise LlmProblem(502, f"The model {self.model_name} failed: {type(error).__name__}.") from None
        finally:
            self._metrics.llm_requests.labels(self.model_name, outcome).inc()
