"""One address for the replicas behind a Service: a TCP proxy that goes round those that are ready."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from agent_infra.local.services.process import free_port

_CHUNK_BYTES = 64 * 1024
_NONE_READY = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
    b"retry-after: 1\r\nconnection: close\r\ncontent-length: 61\r\n\r\n"
    b'{"title":"No replica is ready","status":503,"detail":"Retry"}'
)


class Proxy:
    """Listens on loopback for one Service."""

    def __init__(self, ready_ports: Callable[[], Sequence[int]]) -> None:
        self._ready_ports = ready_ports
        self._turn = 0
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, wanted: int | None) -> None:
        """Listens on the wanted port, or on a free one where that is taken."""
        self.port = free_port(wanted)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def end(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await self._connect()
            if upstream is None:
                await reader.read(_CHUNK_BYTES)
                writer.write(_NONE_READY)
                await writer.drain()
                return
            await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))
        except OSError:
            return
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = self._ready_ports()
        self._turn += 1
        for offset in range(len(ports)):
            port = ports[(self._turn + offset) % len(ports)]
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
        return None


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(_CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()
