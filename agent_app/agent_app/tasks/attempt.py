"""One try of one task: runs the agent while the task's lease and its message's visibility are kept up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from pydantic import JsonValue
from pydantic_core import to_json

from agent_app.agents.context import Context, Tally
from agent_app.problems import Problem
from agent_app.state.artifacts import Artifacts
from agent_app.tasks.policy import Policy
from agent_app.tasks.queue import Delivery, Queue
from agent_app.tasks.task import Ending, LeaseLost, Status, Task, TaskStore
from agent_app.telemetry import logs

log = structlog.get_logger(__name__)

#: Makes the context of one run, which its tries share.
Contexts = Callable[[str, str, str], Context]

#: A longer result goes to the bucket, where there is one.
LONGEST_RESULT_BYTES = 65_536
#: A store that is away while a result waits to be kept is tried again after this long, doubled each time.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class TaskFailed(Exception):
    """This try failed; the message is kept with the task and shown to who asked for it."""

    def __init__(self, message: str, cause: Exception) -> None:
        super().__init__(message)
        self.error_type = type(cause).__qualname__


class TaskCancelled(Exception):
    """Who asked for the task wants it no more."""


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


class KeptSteps:
    """The steps of one task, kept in its store under this try's lease."""

    def __init__(self, store: TaskStore, task: Task) -> None:
        self._store = store
        self._task = task

    async def once(self, name: str, work: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        found, result = await self._store.step(self._task, name)
        if found:
            return _json(result)
        # As it will be read back: a retry must not see another type than the first try did.
        return _json(await self._store.keep_step(self._task, name, json.loads(to_json(await work()))))


class Attempt:
    """Ends as `succeeded`, `retried`, `failed`, `cancelled` or `handed_back`; raises LeaseLost."""

    def __init__(
        self,
        task: Task,
        delivery: Delivery,
        *,
        store: TaskStore,
        queue: Queue,
        policy: Policy,
        contexts: Contexts,
        artifacts: Artifacts | None,
        hold: Hold,
    ) -> None:
        self.task = task
        self.tally = Tally()
        #: The class of what the agent raised, if it did.
        self.error_type: str | None = None
        self._delivery = delivery
        self._store = store
        self._queue = queue
        self._policy = policy
        self._contexts = contexts
        self._artifacts = artifacts
        self._hold = hold
        self._held_until = time.monotonic() + hold.lease
        self._cancel = asyncio.Event()

    def cancel(self) -> None:
        """Who asked for the task wants it no more."""
        self._cancel.set()

    async def run(self) -> str:
        """Runs the agent and settles what came of it."""
        if self.task.cancel_requested:
            return await self._end(Ending(Status.CANCELLED), "cancelled")
        try:
            result = await self._work()
        except TaskFailed as failed:
            self.error_type = failed.error_type
            return await self._failed(str(failed))
        except TaskCancelled:
            return await self._end(Ending(Status.CANCELLED), "cancelled")
        except asyncio.CancelledError:
            # Time is up: the task is free for another worker at once.
            await self._finish(Ending(Status.QUEUED, error="handed back by a worker that had to stop"))
            await self._queue.hide(self._delivery, 0)
            return "handed_back"
        return await self._end(result, "succeeded")

    async def _end(self, ending: Ending, outcome: str) -> str:
        await self._finish(ending)
        await self._queue.delete(self._delivery)
        return outcome

    async def _failed(self, error: str) -> str:
        if self._delivery.received >= self._policy.max_attempts:
            await self._finish(Ending(Status.FAILED, error=error))
            await self._queue.bury(self._delivery, error)
            return "failed"
        await self._finish(Ending(Status.QUEUED, error=error))
        await self._queue.hide(self._delivery, self._policy.pause(self._delivery.received))
        return "retried"

    async def _finish(self, ending: Ending) -> None:
        """Keeps the ending; a store that is away is waited for as long as the lease lasts."""
        pause = _FIRST_PAUSE
        while True:
            try:
                kept = await self._store.finish(self.task, ending)
            except Exception as error:
                if time.monotonic() + pause > self._held_until:
                    raise
                log.warning("a task's end could not be kept; trying again", reason=type(error).__name__)
            else:
                if not kept:
                    raise LeaseLost
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _work(self) -> Ending:
        work = asyncio.create_task(self._within())
        beat = asyncio.create_task(self._heartbeat())
        cancel = asyncio.create_task(self._cancel.wait())
        try:
            await asyncio.wait({work, beat, cancel}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if cancel.done():
                raise TaskCancelled
            raise LeaseLost
        finally:
            for job in (work, beat, cancel):
                job.cancel()
            await asyncio.gather(work, beat, cancel, return_exceptions=True)

    async def _within(self) -> Ending:
        limit = self._policy.timeout
        context = self._contexts(self.task.agent, self.task.owner, str(self.task.id))
        context.steps = KeptSteps(self._store, self.task)
        self.tally = context.tally
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                result = await self._policy.agent.run(_json(self.task.input), context)
                return await self._kept(result)
        except LeaseLost:
            raise
        except Problem as error:
            raise TaskFailed(error.detail, error) from None
        except Exception as error:  # noqa: BLE001 (an agent may raise anything)
            if isinstance(error, TimeoutError) and deadline.expired():
                raise TaskFailed(f"it took longer than {limit:g} s, the longest it may take", error) from None
            logs.failure(log, "an agent raised", error)
            raise TaskFailed(f"the agent raised {type(error).__name__}", error) from None

    async def _kept(self, result: JsonValue) -> Ending:
        text = to_json(result)
        if b"\\u0000" in text:
            text = text.replace(b"\\u0000", b"")  # a vendor may answer with what Postgres cannot keep
        if self._artifacts is None or len(text) <= LONGEST_RESULT_BYTES:
            return Ending(Status.SUCCEEDED, result=json.loads(text))
        # One key for each try: what an older one writes late is not what the task points to.
        key = f"tasks/{self.task.id}/{self.task.attempts}.json"
        await self._artifacts.put(key, text, "application/json")
        return Ending(Status.SUCCEEDED, artifact=key)

    async def _heartbeat(self) -> None:
        """Returns when another worker has taken the task over."""
        while True:
            await asyncio.sleep(self._hold.heartbeat)
            try:
                began = time.monotonic()
                if not await self._store.extend(self.task, self._hold.lease):
                    return
                self._held_until = began + self._hold.lease
                await self._queue.hide(self._delivery, self._hold.visibility)
            except Exception as error:  # noqa: BLE001 (two more beats follow before it runs out)
                log.warning("a heartbeat failed", reason=type(error).__name__)


def _json(value: object) -> JsonValue:
    kept: JsonValue = value  # type: ignore[assignment]  # JSON by the column's type
    return kept
