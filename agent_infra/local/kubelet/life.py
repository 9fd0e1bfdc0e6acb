"""One pod's life on a node: its containers are started, asked, started again, and at last ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.kubelet import status
from agent_infra.local.kubelet.probes import Probes
from agent_infra.local.kubelet.runtime import CannotRun, Running, Runtime
from agent_infra.local.kubelet.status import Container
from agent_infra.local.kubelet.timing import Timing

_LOOK_SECONDS = 0.05


class Life:
    """Of one pod. The first container runs; others beside it are said to, and do not."""

    def __init__(
        self, pod: Object, runtime: Runtime, *, address: str, timing: Timing, changed: Callable[[], None]
    ) -> None:
        """`changed` is called whenever `status` has become another."""
        self.pod = pod
        self.running: Running | None = None
        self.gone = False
        """Whether the API server has it no more: nothing is left to be waited for."""
        self._runtime = runtime
        self._timing = timing
        self._changed = changed
        self._address = address
        self._ending = asyncio.Event()
        self._vanished = asyncio.Event()
        before = pod.get("status") or {}
        self._phase = str(before.get("phase") or "Pending")
        self._started = str(before.get("startTime") or status.now())
        self._inits = _containers(pod, "initContainers", before.get("initContainerStatuses"))
        self._containers = _containers(pod, "containers", before.get("containerStatuses"))
        self._main = self._containers[0]

    @property
    def status(self) -> Object:
        return status.pod_status(
            self.pod,
            self._containers,
            self._inits,
            phase=self._phase,
            address=self._address,
            started=self._started,
        )

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def restarts(self) -> int:
        return self._main.restarts

    @property
    def ready(self) -> bool:
        return self._main.ready and not self._ending.is_set()

    @property
    def finished(self) -> bool:
        return self._phase in {"Succeeded", "Failed"}

    @property
    def problem(self) -> str:
        """Why a container does not run; nothing where all is well."""
        for each in (*self._inits, *self._containers):
            waits = each.state.get("waiting") or {}
            if waits.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"{waits['reason']}{': ' * bool(waits.get('message'))}{waits.get('message', '')}"
        return ""

    def update(self, pod: Object) -> None:
        """Takes what the API server says of it now."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self.end()

    def end(self) -> None:
        """Has its containers end, within its grace period."""
        self._ending.set()

    def vanish(self) -> None:
        """The API server has it no more: its containers end at once."""
        self.gone = True
        self._vanished.set()
        self._ending.set()

    async def run(self) -> None:
        """Until its containers have ended and it is wanted no more."""
        work = asyncio.create_task(self._work())
        over = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({work, over}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            await over  # one that has finished is kept until somebody deletes it
            while not work.done():
                if self.running is not None:
                    await self._end(self.running)
                await asyncio.wait({work}, timeout=_LOOK_SECONDS)
            work.result()
        finally:
            for task in (work, over):
                task.cancel()
            if self.running is not None:
                self.running.kill()

    async def _work(self) -> None:
        for init in self._inits:
            if init.spec.get("restartPolicy") == "Always":
                init.state, init.started = {"running": {"startedAt": status.now()}}, True
                init.ready = True
            elif not await self._to_its_end(init, once=True):
                return
        for beside in self._containers[1:]:
            beside.state, beside.started = {"running": {"startedAt": status.now()}}, True
            beside.ready = True
        await self._to_its_end(self._main, once=False)

    async def _to_its_end(self, container: Container, *, once: bool) -> bool:
        """Runs a container as often as the pod's policy says; whether it has ended well."""
        policy = self.pod["spec"].get("restartPolicy", "Always")
        pause = 0.0
        while not self._ending.is_set():
            began = time.monotonic()
            code = await self._run_once(container)
            if code is None or self._ending.is_set():
                continue
            if once and code == 0:
                return True
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                self._finish(well=code == 0)
                return False
            ran = time.monotonic() - began
            pause = 0.0 if ran > self._timing.forget_back_off else pause
            await self._back_off(container, pause)
            pause = min(max(2 * pause, self._timing.first_back_off), self._timing.longest_back_off)
        return False

    async def _back_off(self, container: Container, pause: float) -> None:
        """The first restart is at once, as Kubernetes does it."""
        if pause:
            container.state = status.waiting(
                "CrashLoopBackOff", f"back-off {pause:.0f}s restarting failed container={container.name}"
            )
            self._changed()
            await self._sleep(pause)
        container.restarts += 1

    async def _run_once(self, container: Container) -> int | None:
        """Its exit code; None where it could not be started."""
        try:
            running = await self._runtime.start(self.pod, container.spec)
        except CannotRun as problem:
            container.state = status.waiting("CreateContainerConfigError", str(problem))
            self._changed()
            await self._sleep(self._timing.retry)
            return None
        self.running = running
        began = status.now()
        container.id = f"agent-infra://{self.pod['metadata']['uid']}/{container.name}/{container.restarts}"
        container.state = {"running": {"startedAt": began}}
        if container is self._main:
            self._phase = "Running"
        self._changed()
        killed: list[str] = []
        probes = Probes(
            container.spec if container is self._main else {},
            running,
            started=lambda: self._is_started(container),
            ready=lambda said: self._is_ready(container, said),
            failed=lambda probe: self._unhealthy(running, probe, killed),
        )
        asked = asyncio.create_task(probes.run())
        try:
            code = await running.wait()
        finally:
            asked.cancel()
            with suppress(asyncio.CancelledError):
                await asked
        self.running = None
        container.ready = container.started = False
        reason = "Error" if killed else ""
        container.state = status.terminated(code, started=began, reason=reason, id=container.id)
        container.last = container.state
        self._changed()
        # One that a probe had ended has failed, whatever it says at its end.
        return code or (1 if killed else 0)

    def _is_started(self, container: Container) -> None:
        container.started = True
        self._changed()

    def _is_ready(self, container: Container, said: bool) -> None:
        container.ready = said
        self._changed()

    def _unhealthy(self, running: Running, probe: str, killed: list[str]) -> None:
        killed.append(probe)
        running.terminate()
        loop = asyncio.get_running_loop()
        loop.call_later(float(self.pod["spec"].get("terminationGracePeriodSeconds", 30)), running.kill)

    def _finish(self, *, well: bool) -> None:
        self._phase = "Succeeded" if well else "Failed"
        self._changed()

    async def _end(self, running: Running) -> None:
        """The hook, SIGTERM, and SIGKILL when the grace period is over."""
        metadata = self.pod["metadata"]
        said = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        grace = float(metadata.get("deletionGracePeriodSeconds", said))
        until = time.monotonic() + grace
        hook = (self._main.spec.get("lifecycle") or {}).get("preStop") if self._main.started else None
        if hook and not self.gone:
            await self._hook(hook, running, grace)
        if not self.gone:
            running.terminate()
            await self._ended(running, until - time.monotonic())
        running.kill()
        await running.wait()

    async def _hook(self, hook: Object, running: Running, grace: float) -> None:
        if "sleep" in hook:
            await self._ended(running, min(float(hook["sleep"]["seconds"]), grace))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await running.answers(hook)

    async def _ended(self, running: Running, seconds: float) -> None:
        """Waits for its end, but not longer, and not for a pod that has vanished."""
        ended = {asyncio.create_task(running.wait()), asyncio.create_task(self._vanished.wait())}
        await asyncio.wait(ended, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.cancel()

    async def _sleep(self, seconds: float) -> None:
        """Unless the pod is ended meanwhile."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)


def _containers(pod: Object, key: str, before: list[Object] | None) -> list[Container]:
    """What an earlier kubelet had started has ended with it; how often it did is remembered."""
    known = {each["name"]: each for each in before or ()}
    first = "PodInitializing" if pod["spec"].get("initContainers") else "ContainerCreating"
    made = []
    for spec in pod["spec"].get(key) or ():
        earlier = known.get(spec["name"]) or {}
        ran = "running" in (earlier.get("state") or {})
        made.append(
            Container(
                spec=spec,
                state=status.waiting(first),
                last=earlier.get("lastState") or {},
                restarts=int(earlier.get("restartCount", 0)) + ran,
            )
        )
    return made
