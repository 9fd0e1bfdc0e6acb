"""Spans of the way through the queue: one where a task is sent, one for each time that it is delivered.

A delivery's span is the child of the sender's, not linked to it: each message is one task, so that a single
trace shows the request, the queue, the model's calls and the statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent_app.tasks.queue import Note, Queue
from agent_app.telemetry.traces import Traces, failed

_W3C = TraceContextTextMapPropagator()


@contextmanager
def sending(traces: Traces, queue: Queue) -> Iterator[Mapping[str, str]]:
    """A span for what puts one task into the queue; gives the headers by which a worker finds the trace."""
    with _span(traces, "send", queue, SpanKind.PRODUCER, None):
        headers: dict[str, str] = {}
        _W3C.inject(headers)
        yield headers


@contextmanager
def processing(traces: Traces, queue: Queue, note: Note | None) -> Iterator[Span]:
    """A span for what a worker does with one delivery, in the trace of who sent it."""
    parent = Context() if note is None else _W3C.extract(note.trace, Context())
    with _span(traces, "process", queue, SpanKind.CONSUMER, parent) as span:
        if note is not None:
            span.set_attribute("agent_app.task.id", str(note.task_id))
        yield span


def settled(span: Span, outcome: str) -> None:
    """What came of the delivery, in the words of the metric `agent_app_tasks`."""
    span.set_attribute("agent_app.task.outcome", outcome)


@contextmanager
def _span(
    traces: Traces, operation: str, queue: Queue, kind: SpanKind, parent: Context | None
) -> Iterator[Span]:
    attributes = {
        "messaging.system": queue.system,
        "messaging.destination.name": queue.name,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    with traces.tracer.start_as_current_span(
        f"{operation} {queue.name}",
        parent,
        kind,
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            failed(span, type(error).__qualname__)
            raise
