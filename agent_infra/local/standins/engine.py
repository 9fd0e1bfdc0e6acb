"""The engine on the other side of a call: what it said beside the properties, and what it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

Severity = Literal["info", "warning", "error"]

_SEVERITIES: Final = {
    "info": engine_pb2.LogSeverity.INFO,
    "warning": engine_pb2.LogSeverity.WARNING,
    "error": engine_pb2.LogSeverity.ERROR,
}
#: A message that the engine does not take in time is no reason to hold up the work; seconds.
_LOG_TIMEOUT: Final = 5.0


class Engine:
    """Takes messages for the user; without an address they go nowhere."""

    def __init__(self, address: str | None) -> None:
        self._stub: Any = None
        if address:
            self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def log(self, urn: str, severity: Severity, message: str, *, ephemeral: bool) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(
            severity=_SEVERITIES[severity], urn=urn, message=message, ephemeral=ephemeral
        )
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=_LOG_TIMEOUT)


@dataclass
class Call:
    """One call of the engine's, about one resource."""

    engine: Engine = field(default_factory=lambda: Engine(None))
    urn: str = ""
    timeout: float = 0.0
    """The resource's `customTimeouts` for what is being done, in seconds; 0: it has none."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set once the user wants the run to end."""
    _said: set[str] = field(default_factory=set)
    _status: str = ""

    def warn(self, message: str) -> None:
        """A warning that stays with the resource, once."""
        if message not in self._said:
            self._said.add(message)
            self.engine.log(self.urn, "warning", message, ephemeral=False)

    def status(self, message: str) -> None:
        """What is going on now; the next one takes its place, and an empty one takes it away."""
        if message != self._status:
            self._status = message
            self.engine.log(self.urn, "info", message, ephemeral=True)


_CURRENT: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call:
    """The call that is being answered; outside of one, such as in a test, a call that nobody follows."""
    return _CURRENT.get() or Call()


@contextlib.contextmanager
def answering(call: Call) -> Iterator[Call]:
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)
