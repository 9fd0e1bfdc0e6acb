"""The model that a run is given: its calls are answered from the cache, or managed as `Calls` does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NoReturn

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse, ThinkingPart
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from agent_app.agents.context import Tally
from agent_app.llm import bounds
from agent_app.llm.call import Caller, PromptTooLong
from agent_app.llm.calls import Calls, Candidate, Charge, Cost, Size, problem
from agent_app.llm.prompt import Prompt
from agent_app.llm.response_cache import Lookup, ResponseCache
from agent_app.llm.stream import Watched
from agent_app.problems import Problem
from agent_app.settings.llm import LlmSettings

#: Tokens that a model takes in at once, where that is not known: as many as any does.
_WINDOW = 2_000_000


class ManagedModel(WrapperModel):
    """One run's calls of the candidates in their order; `tally` has what the answers took.

    Args:
        candidates: the models, the first of them first.
        caller: for whom.
        tally: what is added to.
        settings: the bounds of prompts and answers.
        calls: what manages them.
        cache: None where answers are not kept.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        caller: Caller,
        tally: Tally,
        settings: LlmSettings,
        calls: Calls,
        cache: ResponseCache | None = None,
    ) -> None:
        super().__init__(candidates[0].model)
        self._candidates = candidates
        self._caller = caller
        self._tally = tally
        self._llm = settings
        self._calls = calls
        self._cache = cache
        tally.model = candidates[0].short

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        bounded = bounds.bounded(model_settings, self._llm.max_output_tokens)

        async def ask(model: Model, _stack: AsyncExitStack) -> ModelResponse:
            response = await model.request(messages, bounded, model_request_parameters)
            if _is_empty(response):
                raise UnexpectedModelBehavior("the answer is empty")
            return response

        prompt = Prompt(messages, bounded, model_request_parameters)
        found = await self._looked_up(prompt)
        if found is not None and found.answer is not None:
            return self._known(found.answer)
        async with AsyncExitStack() as stack:
            charge, response = await self._calls.first(
                self._candidates, self._caller, self._size(prompt, bounded), ask, stack
            )
            self._add(charge.candidate, self._calls.settle(charge, response.usage))
        await self._keep(found, charge, response)
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
        bounded = bounds.bounded(model_settings, self._llm.max_output_tokens)

        async def ask(model: Model, stack: AsyncExitStack) -> StreamedResponse:
            opened = model.request_stream(messages, bounded, model_request_parameters, run_context)
            return await stack.enter_async_context(opened)

        prompt = Prompt(messages, bounded, model_request_parameters)
        found = await self._looked_up(prompt)
        if found is not None and found.answer is not None:
            answer = self._known(found.answer)
            yield CompletedStreamedResponse(
                answer, model_request_parameters=model_request_parameters, replay_events=True
            )
            return
        async with AsyncExitStack() as stack:
            charge, response = await self._calls.first(
                self._candidates, self._caller, self._size(prompt, bounded), ask, stack
            )
            watched = Watched(response, self._llm.model_timeout)
            try:
                yield response
            except Exception as error:
                if error is not watched.error or watched.why is None:
                    raise
                raise problem([(charge.candidate, watched.why)]) from None
            finally:
                whole = response.get()
                # What a stream that broke off has told of its usage so far is not all that is charged.
                if whole.state in {"complete", "suspended"}:
                    cost = self._calls.settle(charge, whole.usage)
                else:
                    cost = self._calls.give_up(charge, watched.why)
                self._add(charge.candidate, cost)
            await self._keep(found, charge, whole)

    async def compact_messages(self, *_: Any, **__: Any) -> NoReturn:
        """Would be a call of the vendor's that nobody sees."""
        raise _unmanaged("compact_messages")

    async def batch_create(self, *_: Any, **__: Any) -> NoReturn:
        """Would be calls of the vendor's that nobody sees."""
        raise _unmanaged("batch_create")

    def _size(self, prompt: Prompt, bounded: ModelSettings) -> Size:
        """The tokens that a call may take.

        Raises:
            PromptTooLong: the prompt alone is longer than it may be.
        """
        most = self._llm.max_prompt_tokens
        if prompt.estimate > most:
            raise PromptTooLong(
                413,
                f"The prompt is about {prompt.estimate} tokens with its history and instructions, and "
                f"AGENT_APP_MAX_PROMPT_TOKENS is {most}: shorten it, or begin a new session.",
            )
        # What a vendor fetches or sees itself is bounded by what its model can take in.
        more = max(candidate.model.context_window or _WINDOW for candidate in self._candidates)
        return Size(prompt.estimate, prompt.most + more * prompt.reads_more, bounded["max_tokens"])

    async def _looked_up(self, prompt: Prompt) -> Lookup | None:
        if self._cache is None:
            return None
        return await self._cache.look(prompt, self._caller, self._candidates[0].name)

    async def _keep(self, found: Lookup | None, charge: Charge, response: ModelResponse) -> None:
        # A spare model's answer is good for now, and not for as long as the first one's.
        if found is not None and charge.candidate is self._candidates[0]:
            await found.keep(response)

    def _known(self, answer: ModelResponse) -> ModelResponse:
        self._tally.model = self._candidates[0].short
        self._tally.calls += 1
        self._tally.cached += 1
        return answer

    def _add(self, candidate: Candidate, cost: Cost) -> None:
        self._tally.model = candidate.short
        self._tally.calls += 1
        self._tally.input_tokens += cost.usage.input_tokens
        self._tally.output_tokens += cost.usage.output_tokens
        self._tally.cost_micros += cost.micros


def _is_empty(response: ModelResponse) -> bool:
    """Whether nothing is said and nothing says why, as where thinking took all the tokens there were."""
    said = any(not isinstance(part, ThinkingPart) for part in response.parts)
    return not said and response.finish_reason not in {"length", "content_filter"}


def _unmanaged(what: str) -> Problem:
    return Problem(
        501,
        f"The agent asks for {what}, which has neither limits nor budgets here: let it make plain requests.",
    )
