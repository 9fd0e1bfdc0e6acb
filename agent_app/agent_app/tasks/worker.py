"""Takes tasks from the queue and runs them; none is lost, and one that succeeded is not run again.

The message stays in the queue until the result is stored. While a task runs, its message's visibility and its
lease in the store are lengthened at a third of their length. When the process is told to stop it takes no
more, finishes what it has within the drain limit, and hands back the rest.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from agent_app.agents.handlers import Handler
from agent_app.problems import Problem
from agent_app.settings import Settings
from agent_app.tasks.queue import Delivery, Queue
from agent_app.tasks.store import ENDED, Task, TaskStore
from agent_app.telemetry import logs
from agent_app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class TaskFailed(Exception):
    """This attempt failed; the message is kept with the task and shown to who asked for it."""


class LeaseLost(Exception):
    """Somebody else holds the task by now: what this attempt does no longer counts."""


class Worker:
    """One process's share of the work, `worker_concurrency` tasks at once."""

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        store: TaskStore,
        handlers: Mapping[str, Handler],
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._store = store
        self._handlers = handlers
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._visibility = 30

    @property
    def _lease(self) -> float:
        # Shorter than the visibility: when a worker dies, the lease is over once its message is back.
        return self._visibility * 0.9

    def stop(self) -> None:
        """Takes no more tasks; `run` returns when those in hand are done or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Works until `stop`."""
        stopped = asyncio.create_task(self._stopping.wait())
        await self._learn_visibility()
        log.info(
            "working", concurrency=self._settings.worker_concurrency, visibility_seconds=self._visibility
        )
        while not self._stopping.is_set():
            free = self._settings.worker_concurrency - len(self._running)
            if free:
                await self._take(free)
            else:
                await asyncio.wait({stopped, *self._running}, return_when=asyncio.FIRST_COMPLETED)
        await stopped
        await self._drain()

    async def _learn_visibility(self) -> None:
        if self._settings.visibility_seconds is not None:
            self._visibility = self._settings.visibility_seconds
            return
        while not self._stopping.is_set():
            try:
                self._visibility = max(1, await self._queue.visibility())
            except Exception as error:  # noqa: BLE001 (the queue may come up after us)
                await self._pause("the queue cannot be reached", error)
            else:
                return

    async def _take(self, free: int) -> None:
        try:
            # Never cancelled: a receive that is cut off may have hidden a message that nobody then holds.
            deliveries = await self._queue.receive(free, self._settings.poll_seconds, self._visibility)
        except Exception as error:  # noqa: BLE001 (whatever it is, the next poll may work)
            await self._pause("the queue cannot be read", error)
            return
        for delivery in deliveries:
            task = asyncio.create_task(self._handle(delivery))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _pause(self, what: str, error: Exception) -> None:
        log.warning(what, reason=type(error).__name__)
        try:
            async with asyncio.timeout(2):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _drain(self) -> None:
        limit = self._settings.drain_limit
        log.info("draining", in_hand=len(self._running), limit_seconds=limit)
        if self._running:
            _, unfinished = await asyncio.wait(self._running, timeout=limit)
            for task in unfinished:
                task.cancel()
            if unfinished:
                await asyncio.wait(unfinished, timeout=10)
        log.info("drained")

    async def _handle(self, delivery: Delivery) -> None:
        structlog.contextvars.bind_contextvars(request_id=delivery.request_id, task_id=str(delivery.task_id))
        try:
            if self._stopping.is_set():
                await self._queue.hide(delivery, 0)
                return
            if delivery.task_id is None:
                self._metrics.tasks.labels("unknown", "malformed").inc()
                return  # it comes back until the queue dead-letters it, where a person can see it
            # A failed task's message was not deleted but dead-lettered: one with tries left was sent again
            # from there, by somebody who wants it done.
            again = delivery.received <= self._settings.max_attempts
            task = await self._store.claim(delivery.task_id, self._lease, failed=again)
            if task is None:
                await self._not_ours(delivery)
            else:
                await self._attempt(task, delivery)
        except Exception as error:  # noqa: BLE001 (the message comes back by itself)
            logs.failure(log, "a task's state could not be kept; it will be tried again", error)

    async def _not_ours(self, delivery: Delivery) -> None:
        assert delivery.task_id is not None  # noqa: S101 (the caller looked)
        task = await self._store.get(delivery.task_id)
        kind = "unknown" if task is None else task.kind
        self._metrics.tasks.labels(kind, "duplicate").inc()
        if task is None or task.status in ENDED:
            log.info("delivered again after its end, or withdrawn: deleted")
            await self._queue.delete(delivery)
        else:
            remaining = self._lease
            if task.lease_until is not None:
                remaining = (task.lease_until - datetime.now(UTC)).total_seconds()
            seconds = math.ceil(min(max(remaining, 0), self._visibility)) + 1
            log.info("delivered again while it runs elsewhere: put back", seconds=seconds)
            await self._queue.hide(delivery, seconds)

    async def _attempt(self, task: Task, delivery: Delivery) -> None:
        began = time.monotonic()
        self._metrics.tasks_in_flight.inc()
        log.info("task started", kind=task.kind, attempt=task.attempts)
        outcome = "lost"
        try:
            outcome = await self._settle(task, delivery)
        except LeaseLost:
            log.warning("the task was taken over by another worker", kind=task.kind)
        finally:
            self._metrics.tasks_in_flight.dec()
            seconds = time.monotonic() - began
            self._metrics.task_seconds.labels(task.kind).observe(seconds)
            self._metrics.tasks.labels(task.kind, outcome).inc()
            log.info(
                "task ended",
                kind=task.kind,
                outcome=outcome,
                attempt=task.attempts,
                seconds=round(seconds, 3),
            )

    async def _settle(self, task: Task, delivery: Delivery) -> str:
        try:
            result = await self._run(task, delivery)
        except TaskFailed as error:
            return await self._failed(task, delivery, str(error))
        except asyncio.CancelledError:
            # The drain limit is over. The task is free for another worker at once.
            await self._finish(task, error="handed back by a worker that had to stop", retry=True)
            await self._queue.hide(delivery, 0)
            return "handed_back"
        await self._finish(task, result=result)
        await self._queue.delete(delivery)
        return "succeeded"

    async def _failed(self, task: Task, delivery: Delivery, error: str) -> str:
        if delivery.received >= self._settings.max_attempts:
            await self._finish(task, error=error)
            # Not deleted: the queue dead-letters it, where it can be looked at and sent again.
            await self._queue.hide(delivery, 0)
            return "failed"
        await self._finish(task, error=error, retry=True)
        delay = min(self._settings.retry_seconds * 2 ** min(delivery.received - 1, 10), 900)
        await self._queue.hide(delivery, delay)
        return "retried"

    async def _finish(
        self, task: Task, *, result: object = None, error: str | None = None, retry: bool = False
    ) -> None:
        if not await self._store.finish(task, result=result, error=error, retry=retry):
            raise LeaseLost

    async def _run(self, task: Task, delivery: Delivery) -> object:
        handler = self._handlers.get(task.kind)
        if handler is None:
            raise TaskFailed(
                f"this worker knows no task of kind {task.kind!r}; it knows {sorted(self._handlers)}"
            )
        limit = self._settings.task_timeout
        work = asyncio.create_task(self._within(handler, task, limit))
        beat = asyncio.create_task(self._heartbeat(task, delivery))
        try:
            await asyncio.wait({work, beat}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise LeaseLost
        finally:
            for job in (work, beat):
                job.cancel()
            await asyncio.gather(work, beat, return_exceptions=True)

    async def _within(self, handler: Handler, task: Task, limit: float) -> object:
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                return await handler.run(task.input)
        except Problem as error:
            raise TaskFailed(error.detail) from None
        except Exception as error:  # noqa: BLE001 (a handler may raise anything)
            if isinstance(error, TimeoutError) and deadline.expired():
                raise TaskFailed(f"it took longer than {limit:g} s, the longest a task may take") from None
            logs.failure(log, "a task's handler raised", error)
            raise TaskFailed(f"the handler raised {type(error).__name__}") from None

    async def _heartbeat(self, task: Task, delivery: Delivery) -> None:
        """Returns when another worker has taken the task over."""
        while True:
            await asyncio.sleep(self._visibility / 3)
            try:
                held = await self._store.extend(task, self._lease)
                if held:
                    await self._queue.hide(delivery, self._visibility)
                else:
                    return
            except Exception as error:  # noqa: BLE001 (two more beats follow before it runs out)
                log.warning("a heartbeat failed", reason=type(error).__name__)
