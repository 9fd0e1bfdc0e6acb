"""What a client may take, in time and in headers, to send a request: uvicorn itself waits for ever."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger(__name__)

#: Bytes of a request's first line and headers; a load balancer of AWS lets 64 KiB through.
LONGEST_HEAD = 65_536
#: What a connection has for its request when the process is told to end.
LINGER_SECONDS = 0.5


class Patient(HttpToolsProtocol):
    """Closes a connection whose request is not here, headers and body, within `seconds` of its beginning.

    Connections that send a byte now and then would otherwise be held as long as they like, at the cost of one
    socket each; an idle one between two requests is closed by uvicorn's own `timeout_keep_alive`.
    """

    def __init__(self, *args: Any, seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        #: Bytes of headers so far; None while there are none to come.
        self._head: int | None = None
        self._ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > LONGEST_HEAD:
                self.send_400_response(f"The headers are longer than {LONGEST_HEAD} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._watch()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head = None
        if self._ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._rest()

    def shutdown(self) -> None:
        """Ends the connection with the answer in hand; one without a request is given a moment for it.

        A request may have been sent when we were told to end, and not have come in yet.
        """
        self._ending = True
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(LINGER_SECONDS, super().shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._late)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        log.info("a request did not come in time", seconds=self._seconds)
        self.transport.close()


def patient(seconds: float) -> Callable[..., asyncio.Protocol]:
    """The protocol for uvicorn."""
    return functools.partial(Patient, seconds=seconds)
