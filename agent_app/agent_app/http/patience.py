"""How long a client may take to send a request: uvicorn itself waits for ever."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger(__name__)


class Patient(H11Protocol):
    """Closes a connection whose request is not here, headers and body, within `seconds` of its beginning.

    Connections that send a byte now and then would otherwise be held as long as they like, at the cost of one
    socket each; an idle one between two requests is closed by uvicorn's own `timeout_keep_alive`.
    """

    def __init__(self, *args: Any, seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._rest()
        elif self._timer is None:
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
