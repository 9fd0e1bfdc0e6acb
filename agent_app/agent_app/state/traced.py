"""A span for every SQL statement within a trace.

opentelemetry-instrumentation-sqlalchemy was measured and left: it records the database's error texts, which
repeat values; it makes a trace of each heartbeat; it serves one engine in a process (docs/adr/0010).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, get_current_span
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.telemetry.traces import Traces, failed

_CHANGE = re.compile(
    r"\b(?:(insert)\s+into|(delete)\s+from|(?<!\bdo )(?<!\bfor )(update))\s+(\w+)", re.IGNORECASE
)
_READ = re.compile(r"\s*(select)\b.*?\bfrom\s+([a-z_]\w*)", re.IGNORECASE | re.DOTALL)


def trace_statements(engine: AsyncEngine, traces: Traces, url: str) -> None:
    """From now on; statements go into spans with their placeholders, never with their values."""
    place = urlsplit(url)
    common: dict[str, str | int] = {
        "db.system.name": "postgresql",
        "db.namespace": place.path.removeprefix("/"),
        "server.address": place.hostname or "",
        "server.port": place.port or 5432,
    }

    def begin(_conn: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        # Not of what has no trace, or one that is not kept: heartbeats and probes ask all the time.
        if not get_current_span().is_recording():
            return
        name, attributes = _described(statement)
        span = traces.tracer.start_span(name, kind=SpanKind.CLIENT, attributes={**common, **attributes})
        context.span = span

    def end(_conn: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        span = _taken(context)
        if span is not None:
            span.end()

    def fail(error: ExceptionContext) -> None:
        span = _taken(error.execution_context)
        if span is None:
            return
        state = getattr(error.original_exception, "sqlstate", None)
        if state:
            span.set_attribute("db.response.status_code", state)
        failed(span, state or type(error.original_exception).__qualname__)
        span.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)


def _taken(context: Any) -> Span | None:
    """The statement's span, once."""
    span: Span | None = getattr(context, "span", None)
    if span is not None:
        context.span = None
    return span


@lru_cache(maxsize=512)
def _described(statement: str) -> tuple[str, dict[str, str]]:
    """The span's name, such as `INSERT sessions INSERT messages`, and its attributes."""
    found = [tuple(filter(None, groups)) for groups in _CHANGE.findall(statement)]
    if not found and (read := _READ.match(statement)):
        found = [read.groups()]
    named = [(operation.upper(), table) for operation, table in found]
    name = " ".join(" ".join(pair) for pair in named) or statement.split(maxsplit=1)[0].upper()
    attributes = {"db.query.text": statement, "db.query.summary": name}
    if len(named) == 1:
        attributes["db.operation.name"], attributes["db.collection.name"] = named[0]
    return name, attributes
