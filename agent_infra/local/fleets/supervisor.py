"""The daemon of one environment: makes what runs follow what the manifests say."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

import psutil

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets import manifests
from agent_infra.local.fleets.container import CannotRun
from agent_infra.local.fleets.deployment import Deployment
from agent_infra.local.fleets.external_secrets import ExternalSecrets
from agent_infra.local.fleets.manifests import Manifests, Object
from agent_infra.local.fleets.pod import identity_variables, plan
from agent_infra.local.fleets.proxy import Proxy
from agent_infra.local.fleets.status import (
    FleetsStatus,
    ServiceAddress,
    read_scales,
    read_status,
    write_status,
)

_LOOK_SECONDS = 0.2
#: Manifests that changed without a word (a plain `pulumi up`) are followed once they are still for so long.
_STILL_SECONDS = 2.0
#: A Service may ask for its port on this machine by this annotation.
PORT_ANNOTATION = "agent-infra.dev/local-port"
_DEFAULT_PORT = 8080


class Supervisor:
    """Runs until it is told to end."""

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._deployments: dict[str, Deployment] = {}
        self._proxies: dict[str, Proxy] = {}
        self._behind: dict[str, list[str]] = {}
        self._secrets = ExternalSecrets()
        self._followed = ""
        self._digest = ""
        self._seen = ("", 0.0)
        self._stop = asyncio.Event()
        self._told = True
        self._written: FleetsStatus | None = None
        process = psutil.Process()
        self._identity = (process.pid, process.create_time())
        before = read_status(environment.fleets_file)
        self._ports = {name: service.port for name, service in before.services.items()}
        _end_leftovers(before)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._tell)
        while not self._stop.is_set() and self._environment.root.exists():
            await self._follow()
            await asyncio.gather(*(deployment.step() for deployment in self._deployments.values()))
            await self._drop_unwanted()
            self._write()
            try:
                await asyncio.wait_for(self._stop.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue
        await self._end()

    def _tell(self) -> None:
        self._told = True

    async def _follow(self) -> None:
        told, self._told = self._told, False
        aws = identity_variables(self._environment)
        written = manifests.read(self._environment.manifests_dir)
        now = await asyncio.to_thread(self._secrets.applied, written, aws=aws, fresh=told)
        digest = now.digest + self._secrets.digest + json.dumps(aws)
        if digest != self._seen[0]:
            self._seen = (digest, time.monotonic())
        still = time.monotonic() - self._seen[1] > _STILL_SECONDS
        if digest == self._followed and not told:
            return
        if not (told or still):
            return
        self._followed = digest
        self._apply(now)
        await self._listen(now)
        self._digest = now.digest

    def _apply(self, now: Manifests) -> None:
        identity = identity_variables(self._environment)
        scales = read_scales(self._environment.scales_file)
        wanted = {deployment["metadata"]["name"]: deployment for deployment in now.deployments()}
        for name, content in wanted.items():
            deployment = self._deployments.setdefault(name, Deployment(name, self._environment.logs_dir))
            try:
                replicas = scales.get(name, now.replicas(content))
                deployment.want(plan(content, now, identity=identity), replicas)
            except CannotRun as problem:
                deployment.cannot(str(problem))
        for name in self._deployments.keys() - wanted.keys():
            self._deployments[name].desired = 0

    async def _drop_unwanted(self) -> None:
        for name, deployment in list(self._deployments.items()):
            if deployment.desired == 0 and not deployment.replicas and not self._wants(name):
                del self._deployments[name]

    def _wants(self, name: str) -> bool:
        return any(
            content["metadata"]["name"] == name
            for content in manifests.read(self._environment.manifests_dir).deployments()
        )

    async def _listen(self, now: Manifests) -> None:
        services = {service["metadata"]["name"]: service for service in now.services()}
        for name in self._proxies.keys() - services.keys():
            await self._proxies.pop(name).end()
        for name, service in services.items():
            self._behind[name] = now.behind(service)
            if name not in self._proxies:
                proxy = Proxy(lambda name=name: self._ready_ports(self._behind[name]))  # type: ignore[misc] # bound early
                await proxy.start(self._ports.get(name) or _wanted_port(service))
                self._proxies[name] = proxy
                self._ports[name] = proxy.port

    def _ready_ports(self, deployments: list[str]) -> list[int]:
        return [
            port
            for name in deployments
            if name in self._deployments
            for port in self._deployments[name].ready_ports()
        ]

    def _write(self) -> None:
        now = FleetsStatus(
            pid=self._identity[0],
            created=self._identity[1],
            digest=self._digest,
            fleets={name: deployment.status() for name, deployment in sorted(self._deployments.items())},
            services={
                name: ServiceAddress(f"http://127.0.0.1:{proxy.port}", proxy.port)
                for name, proxy in sorted(self._proxies.items())
            },
        )
        if now != self._written:
            try:
                write_status(self._environment, now)
            except OSError as error:  # the fleets serve on; it is tried again at the next look
                sys.stderr.write(f"cannot write {self._environment.fleets_file}: {error.strerror}\n")
                return
            self._written = now

    async def _end(self) -> None:
        for proxy in self._proxies.values():
            await proxy.end()
        await asyncio.gather(*(deployment.end() for deployment in self._deployments.values()))
        if self._environment.root.exists():
            kept = {name: ServiceAddress("", port) for name, port in self._ports.items()}
            write_status(self._environment, FleetsStatus(services=kept))


def _wanted_port(service: Object) -> int:
    said = (service["metadata"].get("annotations") or {}).get(PORT_ANNOTATION, "")
    return int(said) if said.isdigit() else _DEFAULT_PORT


def _end_leftovers(before: FleetsStatus) -> None:
    """Ends the replicas of a supervisor that was killed."""
    for fleet in before.fleets.values():
        for replica in fleet.replicas:
            try:
                process = psutil.Process(replica.pid)
                if replica.pid != os.getpid() and abs(process.create_time() - replica.created) < 1:
                    process.terminate()
            except (psutil.Error, ValueError):
                continue
