"""The kubelet of all nodes: takes the pods that are bound to one, and tells the API server how they are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address
from itertools import count

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.kubelet.api import Api, ApiError
from agent_infra.local.kubelet.life import Life
from agent_infra.local.kubelet.runtime import Runtime
from agent_infra.local.kubelet.timing import Timing
from agent_infra.local.kubelet.watched import Watched

#: Those that fleets' pods carry, and those of a canary's evaluation.
LABELS = ("agent-infra/kind", "agent-infra/evaluation")
#: Pods need an address each that is none of this machine's own: endpoints on loopback are refused.
_FIRST_ADDRESS = IPv4Address("10.222.0.1")
_RETRY_SECONDS = 1.0


class Kubelet:
    """Runs every pod that carries one of some labels."""

    def __init__(
        self, api: Api, runtime: Runtime, *, labels: Sequence[str] = LABELS, timing: Timing | None = None
    ) -> None:
        self._api = api
        self._runtime = runtime
        self._timing = timing or Timing()
        self._look = asyncio.Event()
        self._watched = [
            Watched(api, "/api/v1/pods", selector=label, changed=self._look.set) for label in labels
        ]
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._addresses = count()
        self._stopping = False
        # Removed pods that the list still has for a moment.
        self._removed: set[str] = set()
        self.lives: dict[str, Life] = {}
        """By the pods' uid."""

    async def run(self) -> None:
        """Until it is cancelled; then every container ends within its grace period, and the pods stay."""
        watching = [asyncio.create_task(each.run()) for each in self._watched]
        try:
            await asyncio.gather(*(each.known.wait() for each in self._watched))
            while True:
                await self._look.wait()
                self._look.clear()
                self._follow()
        finally:
            for task in watching:
                task.cancel()
            self._stopping = True
            for life in self.lives.values():
                life.end()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _follow(self) -> None:
        pods = {
            each["metadata"]["uid"]: each for watched in self._watched for each in watched.objects.values()
        }
        for uid, pod in pods.items():
            if uid in self.lives:
                self.lives[uid].update(pod)
            elif uid not in self._tasks and uid not in self._removed and _to_be_kept(pod):
                self._tasks[uid] = asyncio.create_task(self._keep(uid, pod))
        for uid, life in self.lives.items():
            if uid not in pods:
                life.vanish()
        self._removed &= pods.keys()

    async def _keep(self, uid: str, pod: Object) -> None:
        """One pod, from when it is bound until it is gone."""
        try:
            if _finished(pod):
                await self._remove(pod)
                return
            changed = asyncio.Event()
            life = Life(
                pod,
                self._runtime,
                address=self._address(pod),
                timing=self._timing,
                changed=changed.set,
            )
            self.lives[uid] = life
            life.update(pod)
            changed.set()
            telling = asyncio.create_task(self._tell(life, changed))
            try:
                await life.run()
                if not life.gone:
                    await self._told(life)
            finally:
                telling.cancel()
            if not self._stopping:
                await self._remove(life.pod)
                await self._runtime.forget(life.pod)
        except Exception as error:  # noqa: BLE001 (one pod must not end the others)
            sys.stderr.write(f"pod {pod['metadata']['name']}: {type(error).__name__}: {error}\n")
        finally:
            self.lives.pop(uid, None)
            self._tasks.pop(uid, None)

    async def _tell(self, life: Life, changed: asyncio.Event) -> None:
        """Says each new status until it is heard; of several in a row only the last."""
        while True:
            await changed.wait()
            changed.clear()
            if not await self._told(life):
                changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _told(self, life: Life) -> bool:
        try:
            told = await self._api.patch(
                f"{path(life.pod)}/status",
                {"metadata": {"uid": life.pod["metadata"]["uid"]}, "status": life.status},
                kind="strategic",
            )
        except ApiError as error:
            return error.status in {404, 409, 422}  # it is gone, or another one by now
        life.pod = {**life.pod, "status": told["status"]}
        return True

    async def _remove(self, pod: Object) -> None:
        """The last word on a pod that is deleted: nothing of it runs any more."""
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
        while True:
            try:
                await self._api.delete(path(pod), body)
            except ApiError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._removed.add(pod["metadata"]["uid"])
                return

    def _address(self, pod: Object) -> str:
        taken = {
            (each.get("status") or {}).get("podIP")
            for watched in self._watched
            for each in watched.objects.values()
        }
        if kept := (pod.get("status") or {}).get("podIP"):
            return str(kept)
        while (found := str(_FIRST_ADDRESS + next(self._addresses) % 2**16)) in taken:
            continue
        return found


def _finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _to_be_kept(pod: Object) -> bool:
    """Whether it is a node's, and has not come to its end already."""
    if not pod["spec"].get("nodeName"):
        return False
    return not _finished(pod) or "deletionTimestamp" in pod["metadata"]


def path(pod: Object) -> str:
    """Where a pod is at the API server."""
    metadata = pod["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
