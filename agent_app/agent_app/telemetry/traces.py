"""Traces, sent by OTLP where OpenTelemetry's own variables name a receiver; without one there is no SDK.

No span holds what people or models say, a key, or an error's own text, which may repeat either: failures are
told by their type. Each service has a provider of its own, so that two can live in one process.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, TracerProvider

from agent_app import __version__
from agent_app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider

    from agent_app.telemetry.export import Exporter
    from agent_app.telemetry.metrics import Metrics

#: The longest that the end of the process waits for its last spans to be sent.
FLUSH_SECONDS = 3.0


class Traces:
    """Starts the spans of one service; `on` tells whether anybody gets them, else each is a no-op."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self.on = provider is not None
        self.tracer = (provider or trace.NoOpTracerProvider()).get_tracer("agent_app", __version__)


OFF = Traces()


@asynccontextmanager
async def opened(settings: Settings, metrics: Metrics) -> AsyncIterator[Traces]:
    """What the settings ask for; what is not sent yet is sent at the end, within `FLUSH_SECONDS`.

    Raises:
        SettingsError: a variable that the SDK reads by itself is wrong.
    """
    if settings.traces_endpoint is None:
        yield OFF
        return
    from agent_app.telemetry.export import Exporter

    exporter = Exporter(settings.traces_endpoint, metrics)
    provider = _provider(settings, exporter)
    try:
        yield Traces(provider)
    finally:
        await _flush(provider, exporter)


def current_ids() -> tuple[str, str] | None:
    """The trace and the span that this is part of, as hexadecimal digits."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)


def failed(span: Span, error_type: str) -> None:
    """Marks a span as failed; its exception's text stays out."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))


def _provider(settings: Settings, exporter: Exporter) -> SdkTracerProvider:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    try:
        # The sampler, the span's limits and the queue's are the SDK's own, from its own variables.
        provider = TracerProvider(resource=_resource(settings), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except ValueError as error:
        raise SettingsError(f"A variable OTEL_BSP_* or OTEL_*_LIMIT is wrong: {error}.") from None
    return provider


def _resource(settings: Settings) -> Resource:
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = Resource.create(
        {
            "service.name": settings.fleet,
            "service.version": __version__,
            "service.instance.id": str(uuid.uuid4()),
            "deployment.environment.name": settings.environment,
            "host.name": socket.gethostname(),  # in Kubernetes the pod's name
        }
    )
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.
    return ours.merge(OTELResourceDetector().detect())


async def _flush(provider: SdkTracerProvider, exporter: Exporter) -> None:
    # The SDK waits up to 30 s for a receiver that hangs: in a thread that the process' end does not wait for.
    flush = threading.Thread(target=provider.shutdown, name="flush-traces", daemon=True)
    flush.start()
    await asyncio.to_thread(flush.join, FLUSH_SECONDS)
    exporter.give_up()
