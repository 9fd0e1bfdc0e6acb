"""A receiver of traces: decodes what OTLP brings, or says nothing for as long as a test wants."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.app.processes import LOOPBACK, until


@dataclass(frozen=True)
class Span:
    """One span as it arrived."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    failed: bool
    seconds: float

    @classmethod
    def of(cls, message: SpanMessage, resource: dict[str, Any]) -> Span:
        return cls(
            message.name,
            SpanMessage.SpanKind.Name(message.kind).removeprefix("SPAN_KIND_").lower(),
            message.trace_id.hex(),
            message.span_id.hex(),
            message.parent_span_id.hex(),
            _attributes(message.attributes),
            resource,
            message.status.code == Status.STATUS_CODE_ERROR,
            (message.end_time_unix_nano - message.start_time_unix_nano) / 1e9,
        )


@dataclass
class Receiver:
    """What has arrived; `hangs` while it is set keeps those who send waiting."""

    url: str = ""
    keeps: bool = True
    spans: list[Span] = field(default_factory=list)
    #: The bodies, in which nothing may be that must not leave the service.
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    hangs: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def variables(self) -> dict[str, str]:
        """For a process that sends here, and soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def named(self, name: str) -> list[Span]:
        return [span for span in list(self.spans) if span.name == name]

    def comes(self, name: str, *, count: int = 1) -> Sequence[Span]:
        """The first `count` spans of this name, waited for."""
        until(lambda: len(self.named(name)) >= count, what=f"{count} spans {name!r}")
        return self.named(name)[:count]

    def of_trace(self, trace: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace == trace]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.asked.set()
        if self.hangs.is_set():
            self.ended.wait()
            return
        if not self.keeps:
            return
        request = ExportTraceServiceRequest.FromString(body)
        self.paths.add(path)
        self.headers.append(headers)
        self.bodies.append(body)
        for group in request.resource_spans:
            resource = _attributes(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [Span.of(message, resource) for message in scope.spans]


@contextlib.contextmanager
def receiving(*, keeps: bool = True) -> Iterator[Receiver]:
    """A receiver on loopback while the block lasts."""
    receiver = Receiver(keeps=keeps)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            return  # who sent has ended meanwhile

    with Server((LOOPBACK, 0), Handler) as server:
        receiver.url = f"http://{LOOPBACK}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)
