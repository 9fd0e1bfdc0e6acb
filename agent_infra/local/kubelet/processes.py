"""The runtime that makes each container a process of this machine, as the fleets have without a cluster."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.container import REFERENCES, CannotRun, Process, process
from agent_infra.local.fleets.manifests import Object, namespace_of
from agent_infra.local.fleets.pod import identity_variables
from agent_infra.local.fleets.replica import own_variables
from agent_infra.local.kubelet import logfiles, volumes
from agent_infra.local.kubelet.api import Api, ApiError
from agent_infra.local.kubelet.running import RunningProcess
from agent_infra.local.kubelet.tokens import Tokens
from agent_infra.local.services import children
from agent_infra.local.services.process import free_port

_PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets"}


class ProcessRuntime:
    """Starts containers as the environment's processes, with what their pods say and nothing else."""

    def __init__(self, environment: LocalEnvironment, api: Api) -> None:
        self._environment = environment
        self._api = api
        self._living: set[str] = set()
        self._tokens = Tokens(api)

    async def start(self, pod: Object, container: Object) -> RunningProcess:
        name = pod["metadata"]["name"]
        directory = self._directory(pod)
        try:
            planned = await self._planned(pod, container, directory)
        except ApiError as error:
            raise CannotRun(str(error)) from None
        self._living.add(name)
        first = container["name"] == pod["spec"]["containers"][0]["name"]
        said = name if first else f"{name}.{container['name']}"
        log = self._environment.logs_dir / f"fleet-{said}.log"
        copy = logfiles.Copy(log, directory / f"{container['name']}.log")
        port = free_port()
        host, server_port = self._api.address
        variables = {
            **{
                key: volumes.moved(value, pod, container, directory)
                for key, value in planned.variables.items()
            },
            **own_variables(name, port),
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": str(server_port),
            **volumes.temporary(container, directory),
        }
        command = [volumes.moved(each, pod, container, directory) for each in planned.command]
        try:
            started = await children.spawn(command, variables, log)
        except OSError as error:
            raise CannotRun(f"{command[0]} cannot be started ({error.strerror})") from None
        made = RunningProcess(started, variables, port, copy, log)
        await self._show(pod, directory, port)
        return made

    async def forget(self, pod: Object) -> None:
        self._tokens.forget(pod)
        self._living.discard(pod["metadata"]["name"])
        await asyncio.to_thread(shutil.rmtree, self._directory(pod), ignore_errors=True)
        await asyncio.to_thread(logfiles.prune, self._environment.logs_dir, living=set(self._living))

    def _directory(self, pod: Object) -> Path:
        return self._environment.pods_dir / str(pod["metadata"]["uid"])

    async def _planned(self, pod: Object, container: Object, directory: Path) -> Process:
        """The process, once the pod's volumes are there."""
        found = {
            (kind, name): await self._api.get(
                f"/api/v1/namespaces/{namespace_of(pod)}/{_PLURALS[kind]}/{name}"
            )
            for kind, name in {*_references(container), *volumes.references(pod)}
        }
        tokens = {
            said["path"]: await self._tokens.first(pod, said, directory) for said in volumes.tokens(pod)
        }
        identity = identity_variables(self._environment)

        def find(kind: str, _namespace: str, name: str) -> Object | None:
            return found[kind, name]

        def plan() -> Process:
            volumes.write(pod, directory, find, tokens=tokens)
            return process(container, pod, find, identity=identity)

        return await asyncio.to_thread(plan)

    async def _show(self, pod: Object, directory: Path, port: int) -> None:
        """Has kwok, which answers for the nodes, show the logs and forward the ports."""
        shown = (*pod["spec"]["containers"][:1], *(pod["spec"].get("initContainers") or ()))
        names = [each["name"] for each in shown]
        logs = [
            {"containers": [name], "logsFile": str(directory / f"{name}.log"), "follow": True}
            for name in names
        ]
        spec = {
            "Logs": {"logs": logs},
            "PortForward": {"forwards": [{"target": {"address": "127.0.0.1", "port": port}}]},
        }
        metadata = pod["metadata"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        for kind, plural in (("Logs", "logs"), ("PortForward", "portforwards")):
            # Without kwok's kinds there is nobody to show anything.
            with suppress(ApiError):
                await self._api.patch(
                    f"/apis/kwok.x-k8s.io/v1alpha1/namespaces/{namespace_of(pod)}/{plural}/{metadata['name']}",
                    {
                        "apiVersion": "kwok.x-k8s.io/v1alpha1",
                        "kind": kind,
                        "metadata": {"name": metadata["name"], "ownerReferences": [owner]},
                        "spec": spec[kind],
                    },
                    kind="apply",
                )


def _references(container: Object) -> Iterator[tuple[str, str]]:
    """Which ConfigMaps and Secrets, by kind and name, a container's variables come from."""
    sources = [
        *(container.get("envFrom") or ()),
        *(e.get("valueFrom") or {} for e in container.get("env") or ()),
    ]
    for source in sources:
        for key, kind in REFERENCES:
            if key in source:
                yield kind, source[key]["name"]
