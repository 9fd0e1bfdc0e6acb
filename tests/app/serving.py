"""How the stand-ins are served: aiohttp without its routing, for load, on loopback."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.app.faults import Faults
from tests.app.processes import LOOPBACK

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    """Serves while the block lasts and gives the URL; requests still open at its end are broken off.

    A handler is cancelled when its client is gone: nobody is there to take what it would still give.
    """
    server = web.Server(handler, access_log=None, keepalive_timeout=600, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port, backlog=2048)
        await site.start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that every stand-in has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    parser.add_argument("--seed", type=int, default=0, help="for faults that come with a probability")
    return parser


def serve(handler: Handler, port: int) -> None:
    """Serves until SIGTERM or SIGINT, having printed the port."""
    logging.basicConfig(level=logging.WARNING)

    async def main() -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with serving(handler, port) as url:
            print(url.rpartition(":")[2], flush=True)  # noqa: T201 - what the caller reads
            await stopped.wait()

    asyncio.run(main())


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(body).encode(), status=status, headers=headers, content_type="application/json"
    )


async def send_part(request: web.BaseRequest, response: web.Response, share: float) -> None:
    """Sends the status and a share of the body, never all of it; nothing for 0."""
    if share == 0:
        return
    body = response.body
    assert isinstance(body, bytes)
    partly = web.StreamResponse(status=response.status, headers=response.headers)
    partly.content_length = len(body)
    await partly.prepare(request)
    await partly.write(body[: max(1, min(int(len(body) * share), len(body) - 1))])


def hang_up(request: web.BaseRequest) -> web.StreamResponse:
    """Closes the connection at once.

    Raises:
        ConnectionResetError: always; it tells aiohttp that nobody is there to answer.
    """
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("closed on purpose")


async def change_faults(request: web.BaseRequest, faults: Faults) -> web.Response:
    """`/__faults`: GET shows the rules, POST `{"rules": [...]}` replaces them, DELETE removes them."""
    if request.method == "POST":
        try:
            sent: dict[str, Any] = json.loads(await request.content.read())
            faults.set(sent["rules"])
        except (ValueError, KeyError, TypeError) as error:
            return json_response({"error": f"the rules cannot be used: {error!r}"}, 422)
    elif request.method == "DELETE":
        faults.set([])
    return json_response(faults.as_json())
