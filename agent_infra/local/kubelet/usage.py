"""What pods really use, told to the API server, so that its metrics API and its autoscalers see it."""

from __future__ import annotations

import asyncio
import time

from agent_infra.local.kubelet.api import Api, ApiError
from agent_infra.local.kubelet.kubelet import Kubelet, path
from agent_infra.local.kubelet.runtime import Usage

#: Where kwok looks for what it tells metrics-server.
CPU = "kwok.x-k8s.io/usage-cpu"
MEMORY = "kwok.x-k8s.io/usage-memory"


class Meter:
    """Reads each pod's counters again and again."""

    def __init__(self, api: Api, kubelet: Kubelet, *, seconds: float) -> None:
        self._api = api
        self._kubelet = kubelet
        self._seconds = seconds
        self._before: dict[str, tuple[float, Usage]] = {}
        self._told: dict[str, dict[str, str]] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.read()

    async def read(self) -> None:
        """One reading of all pods; it tells what has changed since the one before."""
        lives = dict(self._kubelet.lives)
        for uid in self._before.keys() - lives.keys():
            self._before.pop(uid)
            self._told.pop(uid, None)
        for uid, life in lives.items():
            running = life.running
            usage = await asyncio.to_thread(running.usage) if running else None
            if usage is None:
                continue
            now = time.monotonic()
            before = self._before.get(uid)
            self._before[uid] = (now, usage)
            told = {CPU: f"{_millis(before, now, usage)}m", MEMORY: f"{usage.memory_bytes // 2**20}Mi"}
            if told == self._told.get(uid):
                continue
            try:
                await self._api.patch(path(life.pod), {"metadata": {"uid": uid, "annotations": told}})
            except ApiError:  # it is gone, or the next reading tells it
                continue
            self._told[uid] = told


def _millis(before: tuple[float, Usage] | None, now: float, usage: Usage) -> int:
    """Thousandths of a core since the last reading; a container that was started anew counts from 0."""
    if before is None or now <= before[0]:
        return 1
    used = usage.cpu_seconds - before[1].cpu_seconds
    return max(1, round(1000 * (used if used >= 0 else usage.cpu_seconds) / (now - before[0])))
