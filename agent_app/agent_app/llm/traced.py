"""A span for every call of a vendor, by OpenTelemetry's conventions for generative AI; never what was said.

pydantic-ai's own InstrumentedModel was measured and left: it does not say `error.type`, goes through all that
was said to record an empty message for each, and costs a call six times as much (docs/adr/0010).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind
from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult, EmbeddingSettings
from pydantic_ai.embeddings.wrapper import WrapperEmbeddingModel
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from agent_app.problems import Problem
from agent_app.telemetry.traces import Traces, failed


class TracedModel(WrapperModel):
    """One vendor's model; `provider` is the vendor's name."""

    def __init__(self, wrapped: Model, traces: Traces, *, provider: str) -> None:
        super().__init__(wrapped)
        self._spans = _Spans(wrapped, traces, operation="chat", provider=provider)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        with self._spans.one(_asked(model_settings)) as span:
            response = await self.wrapped.request(messages, model_settings, model_request_parameters)
            _describe(span, response)
            return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: Any = None,
    ) -> AsyncIterator[StreamedResponse]:
        """The span ends with the stream, however it ends."""
        with self._spans.one({**_asked(model_settings), "gen_ai.request.stream": True}) as span:
            async with self.wrapped.request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as response:
                try:
                    yield response
                finally:
                    _describe(span, response)


class TracedEmbeddingModel(WrapperEmbeddingModel):
    """One vendor's model of embeddings."""

    def __init__(self, wrapped: EmbeddingModel, traces: Traces, *, provider: str) -> None:
        super().__init__(wrapped)
        self._spans = _Spans(wrapped, traces, operation="embeddings", provider=provider)

    async def embed(
        self, inputs: str | Sequence[str], *, input_type: Any, settings: EmbeddingSettings | None = None
    ) -> EmbeddingResult:
        with self._spans.one({}) as span:
            result = await self.wrapped.embed(inputs, input_type=input_type, settings=settings)
            span.set_attributes(
                {
                    "gen_ai.response.model": result.model_name,
                    "gen_ai.usage.input_tokens": result.usage.input_tokens,
                }
            )
            return result


class _Spans:
    """Of the calls of one model."""

    def __init__(
        self, model: Model | EmbeddingModel, traces: Traces, *, operation: str, provider: str
    ) -> None:
        self._tracer = traces.tracer
        self._name = f"{operation} {model.model_name}"
        self._common: dict[str, str | int | bool] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model.model_name,
        }
        url = urlsplit(model.base_url or "")
        if url.hostname:
            port = url.port or (443 if url.scheme == "https" else 80)
            self._common |= {"server.address": url.hostname, "server.port": port}

    @contextmanager
    def one(self, attributes: Mapping[str, str | int | bool]) -> Iterator[Span]:
        """Of one call; not made the current one: a stream may be closed in another task."""
        known = {**self._common, **attributes}
        span = self._tracer.start_span(self._name, kind=SpanKind.CLIENT, attributes=known)
        try:
            yield span
        except BaseException as error:
            failed(span, _kind(error))
            raise
        finally:
            span.end()


def _asked(settings: ModelSettings | None) -> dict[str, int]:
    most = (settings or {}).get("max_tokens")
    return {} if most is None else {"gen_ai.request.max_tokens": most}


def _describe(span: Span, response: ModelResponse | StreamedResponse) -> None:
    if not span.is_recording():
        return
    usage = response.usage
    attributes: dict[str, str | int | list[str]] = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    if usage.cache_read_tokens:
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cache_read_tokens
    if response.model_name:
        attributes["gen_ai.response.model"] = response.model_name
    if response.provider_response_id:
        attributes["gen_ai.response.id"] = response.provider_response_id
    if response.finish_reason:
        attributes["gen_ai.response.finish_reasons"] = [response.finish_reason]
    span.set_attributes(attributes)


def _kind(error: BaseException) -> str:
    """What failed, without the vendor's words, which may repeat the prompt."""
    if isinstance(error, Problem):
        # A stream breaks where it is read, and who reads it has made a problem of it by now.
        error = error.__context__ or error
    if isinstance(error, ModelHTTPError):
        return str(error.status_code)
    if isinstance(error, ModelAPIError):
        # One class for all that keeps a vendor from being reached; the SDK's own says more.
        error = error.__cause__ or error
    return type(error).__qualname__
