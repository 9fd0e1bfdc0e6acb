"""One process that stands for a pod: started, asked whether it is ready, ended."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import psutil

from agent_infra.local.fleets.pod import Pod, Probe
from agent_infra.local.fleets.status import ReplicaStatus
from agent_infra.local.services import children
from agent_infra.local.services.process import free_port

_ASK_SECONDS = 2.0


class Replica:
    """A process of one revision of a pod."""

    def __init__(self, pod: Pod, slot: int, log: Path, *, restarts: int = 0) -> None:
        self.pod = pod
        self.revision = pod.revision
        self.slot = slot
        self.log = log
        self.restarts = restarts
        self.port = 0
        self.ready = False
        self.ending = False
        self.started = time.monotonic()
        self._created = 0.0
        self._failures = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def name(self) -> str:
        return f"{self.pod.name}-{self.slot}"

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        self.port = free_port()
        own = own_variables(self.name, self.port)
        self._process = await children.spawn(self.pod.command, {**self.pod.variables, **own}, self.log)
        try:
            self._created = psutil.Process(self._process.pid).create_time()
        except psutil.Error:
            self._created = 0.0

    async def ask(self) -> None:
        """Asks its probes; one that fails liveness too often is killed, to be started again."""
        if self.exit_code is not None or self.ending:
            self.ready = False
            return
        self.ready = await answers(self.port, self.pod.readiness)
        if self.ready or self.pod.liveness is None:
            self._failures = 0
            return
        started_long_ago = time.monotonic() - self.started > self.pod.deadline_seconds
        if started_long_ago and not await answers(self.port, self.pod.liveness):
            self._failures += 1
            if self._failures >= self.pod.liveness.failures and self._process:
                self._process.kill()

    async def end(self) -> None:
        """SIGTERM, the pod's grace period, SIGKILL."""
        self.ending, self.ready = True, False
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), self.pod.grace_seconds)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def status(self) -> ReplicaStatus:
        return ReplicaStatus(
            name=self.name,
            pid=self._process.pid if self._process else 0,
            created=self._created,
            port=self.port,
            ready=self.ready,
            restarts=self.restarts,
            log=str(self.log),
        )


def own_variables(name: str, port: int) -> dict[str, str]:
    """What each process that stands for a pod has to itself."""
    return {"AGENT_APP_HOST": "127.0.0.1", "AGENT_APP_PORT": str(port), "HOSTNAME": name}


async def answers(port: int, probe: Probe) -> bool:
    """Whether a probe succeeds: an HTTP status below 400, or a TCP connection."""
    return await children.answers(port, probe.path, seconds=_ASK_SECONDS)
