"""One queue and the agent types whose tasks come through it: takes tasks, never more than it may run."""

from __future__ import annotations

import asyncio
import math
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from opentelemetry.trace import Span

from agent_app.state.artifacts import Artifacts
from agent_app.state.database import is_away
from agent_app.tasks.attempt import Attempt, Contexts, Means
from agent_app.tasks.heartbeat import Hold
from agent_app.tasks.policy import Policy, unknown
from agent_app.tasks.queue import Delivery, Note, Queue
from agent_app.tasks.task import ENDED, LeaseLost, Reached, Status, Task, TaskStore
from agent_app.tasks.traced import processing, settled
from agent_app.telemetry import logs
from agent_app.telemetry.metrics import Metrics
from agent_app.telemetry.traces import OFF, Traces, failed

log = structlog.get_logger(__name__)

#: A task whose state could not be read or kept comes back after about this long.
_BACK_SECONDS = 3


@dataclass(frozen=True)
class Parts:
    """What all lanes share."""

    store: TaskStore
    policies: Mapping[str, Policy]
    contexts: Contexts
    artifacts: Artifacts | None
    metrics: Metrics
    poll_seconds: int
    traces: Traces = OFF


class Lane:
    """`concurrency` tasks at once in this process."""

    def __init__(
        self,
        name: str,
        queue: Queue,
        parts: Parts,
        *,
        agents: Sequence[str],
        concurrency: int,
        max_attempts: int,
    ) -> None:
        self.name = name
        self.agents = agents
        self.concurrency = concurrency
        self.running: set[asyncio.Task[None]] = set()
        self.hold = Hold(30)
        self._queue = queue
        self._parts = parts
        self._max_attempts = max_attempts
        self._attempts: set[Attempt] = set()
        self._stopping = False
        self._handing_back = False
        self._store_is_away = False
        self._newest: datetime | None = None
        self._emptied: float | None = None

    @property
    def longest_pause(self) -> int:
        """The most seconds that a task's message is hidden between two of its tries."""
        known = [policy for name, policy in self._parts.policies.items() if name in self.agents]
        return max(policy.pause(policy.max_attempts) for policy in known)

    @property
    def reached(self) -> Reached | None:
        """What the queue has delivered here; None where nothing is known of it yet."""
        return self._newest if self._emptied is None else timedelta(seconds=time.monotonic() - self._emptied)

    def attempts(self) -> Mapping[uuid.UUID, Attempt]:
        """Those in hand."""
        return {attempt.task.id: attempt for attempt in self._attempts}

    def hand_back(self) -> None:
        """What is in hand is for other workers to do."""
        self._handing_back = True
        for attempt in self._attempts:
            attempt.hand_back()

    async def run(self, stopping: asyncio.Event) -> None:
        """Takes tasks until `stopping`; those in hand go on."""
        stopped = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                if self._store_is_away and not await self._store_is_back(stopping):
                    continue
                free = self.concurrency - len(self.running)
                if free > 0:
                    await self._take(free, stopping)
                else:
                    await asyncio.wait({stopped, *self.running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping = True
            stopped.cancel()

    async def _store_is_back(self, stopping: asyncio.Event) -> bool:
        # What was taken meanwhile could not be begun, and SQS counts: it would become a dead letter untried.
        try:
            await self._parts.store.check()
        except Exception as error:  # noqa: BLE001 (whatever it is, the next look may work)
            await paused("the store is away", error, stopping, seconds=0.5)
            return False
        self._store_is_away = False
        return True

    async def _take(self, free: int, stopping: asyncio.Event) -> None:
        began = time.monotonic()
        try:
            # Never cancelled: a receive that is cut off may have hidden a message that nobody then holds.
            deliveries = await self._queue.receive(free, self._parts.poll_seconds, self.hold.visibility)
        except Exception as error:  # noqa: BLE001 (whatever it is, the next poll may work)
            await paused("the queue cannot be read", error, stopping)
            return
        self._note(deliveries, began)
        self._stopping = stopping.is_set()
        for delivery in deliveries:
            task = asyncio.create_task(self._handle(delivery))
            self.running.add(task)
            task.add_done_callback(self.running.discard)

    def _note(self, deliveries: Sequence[Delivery], began: float) -> None:
        """How far the queue has got: by what it delivers for the first time, or by having nothing more."""
        if not deliveries:
            self._emptied = began
        for delivery in deliveries:
            if delivery.received == 1 and delivery.sent is not None:
                self._newest, self._emptied = delivery.sent, None

    async def _handle(self, delivery: Delivery) -> None:
        note = delivery.note
        if delivery.age is not None:
            self._parts.metrics.queue_age.labels(self.name).observe(delivery.age)
        structlog.contextvars.bind_contextvars(
            request_id=note and note.request_id, task_id=note and str(note.task_id)
        )
        with processing(self._parts.traces, self._queue, note) as span:
            try:
                if self._stopping:
                    settled(span, "handed_back")
                    await self._queue.hide(delivery, 0)
                elif note is None:
                    self._parts.metrics.tasks.labels("unknown", "malformed").inc()
                    settled(span, "malformed")
                    await self._queue.bury(delivery, "malformed: it is not a task of this service")
                else:
                    await self._claim(note, delivery, span)
            except Exception as error:  # noqa: BLE001 (the message comes back by itself)
                failed(span, type(error).__qualname__)
                logs.failure(log, "a task's state could not be kept; it will be tried again", error)
                await self._soon(delivery)

    async def _claim(self, note: Note, delivery: Delivery, span: Span) -> None:
        try:
            task = await self._parts.store.claim(note.task_id, self.hold.lease, sent=delivery.sent)
            if task is None:
                settled(span, "duplicate")
                await self._not_ours(note, delivery)
                return
        except Exception as error:
            self._store_is_away = is_away(error)
            raise
        await self._attempt(task, delivery, span)

    async def _soon(self, delivery: Delivery) -> None:
        try:
            # Apart, so that a store that comes back is not met by all at once.
            await self._queue.hide(delivery, random.randint(1, 2 * _BACK_SECONDS - 1))  # noqa: S311
        except Exception as error:  # noqa: BLE001 (then its visibility runs out)
            log.debug("a message could not be sent back", reason=type(error).__name__)

    async def _not_ours(self, note: Note, delivery: Delivery) -> None:
        task = await self._parts.store.get(note.task_id)
        self._parts.metrics.tasks.labels("unknown" if task is None else task.agent, "duplicate").inc()
        if task is not None and task.status is Status.FAILED and delivery.received <= self._max_attempts:
            # Who kept its failure may not have got to this: two dead letters are better than none.
            log.info("delivered again after it failed: to the dead letters")
            await self._queue.bury(delivery, task.error or "failed")
        elif task is None or task.status in ENDED:
            log.info("delivered again after its end, or withdrawn: deleted")
            await self._queue.delete(delivery)
        else:
            left = self.hold.lease if task.lease_seconds is None else task.lease_seconds
            seconds = math.ceil(min(max(left, 0), self.hold.visibility)) + 1
            log.info("delivered again while it runs elsewhere: put back", seconds=seconds)
            await self._queue.hide(delivery, seconds)

    async def _attempt(self, task: Task, delivery: Delivery, span: Span) -> None:
        parts, began, outcome = self._parts, time.monotonic(), "lost"
        span.set_attributes({"gen_ai.agent.name": task.agent, "agent_app.task.attempt": task.attempts})
        parts.metrics.tasks_in_flight.inc()
        log.info("task started", agent=task.agent, attempt=task.attempts)
        policy = parts.policies.get(task.agent) or unknown(task.agent, parts.policies)
        means = Means(parts.store, self._queue, parts.contexts, parts.artifacts, self.hold)
        attempt = Attempt(task, delivery, policy, means)
        self._attempts.add(attempt)
        if self._handing_back:
            attempt.hand_back()
        try:
            outcome = await attempt.run()
            if attempt.error_type is not None:
                failed(span, attempt.error_type)
        except LeaseLost:
            failed(span, "LeaseLost")
            log.warning("the task was taken over by another worker", agent=task.agent)
        finally:
            self._attempts.discard(attempt)
            seconds = time.monotonic() - began
            parts.metrics.tasks_in_flight.dec()
            parts.metrics.task_seconds.labels(task.agent).observe(seconds)
            parts.metrics.tasks.labels(task.agent, outcome).inc()
            settled(span, outcome)
            log.info(
                "task ended",
                agent=task.agent,
                outcome=outcome,
                attempt=task.attempts,
                seconds=round(seconds, 3),
            )


async def paused(what: str, error: Exception, stopping: asyncio.Event, *, seconds: float = 2) -> None:
    """Says what failed, then waits for a while or for the end."""
    log.warning(what, reason=type(error).__name__)
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
