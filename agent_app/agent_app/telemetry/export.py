"""Sends spans; only imported where there is a receiver, for it brings the SDK with it."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agent_app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class Exporter(SpanExporter):
    """OTLP over HTTP, in the batch processor's thread; counts what was sent and what was lost.

    The log says once that the receiver is away, and once that it is back. The SDK's own lines are off
    (see logs.py): they come for each batch, and name the receiver's URL, which may hold a key.
    """

    def __init__(self, endpoint: str, metrics: Metrics) -> None:
        self._sender = OTLPSpanExporter(endpoint=endpoint)
        self._metrics = metrics
        #: Of the log's lines: the thread has none of its own.
        self._context = contextvars.copy_context()
        self._away = False
        self._given_up = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE if self._given_up else self._sender.export(spans)
        lost = result is not SpanExportResult.SUCCESS
        self._metrics.spans.labels("lost" if lost else "sent").inc(len(spans))
        if lost is not self._away:
            self._away = lost
            self._context.run(self._tell)
        return result

    def shutdown(self) -> None:
        self.give_up()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def give_up(self) -> None:
        """Ends a pause before another try; what is still to be sent is lost."""
        if not self._given_up:
            self._given_up = True
            self._sender.shutdown()  # type: ignore[no-untyped-call]  # the SDK's

    def _tell(self) -> None:
        if self._away:
            log.warning("traces cannot be sent: spans are lost until their receiver answers")
        else:
            log.info("traces are sent again")
