"""Tasks and their queue in this process alone: for one replica without stores."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_app.tasks.queue import DEFAULT_VISIBILITY_SECONDS, Delivery, Note
from agent_app.tasks.task import ENDED, Ending, LeaseLost, Reached, Status, Task


class MemoryTaskStore:
    """Tasks; the oldest that have ended are forgotten beyond `keep`."""

    def __init__(self, keep: int = 10_000) -> None:
        self._keep = keep
        self._tasks: dict[uuid.UUID, Task] = {}
        self._keys: dict[tuple[str, str], uuid.UUID] = {}
        self._steps: dict[tuple[uuid.UUID, str], Any] = {}

    async def create(self, owner: str, agent: str, input: Any, key: str | None) -> tuple[Task, bool]:
        if key is not None and (owner, key) in self._keys:
            return self._tasks[self._keys[owner, key]], False
        now = datetime.now(UTC)
        task = Task(uuid.uuid4(), owner, agent, input, Status.QUEUED, 0, 0, now, now, idempotency_key=key)
        self._tasks[task.id] = task
        if key is not None:
            self._keys[owner, key] = task.id
        if len(self._tasks) > self._keep:
            oldest = next((item for item in self._tasks.values() if item.status in ENDED), None)
            if oldest is not None:
                self._forget(oldest)
        return task, True

    async def get(self, id: uuid.UUID) -> Task | None:
        task = self._tasks.get(id)
        if task is None or task.lease_until is None:
            return task
        return replace(task, lease_seconds=(task.lease_until - datetime.now(UTC)).total_seconds())

    async def newest(
        self, owner: str, limit: int, *, agent: str | None = None, status: Status | None = None
    ) -> Sequence[Task]:
        found = (
            task
            for task in reversed(self._tasks.values())
            if task.owner == owner and agent in {None, task.agent} and status in {None, task.status}
        )
        return list(itertools.islice(found, limit))

    async def sent(self, id: uuid.UUID) -> bool:
        if id not in self._tasks:
            return False
        self._tasks[id] = replace(self._tasks[id], sent_at=datetime.now(UTC))
        return True

    async def unsent(self, agents: Collection[str], seconds: float, limit: int) -> Sequence[Task]:
        return ()

    async def stranded(
        self, agents: Collection[str], reached: Reached, seconds: float, limit: int
    ) -> Sequence[Task]:
        return ()

    async def check(self) -> None:
        return

    async def withdraw(self, id: uuid.UUID) -> None:
        task = self._tasks.get(id)
        if task is not None and task.sent_at is None and task.attempts == 0:
            self._forget(task)

    async def cancel(self, id: uuid.UUID) -> Task | None:
        task = self._tasks.get(id)
        if task is not None and task.status is Status.QUEUED:
            task = replace(task, status=Status.CANCELLED, updated_at=datetime.now(UTC))
        elif task is not None and task.status is Status.RUNNING:
            task = replace(task, cancel_requested=True)
        if task is not None:
            self._tasks[id] = task
        return task

    async def cancelled(self, ids: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
        return [id for id in ids if id in self._tasks and self._tasks[id].cancel_requested]

    async def claim(self, id: uuid.UUID, lease: float, *, sent: datetime | None = None) -> Task | None:
        task, now = self._tasks.get(id), datetime.now(UTC)
        if task is None:
            return None
        again = task.status is Status.FAILED and sent is not None and task.updated_at < sent
        if task.status in ENDED and not again:
            return None
        if task.status is Status.RUNNING and task.lease_until is not None and task.lease_until > now:
            return None
        self._tasks[id] = replace(
            task,
            status=Status.RUNNING,
            attempts=task.attempts + 1,
            tries=1 if again else task.tries + 1,
            lease_until=now + timedelta(seconds=lease),
            updated_at=now,
        )
        return self._tasks[id]

    async def extend(self, task: Task, lease: float) -> bool:
        return self._change(task, lease_until=datetime.now(UTC) + timedelta(seconds=lease))

    async def finish(self, task: Task, ending: Ending) -> bool:
        held, status = self._tasks.get(task.id), ending.status
        if held is not None and held.cancel_requested and status is Status.QUEUED:
            status = Status.CANCELLED
        return self._change(
            task,
            status=status,
            result=ending.result,
            artifact=ending.artifact,
            error=ending.error,
            tries=task.tries if ending.counts else task.tries - 1,
            lease_until=None,
            cancel_requested=False,
        )

    async def step(self, task: Task, name: str) -> tuple[bool, Any]:
        key = (task.id, name)
        return key in self._steps, self._steps.get(key)

    async def keep_step(self, task: Task, name: str, result: Any) -> Any:
        if not self._held(task):
            raise LeaseLost
        return self._steps.setdefault((task.id, name), result)

    def _forget(self, task: Task) -> None:
        del self._tasks[task.id]
        if task.idempotency_key is not None:
            self._keys.pop((task.owner, task.idempotency_key), None)
        for key in [key for key in self._steps if key[0] == task.id]:
            del self._steps[key]

    def _held(self, task: Task) -> bool:
        held = self._tasks.get(task.id)
        return held is not None and held.status is Status.RUNNING and held.attempts == task.attempts

    def _change(self, task: Task, **values: Any) -> bool:
        if not self._held(task):
            return False
        self._tasks[task.id] = replace(self._tasks[task.id], updated_at=datetime.now(UTC), **values)
        return True


class MemoryQueue:
    """A queue that lives and dies with the process; dead letters are only noted with their task."""

    system = name = "memory"

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Delivery] = asyncio.Queue()
        self._hidden: dict[str, asyncio.TimerHandle] = {}
        self._receipts = itertools.count(1)

    async def send(self, note: Note) -> None:
        self._waiting.put_nowait(Delivery(note, "", 0))

    async def receive(self, limit: int, wait: int, visibility: int) -> list[Delivery]:
        try:
            async with asyncio.timeout(wait):
                taken = [await self._waiting.get()]
        except TimeoutError:
            return []
        while len(taken) < limit and not self._waiting.empty():
            taken.append(self._waiting.get_nowait())
        deliveries = [
            replace(item, receipt=str(next(self._receipts)), received=item.received + 1) for item in taken
        ]
        for delivery in deliveries:
            await self.hide(delivery, visibility)
        return deliveries

    async def delete(self, delivery: Delivery) -> None:
        timer = self._hidden.pop(delivery.receipt, None)
        if timer is not None:
            timer.cancel()

    async def hide(self, delivery: Delivery, seconds: int) -> None:
        await self.delete(delivery)
        timer = asyncio.get_running_loop().call_later(seconds, self._return, delivery)
        self._hidden[delivery.receipt] = timer

    def _return(self, delivery: Delivery) -> None:
        self._hidden.pop(delivery.receipt, None)
        self._waiting.put_nowait(delivery)

    async def postpone(self, delivery: Delivery, seconds: int) -> None:
        await self.hide(delivery, seconds)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        await self.delete(delivery)

    async def check(self) -> None:
        return

    async def visibility(self) -> int:
        return DEFAULT_VISIBILITY_SECONDS
