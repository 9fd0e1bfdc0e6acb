"""The nodes of the benchmark: they start, tell of and end the pods that the real scheduler gives them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.burst.api import MERGE, Api, ApiError
from benchmarks.burst.arms import Arm
from benchmarks.burst.compress import Clock
from benchmarks.burst.worker import Worker, note

#: Without the annotation by which kwok knows its own, so that kwok leaves them, and their pods, alone.
NODES = ("burst-1", "burst-2", "burst-3")
_ROOM = {"cpu": "192", "memory": "768Gi", "pods": "1000"}
_STRATEGIC = "application/strategic-merge-patch+json"
_COST = "controller.kubernetes.io/pod-deletion-cost"
#: A worker tells its load so often at most (agent_app.tasks.deletion_cost).
_COST_SECONDS = 10.0
#: Half of what the node lifecycle controller calls late, on the machine's own clock.
_HEARTBEAT_SECONDS = 10.0


@dataclass(eq=False)
class _Pod:
    name: str
    paid_from: float
    going: asyncio.Event = field(default_factory=asyncio.Event)
    grace: float = 30
    worker: Worker | None = None


class Kubelet:
    """The pods of one arm.

    Args:
        api: where they are.
        clock: production's.
        arm: whose.
        start: makes a pod's process.
        failures: takes what the kubelet itself fails by.
        start_seconds: from a pod's place on a node to its process: the image's pull and the start.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        arm: Arm,
        start: Callable[[], Worker],
        failures: list[BaseException],
        *,
        start_seconds: float,
    ) -> None:
        self._api, self._clock, self._arm = api, clock, arm
        self._start, self._start_seconds, self._failures = start, start_seconds, failures
        self._pods: dict[str, _Pod] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._paid = 0.0
        self._since = 0.0

    @property
    def paid(self) -> int:
        """Pods that have a place on a node."""
        return len(self._pods)

    def workers(self) -> dict[str, Worker]:
        """Those that run and are to stay, by their pods' names."""
        return {pod.name: pod.worker for pod in self._pods.values() if pod.worker and not pod.going.is_set()}

    def begin(self) -> None:
        """What is paid counts from now."""
        self._paid, self._since = 0.0, self._clock.now()
        for pod in self._pods.values():
            pod.paid_from = self._since

    def paid_seconds(self) -> float:
        now = self._clock.now()
        return self._paid + sum(now - pod.paid_from for pod in self._pods.values())

    async def run(self) -> None:
        """Until it is cancelled, and its pods with it."""
        try:
            path = f"/api/v1/namespaces/{self._arm.namespace}/pods"
            async for event in self._api.watch(path):
                self._see(event["type"], event["object"])
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _see(self, what: str, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        known = self._pods.get(metadata["uid"])
        if what == "DELETED":
            if known:
                known.grace = 0
                known.going.set()
        elif "deletionTimestamp" in metadata:
            if known and not known.going.is_set():
                known.grace = self._clock.factor * float(metadata.get("deletionGracePeriodSeconds", 0))
                known.going.set()
        elif known is None and pod["spec"].get("nodeName") in NODES:
            known = self._pods[metadata["uid"]] = _Pod(metadata["name"], self._clock.now())
            task = asyncio.create_task(self._live(metadata["uid"], known, pod))
            self._running.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        note(task, self._failures)

    async def _live(self, uid: str, pod: _Pod, manifest: dict[str, Any]) -> None:
        path = f"/api/v1/namespaces/{self._arm.namespace}/pods/{pod.name}"
        try:
            if not await self._going(pod, self._start_seconds):
                pod.worker = self._start()
                await self._patch(f"{path}/status", _ready(manifest), content=_STRATEGIC)
                await self._stay(pod, path)
                await pod.worker.end(pod.grace)
        finally:
            self._paid += self._clock.now() - pod.paid_from
            del self._pods[uid]
        # Without the uid a pod that came back by the same name would go; Deployments' names do not come back.
        await self._api.gone(f"{path}?gracePeriodSeconds=0")

    async def _stay(self, pod: _Pod, path: str) -> None:
        """Until it has to go; a worker that tells its load does so meanwhile."""
        told = 0
        while not await self._going(pod, _COST_SECONDS if self._arm.tells_load else None):
            if pod.worker and pod.worker.in_hand != told:
                told = pod.worker.in_hand
                await self._patch(path, {"metadata": {"annotations": {_COST: str(told)}}}, content=MERGE)

    async def _going(self, pod: _Pod, seconds: float | None) -> bool:
        """Whether the pod has to go within so many seconds."""
        try:
            timeout = None if seconds is None else self._clock.real(seconds)
            await asyncio.wait_for(pod.going.wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def _patch(self, path: str, body: dict[str, Any], *, content: str) -> None:
        try:
            await self._api.call("PATCH", path, body, content=content)
        except ApiError as error:
            # It may be gone by now.
            if error.status not in {404, 409, 422}:
                raise


def _ready(pod: dict[str, Any]) -> dict[str, Any]:
    now = timestamp()
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    return {
        "status": {
            "phase": "Running",
            "startTime": now,
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": [
                {"type": type, "status": "True", "lastTransitionTime": now} for type in conditions
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": container["image"],
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": now}},
                }
                for container in pod["spec"]["containers"]
            ],
        }
    }


@contextlib.asynccontextmanager
async def nodes(api: Api) -> AsyncIterator[asyncio.Task[None]]:
    """Has the nodes while the block lasts, and takes all others out of use; the task keeps them alive."""
    for node in (await api.call("GET", "/api/v1/nodes"))["items"]:
        if (name := node["metadata"]["name"]) in NODES:
            await api.gone(f"/api/v1/nodes/{name}")
        else:
            others = {"spec": {"unschedulable": True}}
            await api.call("PATCH", f"/api/v1/nodes/{name}", others, content=MERGE)
    for zone, name in zip("abc", NODES, strict=True):
        await api.call("POST", "/api/v1/nodes", _node(name, zone))
    keeping = asyncio.create_task(_keep(api))
    try:
        yield keeping
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        for name in NODES:
            await api.gone(f"/api/v1/nodes/{name}")


async def _keep(api: Api) -> None:
    while True:
        for name in NODES:
            ready = {"conditions": [_node_ready()]}
            await api.call("PATCH", f"/api/v1/nodes/{name}/status", {"status": ready}, content=_STRATEGIC)
        await asyncio.sleep(_HEARTBEAT_SECONDS)


def _node(name: str, zone: str) -> dict[str, Any]:
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"eu-central-1{zone}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": _ROOM, "capacity": _ROOM, "conditions": [_node_ready()]},
    }


def _node_ready() -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastHeartbeatTime": timestamp(),
        "lastTransitionTime": timestamp(),
    }


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
