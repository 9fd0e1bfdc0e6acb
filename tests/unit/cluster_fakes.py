"""An API server's pods, and containers without processes: what a kubelet is tested with."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

from agent_infra.local.kubelet import CannotRun, Usage
from agent_infra.local.kubelet.api import ApiError

Object = dict[str, Any]


def pod(name: str = "web-1", *, init: bool = False, **spec: Any) -> Object:
    container: Object = {"name": "agent", "image": "web:1", **spec.pop("container", {})}
    return {
        "metadata": {
            "name": name,
            "namespace": "agents",
            "uid": f"uid-{name}",
            "labels": {"agent-infra/kind": "api", "app": "web"},
        },
        "spec": {
            "nodeName": "node-0",
            "containers": [container],
            "terminationGracePeriodSeconds": 1,
            **({"initContainers": [{"name": "migrate", "image": "web:1"}]} if init else {}),
            **spec,
        },
        "status": {"phase": "Pending"},
    }


class FakeApi:
    """Pods by name, as the API server has them."""

    def __init__(self) -> None:
        self.pods: dict[str, Object] = {}
        self.removed: list[str] = []
        self.statuses: list[Object] = []
        self._version = 1
        self._watchers: list[asyncio.Queue[tuple[str, Object]]] = []

    def put(self, content: Object, kind: str = "MODIFIED") -> None:
        self._version += 1
        content["metadata"]["resourceVersion"] = str(self._version)
        name = content["metadata"]["name"]
        if kind == "DELETED":
            self.pods.pop(name, None)
        else:
            self.pods[name] = content
        for queue in self._watchers:
            queue.put_nowait((kind, copy.deepcopy(content)))

    def mark_deleted(self, name: str, *, grace: float = 1) -> None:
        found = copy.deepcopy(self.pods[name])
        found["metadata"] |= {"deletionTimestamp": "now", "deletionGracePeriodSeconds": grace}
        self.put(found)

    async def get(self, path: str, **query: str) -> Object:
        items = list(self.pods.values()) if query.get("labelSelector") == "agent-infra/kind" else []
        return {"items": copy.deepcopy(items), "metadata": {"resourceVersion": str(self._version)}}

    async def watch(self, path: str, *, version: str, selector: str) -> AsyncIterator[tuple[str, Object]]:
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        if selector == "agent-infra/kind":
            self._watchers.append(queue)
        while True:
            yield await queue.get()

    async def patch(self, path: str, body: Object, *, kind: str = "merge") -> Object:
        name = path.split("/")[6]
        if name not in self.pods:
            raise ApiError("there is none", status=404)
        if path.endswith("/status"):
            self.statuses.append(copy.deepcopy(body["status"]))
        found = copy.deepcopy(self.pods[name])
        found["status"] = {**found["status"], **body.get("status", {})}
        found["metadata"]["annotations"] = body["metadata"].get("annotations", {})
        self.put(found)
        return found

    async def delete(self, path: str, body: Object | None = None) -> None:
        name = path.split("/")[6]
        self.removed.append(name)
        if name in self.pods:
            self.put(self.pods[name], "DELETED")


class Started:
    """A container that ends when a test, or the kubelet, says so."""

    def __init__(self, pod: Object, container: Object, *, stubborn: bool, answering: bool) -> None:
        self.pod, self.container = pod, container
        self.port, self.pid = 8000, 42
        self.answering = answering
        self.signals: list[str] = []
        self._stubborn = stubborn
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    async def answers(self, handler: Object) -> bool:
        return self.answering

    def end(self, code: int) -> None:
        if not self._code.done():
            self._code.set_result(code)

    def terminate(self) -> None:
        if not self._code.done():
            self.signals.append("TERM")
        if not self._stubborn:
            self.end(0)

    def kill(self) -> None:
        if not self._code.done():
            self.signals.append("KILL")
        self.end(-9)

    def usage(self) -> Usage | None:
        return None


class FakeRuntime:
    """Starts what only says that it runs."""

    def __init__(self) -> None:
        self.started: list[Started] = []
        self.forgotten: list[str] = []
        self.refusals: list[str] = []
        self.stubborn = False
        self.answering = True

    async def start(self, pod: Object, container: Object) -> Started:
        if self.refusals:
            raise CannotRun(self.refusals.pop())
        self.started.append(Started(pod, container, stubborn=self.stubborn, answering=self.answering))
        return self.started[-1]

    async def forget(self, pod: Object) -> None:
        self.forgotten.append(pod["metadata"]["name"])


async def until(true: Callable[[], Any], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (it is about whatever a test looks at)
            await asyncio.sleep(0.005)
