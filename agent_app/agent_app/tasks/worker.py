"""Takes tasks from the queues and runs them; none is lost, and one that succeeded is not run again.

A message stays in its queue until the result is stored. While a task runs, its message's visibility and its
lease in the store are lengthened at a third of their length. When the process is told to stop it takes no
more, finishes what it has within the drain limit, and hands back the rest.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import structlog

from agent_app.settings import Settings
from agent_app.tasks.heartbeat import Hold
from agent_app.tasks.lane import Lane, paused
from agent_app.tasks.queue import Note, Queue
from agent_app.tasks.task import TaskStore
from agent_app.telemetry import logs

log = structlog.get_logger(__name__)

#: A dead worker's tasks are with another one this long after its last heartbeat, unless the queue's own
#: visibility is shorter: heartbeats make a longer one needless.
LONGEST_VISIBILITY_SECONDS = 60
#: How soon a running task learns that it was cancelled.
CANCEL_SECONDS = 1.0
#: A task that an API took and never sent, because it died in between, is sent by a worker after this long.
UNSENT_SECONDS = 20.0
#: How often tasks without a message are looked for.
SWEEP_SECONDS = 10.0
#: How many of them are sent at once.
_SWEPT = 100


class Worker:
    """One process's share of the work."""

    def __init__(self, settings: Settings, lanes: Sequence[tuple[Lane, Queue]], store: TaskStore) -> None:
        self._settings = settings
        self._lanes = lanes
        self._store = store
        self._stopping = asyncio.Event()
        self._ends: float | None = None

    @property
    def running(self) -> set[asyncio.Task[None]]:
        """The tasks in hand."""
        return {task for lane, _ in self._lanes for task in lane.running}

    def told_to_end(self) -> None:
        """The drain limit counts from now on; tasks are still taken until `stop`."""
        if self._ends is None:
            self._ends = time.monotonic() + self._settings.drain_limit

    def stop(self) -> None:
        """Takes no more tasks; `run` returns when those in hand are done or handed back."""
        self.told_to_end()
        self._stopping.set()

    async def run(self) -> None:
        """Works until `stop`."""
        watch = asyncio.create_task(self._watch_cancels())
        sweep = asyncio.create_task(self._sweep())
        try:
            await asyncio.gather(*(self._lane(lane, queue) for lane, queue in self._lanes))
            await self._drain()
        finally:
            for job in (watch, sweep):
                job.cancel()
            await asyncio.gather(watch, sweep, return_exceptions=True)

    async def _lane(self, lane: Lane, queue: Queue) -> None:
        lane.hold = Hold(await self._visibility(queue))
        log.info(
            "working",
            queue=lane.name,
            concurrency=lane.concurrency,
            visibility_seconds=lane.hold.visibility,
        )
        await lane.run(self._stopping)

    async def _visibility(self, queue: Queue) -> int:
        if self._settings.visibility_seconds is not None:
            return self._settings.visibility_seconds
        while not self._stopping.is_set():
            try:
                return min(max(1, await queue.visibility()), LONGEST_VISIBILITY_SECONDS)
            except Exception as error:  # noqa: BLE001 (the queue may come up after us)
                await paused("the queue cannot be reached", error, self._stopping)
        return LONGEST_VISIBILITY_SECONDS

    async def _watch_cancels(self) -> None:
        while True:
            await asyncio.sleep(CANCEL_SECONDS)
            attempts = {id: attempt for lane, _ in self._lanes for id, attempt in lane.attempts().items()}
            if not attempts:
                continue
            try:
                for id in await self._store.cancelled(attempts.keys()):
                    attempts[id].cancel()
            except Exception as error:  # noqa: BLE001 (the next look may work)
                log.debug("could not look for cancelled tasks", reason=type(error).__name__)

    async def _sweep(self) -> None:
        """Sends the tasks that have no message: it was never sent, or the queue has lost it."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 (replicas apart)
            for lane, queue in self._lanes:
                try:
                    await self._sweep_lane(lane, queue)
                except Exception as error:  # noqa: BLE001 (the next look may work)
                    logs.failure(log, "could not send tasks that have no message", error)

    async def _sweep_lane(self, lane: Lane, queue: Queue) -> None:
        found = list(await self._store.unsent(lane.agents, UNSENT_SECONDS, _SWEPT))
        if (reached := lane.reached) is not None:
            behind = UNSENT_SECONDS + 2 * lane.hold.visibility + lane.longest_pause
            found += await self._store.stranded(lane.agents, reached, behind, _SWEPT)
        for task in found:
            log.warning("sending a task that had no message", task_id=str(task.id), attempt=task.attempts)
            # Its message may be there after all: then the second delivery is a duplicate.
            await queue.send(Note(task.id))

    async def _drain(self) -> None:
        # Of the one limit that the pod's grace is made for: waiting for polls and requests took its part.
        ends = time.monotonic() if self._ends is None else self._ends
        limit = max(0.0, ends - time.monotonic())
        log.info("draining", in_hand=len(self.running), limit_seconds=round(limit, 1))
        if self.running:
            await asyncio.wait(self.running, timeout=limit)
        for lane, _ in self._lanes:
            lane.hand_back()
        if self.running:
            await asyncio.wait(self.running, timeout=10)
        for task in self.running:
            task.cancel()
        log.info("drained")
