"""The signs of life of one attempt: its lease in the store, and its message's visibility."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from agent_app.tasks.queue import Delivery, Queue
from agent_app.tasks.task import Task, TaskStore

log = structlog.get_logger(__name__)

#: A lease that could not be lengthened is tried again so soon: a store that comes back hears of us first.
_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Hold:
    """How long a worker holds a task without a sign of life, in seconds."""

    visibility: int

    @property
    def lease(self) -> float:
        # Shorter than the visibility: when a worker dies, the lease is over once its message is back.
        return self.visibility * 0.9

    @property
    def heartbeat(self) -> float:
        return self.visibility / 3


class Heartbeat:
    """`run` returns when another attempt holds the task, and else goes on until it is cancelled."""

    def __init__(self, task: Task, delivery: Delivery, store: TaskStore, queue: Queue, hold: Hold) -> None:
        self._task = task
        self._delivery = delivery
        self._store = store
        self._queue = queue
        self._hold = hold

    async def run(self) -> None:
        pause = self._hold.heartbeat
        while True:
            await asyncio.sleep(pause)
            # At once: a queue that hangs must not cost the lease.
            held, _ = await asyncio.gather(self._extend(), self._keep_hidden())
            if held is False:
                return
            pause = self._hold.heartbeat if held else min(_AGAIN_SECONDS, self._hold.heartbeat)

    async def _extend(self) -> bool | None:
        """Whether this attempt holds the task; None where the store does not say."""
        try:
            async with asyncio.timeout(self._hold.heartbeat):
                return await self._store.extend(self._task, self._hold.lease)
        except Exception as error:  # noqa: BLE001 (it is tried again before the lease runs out)
            log.warning("a lease could not be lengthened", reason=type(error).__name__)
            return None

    async def _keep_hidden(self) -> None:
        try:
            async with asyncio.timeout(self._hold.heartbeat):
                await self._queue.hide(self._delivery, self._hold.visibility)
        except Exception as error:  # noqa: BLE001 (delivered again, it is put back: the lease is what counts)
            log.warning("a message could not be kept hidden", reason=type(error).__name__)
