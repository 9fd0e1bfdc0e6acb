"""The replicas of one Deployment: how many, which revision, and how one takes over from another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from agent_infra.local.fleets.pod import Pod
from agent_infra.local.fleets.replica import Replica
from agent_infra.local.fleets.status import FleetState, FleetStatus
from agent_infra.local.services import children
from agent_infra.local.services.process import last_words

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


class Deployment:
    """Keeps a number of processes of the newest revision, as a Deployment controller would.

    A new revision first gets one more process than are wanted; an old one ends only when a new one
    is ready, so there are never fewer ready than declared. A revision that does not get ready in
    time is given up, and the old one serves on.
    """

    def __init__(self, name: str, logs: Path) -> None:
        self.name = name
        self.desired = 0
        self.replicas: list[Replica] = []
        self._logs = logs
        self._pod: Pod | None = None
        self._problem = ""
        self._given_up = False
        self._last_words = ""
        self._ended_log: Path | None = None
        self._prepared = False
        self._preparing: asyncio.Task[None] | None = None
        self._deadline = 0.0
        self._most_ready = 0
        self._pause = _FIRST_PAUSE_SECONDS
        self._not_before = 0.0
        self._ending: set[asyncio.Task[None]] = set()
        self._restarts: dict[int, int] = {}

    def want(self, pod: Pod, replicas: int) -> None:
        """Sets what there should be; the same again changes nothing."""
        if replicas and not self.desired:
            self._given_up = False
            self._deadline = time.monotonic() + pod.deadline_seconds
        self.desired = replicas
        if self._pod is not None and pod.revision == self._pod.revision and not self._problem:
            self._pod = pod
            return
        self._pod, self._problem, self._given_up, self._most_ready = pod, "", False, 0
        self._prepared = not pod.init_commands
        self._pause, self._not_before = _FIRST_PAUSE_SECONDS, 0.0
        self._deadline = time.monotonic() + pod.deadline_seconds

    def cannot(self, problem: str) -> None:
        """There is something new that this machine cannot run; what runs goes on."""
        self._problem = problem

    @property
    def _current(self) -> list[Replica]:
        return [replica for replica in self._alive if self._pod and replica.revision == self._pod.revision]

    @property
    def _alive(self) -> list[Replica]:
        return [replica for replica in self.replicas if not replica.ending]

    async def step(self) -> None:
        """One look at how things are, and what follows from it."""
        await asyncio.gather(*(replica.ask() for replica in self.replicas))
        await self._replace_ended()
        if self._pod is None or self._problem:
            return
        if self.desired and not self._prepared:
            self._prepare()
            return
        await self._grow()
        self._shrink()
        self._judge()

    def _prepare(self) -> None:
        if self._preparing is None and not self._given_up and time.monotonic() >= self._not_before:
            self._preparing = asyncio.create_task(self._run_inits())

    async def _run_inits(self) -> None:
        pod = self._pod
        if pod is None:
            return
        log = self._logs / f"fleet-{self.name}-init.log"
        try:
            for command, variables in zip(pod.init_commands, pod.init_variables, strict=True):
                process = await children.spawn(command, variables, log)
                if await process.wait() != 0:
                    self._back_off()
                    if time.monotonic() > self._deadline:
                        self._give_up(log)
                    return
            self._prepared = pod is self._pod or (
                self._pod is not None and pod.revision == self._pod.revision
            )
        finally:
            self._preparing = None

    async def _replace_ended(self) -> None:
        for replica in [replica for replica in self.replicas if replica.exit_code is not None]:
            self.replicas.remove(replica)
            if replica.ending:
                self._restarts.pop(replica.slot, None)
            else:
                self._back_off()
                self._restarts[replica.slot] = replica.restarts + 1
                self._ended_log = replica.log

    def _back_off(self) -> None:
        self._not_before = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _grow(self) -> None:
        current, alive = self._current, self._alive
        surge = 1 if len(current) < len(alive) else 0
        room = min(self.desired - len(current), self.desired + surge - len(alive))
        if self._given_up and len(current) < len(alive):
            return  # an old revision serves on
        for _ in range(max(0, room)):
            if time.monotonic() < self._not_before or self._pod is None:
                return
            slot = next(n for n in range(1000) if n not in {replica.slot for replica in self.replicas})
            log = self._logs / f"fleet-{self.name}-{slot}.log"
            replica = Replica(self._pod, slot, log, restarts=self._restarts.get(slot, 0))
            await replica.start()
            self.replicas.append(replica)

    def _shrink(self) -> None:
        current = self._current
        old = [replica for replica in self._alive if replica not in current]
        ready = sum(replica.ready for replica in self._alive)
        # One that is not ready is no loss; one that is may go when enough others are ready.
        for replica in sorted(old, key=lambda replica: replica.ready):
            if not replica.ready or ready > self.desired or (ready >= self.desired and self.desired == 0):
                ready -= replica.ready
                self._end(replica)
        for replica in sorted(current, key=lambda replica: replica.ready)[
            : max(0, len(current) - self.desired)
        ]:
            self._end(replica)

    def _end(self, replica: Replica) -> None:
        replica.ending = True
        task = asyncio.create_task(replica.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _judge(self) -> None:
        ready = sum(replica.ready for replica in self._current)
        if self._done:
            self._deadline = float("inf")
            if all(time.monotonic() - replica.started > 10 for replica in self._current):
                self._pause = _FIRST_PAUSE_SECONDS
        elif self._pod and (self._deadline == float("inf") or ready > self._most_ready):
            # As in Kubernetes it is for progress: it begins anew with each further replica that is ready.
            self._deadline = time.monotonic() + self._pod.deadline_seconds
        elif time.monotonic() > self._deadline and not self._given_up:
            failing = [replica.log for replica in self._current if not replica.ready]
            self._give_up(failing[-1] if failing else self._ended_log)
            if len(self._current) < len(self._alive):
                for replica in self._current:
                    if not replica.ready:
                        self._end(replica)
        self._most_ready = max(self._most_ready, ready)

    def _give_up(self, log: Path | None) -> None:
        self._given_up = True
        self._last_words = last_words(log) if log else ""

    @property
    def _done(self) -> bool:
        current = self._current
        return (
            (self._prepared or not self.desired)
            and len(current) == self.desired == len(self._alive)
            and all(replica.ready for replica in current)
        )

    async def end(self) -> None:
        """Ends every process, each with its grace period."""
        if self._preparing:
            self._preparing.cancel()
        await asyncio.gather(*(replica.end() for replica in self.replicas), *self._ending)

    def ready_ports(self) -> list[int]:
        return [replica.port for replica in self.replicas if replica.ready and not replica.ending]

    def status(self) -> FleetStatus:
        state, message = self._state()
        return FleetStatus(
            desired=self.desired,
            ready=len(self.ready_ports()),
            updated=len(self._current),
            revision=self._pod.revision if self._pod else "",
            state=state,
            message=message,
            replicas=[replica.status() for replica in self.replicas],
        )

    def _state(self) -> tuple[FleetState, str]:
        if self._problem:
            return FleetState.CANNOT_RUN, self._problem
        if self._given_up and not self._done:
            return FleetState.DEGRADED, f"its newest revision did not get ready. {self._last_words}"
        return (FleetState.RUNNING if self._done else FleetState.PROGRESSING), ""
