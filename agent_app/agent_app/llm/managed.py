"""The model that a run is given: tried again, replaced by the next one when it fails, bounded and counted."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import (
    BaseToolCallPart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    TextPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from agent_app.agents.context import Tally
from agent_app.llm import failure, tokens
from agent_app.llm.breaker import Breaker
from agent_app.llm.call import Caller, LlmProblem, PromptTooLong
from agent_app.llm.failure import Failure
from agent_app.llm.limits import Permit, RateLimits
from agent_app.settings.llm import LlmSettings
from agent_app.telemetry.metrics import Metrics

_BUSY = frozenset({429, 503, 529})
_BUSY_SECONDS = 10


@dataclass(frozen=True)
class Candidate:
    """A model that may answer, one for the process."""

    #: `vendor:model`, by which its limits are told.
    name: str
    model: Model
    breaker: Breaker


class _Refused(Exception):
    """This candidate does not answer this call."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class ManagedModel(WrapperModel):
    """One run's calls: the candidates in their order; `tally` has what the answers took."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        caller: Caller,
        tally: Tally,
        settings: LlmSettings,
        limits: RateLimits,
        metrics: Metrics,
    ) -> None:
        super().__init__(candidates[0].model)
        self._candidates = candidates
        self._caller = caller
        self._tally = tally
        self._llm = settings
        self._limits = limits
        self._metrics = metrics
        tally.model = candidates[0].model.model_name

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async def ask(model: Model, _stack: AsyncExitStack) -> ModelResponse:
            response = await model.request(messages, self._bounded(model_settings), model_request_parameters)
            if not any(isinstance(part, (TextPart, BaseToolCallPart)) for part in response.parts):
                raise UnexpectedModelBehavior("the answer is empty")
            return response

        most = self._most(messages)
        async with AsyncExitStack() as stack:
            answer: tuple[Candidate, Permit, ModelResponse] = await self._first(ask, most, stack)
        candidate, permit, response = answer
        await self._add(candidate, permit, response.usage)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Tried again only until the answer begins: what was told cannot be taken back."""
        bounded = self._bounded(model_settings)

        async def ask(model: Model, stack: AsyncExitStack) -> StreamedResponse:
            opened = model.request_stream(messages, bounded, model_request_parameters, run_context)
            return await stack.enter_async_context(opened)

        async with AsyncExitStack() as stack:
            candidate, permit, response = await self._first(ask, self._most(messages), stack)
            try:
                async with asyncio.timeout(self._llm.model_timeout):
                    yield response
            except Exception as error:
                why = failure.of(error)
                if why is None:
                    raise
                candidate.breaker.failed()
                raise _problem([(candidate, why)]) from None
            finally:
                await self._add(candidate, permit, response.usage)

    async def _first(self, ask: Any, most: int, stack: AsyncExitStack) -> tuple[Candidate, Permit, Any]:
        """The first candidate that answers, its permit for `most` tokens, and its answer."""
        failed: list[tuple[Candidate, Failure]] = []
        for candidate in self._candidates:
            try:
                return candidate, *await self._answer(candidate, ask, most, stack)
            except _Refused as refused:
                failed.append((candidate, refused.failure))
                if refused.failure.callers_fault:
                    break
        raise _problem(failed)

    async def _answer(
        self, candidate: Candidate, ask: Any, most: int, stack: AsyncExitStack
    ) -> tuple[Permit, Any]:
        """Asks until it answers, or until trying again is not worth it."""
        settings, attempt = self._llm, 0
        while True:
            attempt += 1
            if not candidate.breaker.lets():
                left = candidate.breaker.seconds_left
                raise _Refused(Failure("failed too often and is left alone for now", retry_after=left))
            try:
                return await self._attempt(candidate, ask, most, stack)
            except _Refused as refused:
                why = refused.failure
            wait = None
            if why.passes and attempt < settings.model_attempts:
                base, longest = settings.model_backoff_seconds, settings.model_backoff_limit
                wait = failure.pause(attempt, base, longest, why.retry_after)
            if wait is None:
                raise _Refused(why)
            await asyncio.sleep(wait)

    async def _attempt(
        self, candidate: Candidate, ask: Any, most: int, stack: AsyncExitStack
    ) -> tuple[Permit, Any]:
        """One call within its limits; the breaker learns how it ended."""
        breaker, outcomes = candidate.breaker, self._metrics.llm_requests
        try:
            permit = await self._limits.acquire(candidate.name, most, wait=self._llm.llm_wait_seconds)
        except BaseException:
            breaker.dropped()
            raise
        try:
            async with asyncio.timeout(self._llm.model_timeout):
                answer = await ask(candidate.model, stack)
        except BaseException as error:
            why = failure.of(error) if isinstance(error, Exception) else None
            if why is None or why.callers_fault:
                breaker.dropped()
            else:
                breaker.failed()
            if why is None:
                # What the vendor made of it is not known: the permit counts on, whole.
                raise
            outcomes.labels(candidate.model.model_name, "failed").inc()
            if not why.may_have_counted:
                await self._limits.settle(permit, 0)
            raise _Refused(why) from None
        outcomes.labels(candidate.model.model_name, "answered").inc()
        breaker.worked()
        return permit, answer

    def _bounded(self, given: ModelSettings | None) -> ModelSettings:
        return ModelSettings(**{"max_tokens": self._llm.max_output_tokens, **(given or {})})

    def _most(self, messages: Sequence[ModelMessage]) -> int:
        """The tokens that a call may take, as estimated: its prompt and the longest answer.

        Raises:
            PromptTooLong: the prompt alone is longer than it may be.
        """
        prompt = tokens.estimate(ModelMessagesTypeAdapter.dump_json(list(messages)).decode())
        most = self._llm.max_prompt_tokens
        if prompt > most:
            raise PromptTooLong(
                413,
                f"The prompt is about {prompt} tokens with its history and instructions, and "
                f"AGENT_APP_MAX_PROMPT_TOKENS is {most}: shorten it, or begin a new session.",
            )
        return prompt + self._llm.max_output_tokens

    async def _add(self, candidate: Candidate, permit: Permit, usage: RequestUsage) -> None:
        await self._limits.settle(permit, usage.input_tokens + usage.output_tokens)
        name = candidate.model.model_name
        self._tally.model = name
        self._tally.calls += 1
        self._tally.input_tokens += usage.input_tokens
        self._tally.output_tokens += usage.output_tokens
        self._metrics.llm_tokens.labels(name, "input").inc(usage.input_tokens)
        self._metrics.llm_tokens.labels(name, "output").inc(usage.output_tokens)


def _problem(failed: Sequence[tuple[Candidate, Failure]]) -> LlmProblem:
    # A vendor's body may repeat the prompt or part of the key: the status is enough.
    said = "; ".join(f"The model {candidate.model.model_name} {why.reason}" for candidate, why in failed)
    failures = [why for _, why in failed]
    waits = [why.retry_after for why in failures if why.retry_after is not None]
    if any(why.status in _BUSY or why.retry_after is not None for why in failures):
        return LlmProblem(503, f"{said}.", retry_after=math.ceil(min(waits)) if waits else _BUSY_SECONDS)
    return LlmProblem(504 if all(why.timed_out for why in failures) else 502, f"{said}.")
