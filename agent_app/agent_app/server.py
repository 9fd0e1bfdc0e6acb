"""Runs the API or a worker until SIGTERM or Ctrl-C; ends with status 0 once what is in hand is done."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

import structlog
import uvicorn

from agent_app import service
from agent_app.http import api
from agent_app.http.patience import patient
from agent_app.settings import Settings, SettingsError
from agent_app.tasks.deletion_cost import DeletionCost
from agent_app.tasks.worker import Worker

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn, but a signal asks us first, and does not end the process by being raised again."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop
        self._asked = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._asked:
            self.should_exit = self.force_exit = True
            return
        self._asked = True
        # From the signal's frame into the loop, which is woken by it.
        asyncio.get_event_loop().call_soon_threadsafe(self._stop)


async def serve(settings: Settings) -> None:
    """The API; without a queue it runs the tasks as well.

    Raises:
        SettingsError: nobody would be authenticated outside the environment `local`.
    """
    settings.require_auth()
    _cancelled_by_sigterm()
    async with service.opened(settings) as parts:
        server = _server(settings, api.create(parts), lambda: _exit(server, parts.worker))
        if not parts.own_worker:
            await _listen(server, settings)
            return
        worker = asyncio.create_task(parts.worker.run())
        await _listen(server, settings)
        parts.worker.stop()
        await worker


async def work(settings: Settings) -> None:
    """A worker, with the probes on its port; they answer until its last task has ended."""
    _cancelled_by_sigterm()
    async with service.opened(settings) as parts:
        server = _server(settings, api.create(parts, probes_only=True), parts.worker.stop)

        async def until_drained() -> None:
            try:
                await parts.worker.run()
            finally:
                server.should_exit = True

        worker = asyncio.create_task(until_drained())
        telling = asyncio.create_task(_tell_load(settings, parts))
        try:
            await _listen(server, settings)
        finally:
            telling.cancel()
            if server.force_exit:
                worker.cancel()
            parts.worker.stop()
            await asyncio.wait({worker})
        if not worker.cancelled():
            worker.result()


async def _tell_load(settings: Settings, parts: service.Service) -> None:
    if settings.pod_directory is None:
        return
    await DeletionCost(settings.pod_directory, lambda: len(parts.worker.running), parts.metrics).run()


def _cancelled_by_sigterm() -> None:
    """Until the server answers signals: what starts is given up, wherever it waits.

    To raise out of a signal's frame would end whatever code happens to run then, the loop's own too.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one

    def cancel(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)

    signal.signal(signal.SIGTERM, cancel)


def _server(settings: Settings, app: object, stop: Callable[[], None]) -> Server:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # any ASGI application
        host=settings.host,
        port=settings.port,
        http=patient(settings.receive_seconds),  # type: ignore[arg-type]  # any maker of a protocol
        access_log=False,
        log_config=None,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=max(1, int(settings.drain_limit)),
        timeout_keep_alive=75,  # longer than a load balancer's 60 s, which must be the first to close
    )
    return Server(config, stop)


def _exit(server: Server, worker: Worker) -> None:
    # Requests and tasks end within one limit, not within one each: the pod is killed after that.
    worker.told_to_end()
    log.info("stopping: what is in hand is finished first")
    server.should_exit = True


async def _listen(server: Server, settings: Settings) -> None:
    try:
        await server.serve()
    except SystemExit:
        # uvicorn has logged the reason: most often the port is taken.
        raise SettingsError(
            f"AGENT_APP_HOST:AGENT_APP_PORT is {settings.host}:{settings.port}: it cannot be listened on "
            "(is it taken?). Choose another AGENT_APP_PORT or end what uses this one."
        ) from None
