"""The daemon of an environment whose objects are in an API server: its kubelet, operators and addresses."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.daemon import Daemon
from agent_infra.local.fleets.manifests import Object
from agent_infra.local.fleets.status import FleetStatus, ReplicaStatus
from agent_infra.local.kubelet import fleets, stages
from agent_infra.local.kubelet.api import Api, ApiError
from agent_infra.local.kubelet.kubelet import LABELS, Kubelet
from agent_infra.local.kubelet.life import Life
from agent_infra.local.kubelet.operators import Operators
from agent_infra.local.kubelet.processes import ProcessRuntime
from agent_infra.local.kubelet.running import RunningProcess
from agent_infra.local.kubelet.timing import Timing
from agent_infra.local.kubelet.usage import Meter
from agent_infra.local.kubelet.watched import Watched

_RETRY_SECONDS = 2.0


class ClusterSupervisor(Daemon):
    """Leaves to the control plane what is its own, and does what nodes do."""

    def __init__(self, environment: LocalEnvironment, kubeconfig: Path, *, timing: Timing) -> None:
        super().__init__(environment)
        self.kubeconfig = str(kubeconfig)
        # What an earlier one left: its processes have ended with it.
        shutil.rmtree(environment.pods_dir, ignore_errors=True)
        self._api = Api.open(kubeconfig)
        self._kubelet = Kubelet(self._api, ProcessRuntime(environment, self._api), timing=timing)
        self._services = self._watched("/api/v1/services")
        self._deployments = self._watched(fleets.DEPLOYMENTS)
        self._rollouts = self._watched(fleets.ROLLOUTS)
        operators = Operators(environment, self._api, self._deployments)
        meter = Meter(self._api, self._kubelet, seconds=timing.usage)
        self._jobs: list[Coroutine[Any, Any, None]] = [
            self._narrow(),
            *(each.run() for each in (self._services, self._deployments, self._rollouts)),
            operators.run(),
            *([meter.run()] if timing.usage else []),
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def _watched(self, path: str) -> Watched:
        return Watched(self._api, path, selector=fleets.MANAGED, changed=lambda: None)

    async def _look(self) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._kubelet.run())]
            self._tasks += [asyncio.create_task(job) for job in self._jobs]
        for task in self._tasks:
            if task.done():
                task.result()  # none of them ends by itself
        services = {
            name: service
            for (_, name), service in self._services.objects.items()
            if service["spec"].get("selector")
        }
        await self._front.listen(services)

    async def _narrow(self) -> None:
        """Has kwok leave the fleets' pods alone, now and after somebody has written its Stages anew."""
        while True:
            with suppress(ApiError):
                await stages.narrow(self._api, LABELS)
            await asyncio.sleep(_RETRY_SECONDS)

    def _ready_ports(self, service: str) -> list[int]:
        found = next((each for (_, name), each in self._services.objects.items() if name == service), None)
        return [
            life.running.port
            for life in self._kubelet.lives.values()
            if found is not None and life.ready and life.running and fleets.behind(found, life.pod)
        ]

    @property
    def _owners(self) -> Iterable[Object]:
        return [*self._deployments.objects.values(), *self._rollouts.objects.values()]

    @property
    def _digest(self) -> str:
        known = self._deployments.known.is_set() and self._rollouts.known.is_set()
        return fleets.digest(self._owners) if known else ""

    def _fleets(self) -> Mapping[str, FleetStatus]:
        lives = list(self._kubelet.lives.values())
        found = {}
        for owner in sorted(self._owners, key=lambda each: str(each["metadata"]["name"])):
            own = [life for life in lives if fleets.owned(owner, life.pod)]
            problems = [f"{life.name}: {life.problem}" for life in own if life.problem]
            replicas = [_replica(life) for life in own]
            found[owner["metadata"]["name"]] = fleets.status(owner, replicas, problems)
        return found

    async def _end(self) -> None:
        for task in self._tasks[1:]:
            task.cancel()
        if self._tasks:
            self._tasks[0].cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            with suppress(ApiError):
                await stages.widen(self._api, LABELS)
        else:
            for job in self._jobs:
                job.close()
        await self._api.close()


def _replica(life: Life) -> ReplicaStatus:
    running = life.running if isinstance(life.running, RunningProcess) else None
    return ReplicaStatus(
        name=life.name,
        pid=running.pid if running else 0,
        created=running.created if running else 0.0,
        port=running.port if running else 0,
        ready=life.ready,
        restarts=life.restarts,
        log=str(running.log) if running else "",
    )
