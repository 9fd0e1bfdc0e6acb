"""A span for every request, of the trace that the caller's `traceparent` names or of a new one."""

from __future__ import annotations

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_app.http.middleware import QUIET
from agent_app.telemetry.traces import Traces, failed

_W3C = TraceContextTextMapPropagator()
_HEADERS = frozenset({b"traceparent", b"tracestate"})
#: Others are made up by the caller and would make a span name each.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


class Traced:
    """Around all else, so that the other layers' logs tell the trace. Nothing is buffered.

    opentelemetry-instrumentation-asgi was measured and left: it records query strings and the text of
    exceptions, and costs a request three times as much (docs/adr/0010).
    """

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._tracer = traces.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        span = self._tracer.start_span(method, _parent(scope), SpanKind.SERVER, attributes)
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = contexts.attach(set_span_in_context(span))
        try:
            await self._app(scope, receive, noting)
        except BaseException as error:
            failed(span, type(error).__qualname__)
            raise
        finally:
            contexts.detach(token)
            if span.is_recording():
                _describe(span, scope, method, status)
                span.end()


def _parent(scope: Scope) -> Context:
    given = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _HEADERS}
    return _W3C.extract(given, Context()) if given else Context()


def _describe(span: Span, scope: Scope, method: str, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)
    if route:
        # A path that is none of ours may hold anything.
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "url.path": scope["path"]})
    if status:
        span.set_attribute("http.response.status_code", status)
    if status >= 500:
        failed(span, str(status))
