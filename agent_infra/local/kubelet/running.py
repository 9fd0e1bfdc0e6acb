"""A container as a process of this machine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.fleets.pod import Probe
from agent_infra.local.fleets.replica import answers
from agent_infra.local.kubelet import logfiles
from agent_infra.local.kubelet.runtime import Usage

_COPY_SECONDS = 0.5


class RunningProcess:
    """A container as a process."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        variables: Mapping[str, str],
        port: int,
        copy: logfiles.Copy,
        log: Path,
    ) -> None:
        self.log = log
        self.created = 0.0
        self._process = process
        self._variables = variables
        self._port = port
        self._copy = copy
        with suppress(psutil.Error):
            self.created = psutil.Process(process.pid).create_time()
        self._ended = asyncio.create_task(self._followed())

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def answers(self, handler: Object) -> bool:
        if "exec" in handler:
            return await self._runs(handler["exec"]["command"])
        return await answers(self._port, Probe((handler.get("httpGet") or {}).get("path")))

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def usage(self) -> Usage | None:
        """Its own and its children's."""
        try:
            process = psutil.Process(self._process.pid)
            family = [process, *process.children(recursive=True)]
            times = [each.cpu_times() for each in family]
            return Usage(
                cpu_seconds=sum(each.user + each.system for each in times),
                memory_bytes=sum(each.memory_info().rss for each in family),
            )
        except psutil.Error:
            return None

    def _send(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _followed(self) -> int:
        """Its exit code; its log is copied meanwhile, all of it before its end is told."""
        ended = asyncio.create_task(self._process.wait())
        while not ended.done():
            await asyncio.wait({ended}, timeout=_COPY_SECONDS)
            await asyncio.to_thread(self._copy.catch_up, whole=ended.done())
        return ended.result()

    async def _runs(self, command: list[str]) -> bool:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=dict(self._variables),
                cwd="/",
            )
        except OSError:
            return False
        try:
            return await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
