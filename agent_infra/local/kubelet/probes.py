"""A container's three probes, asked as a kubelet asks them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.kubelet.runtime import Running


class Probes:
    """Of one start of a container."""

    def __init__(
        self,
        container: Object,
        running: Running,
        *,
        started: Callable[[], None],
        ready: Callable[[bool], None],
        failed: Callable[[str], None],
    ) -> None:
        """
        Args:
            container: its spec.
            running: who is asked.
            started: is told once, when the startup probe has succeeded or there is none.
            ready: is told each time that this changes.
            failed: is told which probe says that the container must be started anew.
        """
        self._container = container
        self._running = running
        self._started = started
        self._ready = ready
        self._failed = failed

    async def run(self) -> None:
        """Until it is cancelled, or a probe has failed for good."""
        startup = self._container.get("startupProbe")
        if startup is not None and not await self._until_settled(startup):
            self._failed("startup")
            return
        self._started()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_readiness())
            group.create_task(self._follow_liveness())

    async def _until_settled(self, probe: Object) -> bool:
        """Whether it succeeds before it fails for good."""
        async for successes, failures in self._asked(probe):
            if successes:
                return True
            if failures >= int(probe.get("failureThreshold", 3)):
                return False
        raise AssertionError("it is asked for ever")

    async def _follow_readiness(self) -> None:
        probe = self._container.get("readinessProbe")
        if probe is None:
            self._ready(True)
            return
        said = False
        async for successes, failures in self._asked(probe):
            if not said and successes >= int(probe.get("successThreshold", 1)):
                self._ready(said := True)
            elif said and failures >= int(probe.get("failureThreshold", 3)):
                self._ready(said := False)

    async def _follow_liveness(self) -> None:
        probe = self._container.get("livenessProbe")
        if probe is None:
            return
        async for _, failures in self._asked(probe):
            if failures >= int(probe.get("failureThreshold", 3)):
                self._failed("liveness")
                return

    async def _asked(self, probe: Object) -> AsyncIterator[tuple[int, int]]:
        """After each answer how many successes, or failures, there have been in a row."""
        await asyncio.sleep(float(probe.get("initialDelaySeconds", 0)))
        successes = failures = 0
        while True:
            if await self._answers(probe):
                successes, failures = successes + 1, 0
            else:
                successes, failures = 0, failures + 1
            yield successes, failures
            await asyncio.sleep(float(probe.get("periodSeconds", 10)))

    async def _answers(self, probe: Object) -> bool:
        try:
            async with asyncio.timeout(float(probe.get("timeoutSeconds", 1))):
                return await self._running.answers(probe)
        except TimeoutError:
            return False
