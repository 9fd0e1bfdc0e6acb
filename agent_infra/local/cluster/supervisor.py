"""The process that keeps one control plane running and says how it is."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from agent_infra.local.cluster import bootstrap, kubeconfigs, states
from agent_infra.local.cluster.configurations import authentication, kwok_configuration
from agent_infra.local.cluster.options import ClusterOptions, Places
from agent_infra.local.cluster.parts import OBJECTS, Part
from agent_infra.local.cluster.plan import Plan
from agent_infra.local.cluster.ports import Ports
from agent_infra.local.cluster.running import Running
from agent_infra.local.cluster.states import ClusterStatus
from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.tools import ClusterTools

_WRITE_SECONDS = 0.1
_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Work:
    """What the supervisor does itself, between the parts."""

    objects: Callable[[Plan], None] = bootstrap.objects
    """Once the API server is ready, before those start that need it."""
    ready: Callable[[Plan], None] = bootstrap.ready
    """Waits for the last, once every part runs."""


class Supervisor:
    """Runs until it is told to end, or its environment is deleted."""

    def __init__(
        self,
        environment: LocalEnvironment,
        parts: Sequence[Part],
        options: ClusterOptions,
        programs: ClusterTools,
        work: Work | None = None,
    ) -> None:
        self._environment = environment
        self._places = Places(environment.cluster_dir)
        earlier = states.read(self._places.status)
        self._ports = Ports([name for part in parts for name in part.ports], earlier.ports)
        self._plan = Plan(environment, self._places, programs, options, self._ports.numbers)
        self._work = work or Work()
        self._ready = {name: asyncio.Event() for name in (*(part.name for part in parts), OBJECTS)}
        self._running = [Running(part, self._plan, self._ready) for part in parts]
        self._stop = asyncio.Event()
        self._begun = time.monotonic()
        self._seconds = 0.0
        self._detail = ""
        self._written: ClusterStatus | None = None
        process = psutil.Process()
        self._identity = (process.pid, process.create_time())

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        for directory in (self._places.run, self._places.logs, self._places.etcd):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._places.root / "authentication.json", authentication())
        write_private(self._places.root / "kwok.json", kwok_configuration())
        if "kube-apiserver" in self._plan.ports:
            name = f"agent-infra-{self._environment.name}"
            kubeconfigs.write(self._places, name=name, server=self._plan.server)
        tasks = [asyncio.create_task(running.keep()) for running in self._running]
        tasks.append(asyncio.create_task(self._prepare()))
        while not self._stop.is_set() and self._environment.root.exists():
            self._write()
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
            try:
                await asyncio.wait_for(self._stop.wait(), _WRITE_SECONDS)
            except TimeoutError:
                continue
        await self._end(tasks)

    def stop(self) -> None:
        """Makes `run` end the parts and return."""
        self._stop.set()

    async def _prepare(self) -> None:
        """The supervisor's own work, again and again until it is done."""
        if "kube-apiserver" in self._ready:
            await self._ready["kube-apiserver"].wait()
        await self._until_done(self._work.objects)
        self._ready[OBJECTS].set()
        for ready in self._ready.values():
            await ready.wait()
        await self._until_done(self._work.ready)
        self._seconds = time.monotonic() - self._begun

    async def _until_done(self, work: Callable[[Plan], None]) -> None:
        while True:
            try:
                await asyncio.to_thread(work, self._plan)
            except LocalError as error:
                self._detail = str(error)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                self._detail = ""
                return

    def _write(self) -> None:
        now = ClusterStatus(
            pid=self._identity[0],
            created=self._identity[1],
            ready=self._seconds > 0 and all(ready.is_set() for ready in self._ready.values()),
            seconds=round(self._seconds, 2),
            server=self._plan.server if "kube-apiserver" in self._plan.ports else "",
            detail=self._detail,
            ports=dict(self._plan.ports),
            parts=[running.status() for running in self._running],
        )
        if now == self._written:
            return
        try:
            states.write(self._places.status, now)
        except OSError as error:  # the cluster runs on; it is tried again at the next look
            sys.stderr.write(f"cannot write {self._places.status}: {error.strerror}\n")
            return
        self._written = now

    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Ends the parts against the order of their needs: who asks goes before who answers."""
        for task in tasks:
            task.cancel()
        left = list(self._running)
        while left:
            needed = {need for running in left for need in running.part.needs}
            last = [running for running in left if not _needed(running, needed)] or left
            await asyncio.gather(*(running.end() for running in last))
            left = [running for running in left if running not in last]
        self._ports.close()
        if self._environment.root.exists():
            stopped = [running.status() for running in self._running]
            states.write(self._places.status, ClusterStatus(ports=dict(self._plan.ports), parts=stopped))


def _needed(running: Running, needed: set[str]) -> bool:
    """Whether others still need it; the cluster's own objects are the API server's."""
    return running.part.name in needed or (running.part.name == "kube-apiserver" and OBJECTS in needed)
