"""The daemon of an environment whose objects are files: makes what runs follow what the manifests say."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets import manifests
from agent_infra.local.fleets.container import CannotRun
from agent_infra.local.fleets.daemon import Daemon
from agent_infra.local.fleets.deployment import Deployment
from agent_infra.local.fleets.external_secrets import ExternalSecrets
from agent_infra.local.fleets.manifests import Manifests
from agent_infra.local.fleets.pod import identity_variables, plan
from agent_infra.local.fleets.status import FleetStatus, read_scales

#: Manifests that changed without a word (a plain `pulumi up`) are followed once they are still for so long.
_STILL_SECONDS = 2.0


class Supervisor(Daemon):
    """Does a Deployment controller's work and a kubelet's."""

    def __init__(self, environment: LocalEnvironment) -> None:
        super().__init__(environment)
        self._deployments: dict[str, Deployment] = {}
        self._behind: dict[str, list[str]] = {}
        self._secrets = ExternalSecrets()
        self._followed = ""
        self._followed_digest = ""
        self._seen = ("", 0.0)

    @property
    def _digest(self) -> str:
        return self._followed_digest

    async def _look(self) -> None:
        await self._follow()
        await asyncio.gather(*(deployment.step() for deployment in self._deployments.values()))
        await self._drop_unwanted()

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
        services = {service["metadata"]["name"]: service for service in now.services()}
        self._behind = {name: now.behind(service) for name, service in services.items()}
        await self._front.listen(services)
        self._followed_digest = now.digest

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

    def _ready_ports(self, service: str) -> list[int]:
        return [
            port
            for name in self._behind.get(service, ())
            if name in self._deployments
            for port in self._deployments[name].ready_ports()
        ]

    def _fleets(self) -> Mapping[str, FleetStatus]:
        return {name: deployment.status() for name, deployment in sorted(self._deployments.items())}

    async def _end(self) -> None:
        await asyncio.gather(*(deployment.end() for deployment in self._deployments.values()))
