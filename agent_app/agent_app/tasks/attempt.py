"""One try of one task: runs the agent while the task's lease and its message's visibility are kept up."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import JsonValue

from agent_app import storable
from agent_app.agents.context import Context, Tally
from agent_app.llm.call import LlmProblem
from agent_app.problems import Problem
from agent_app.state.artifacts import Artifacts
from agent_app.tasks.heartbeat import Heartbeat, Hold
from agent_app.tasks.patience import patiently
from agent_app.tasks.policy import Policy
from agent_app.tasks.queue import Delivery, Queue
from agent_app.tasks.steps import KeptSteps
from agent_app.tasks.task import Ending, LeaseLost, Status, Task, TaskStore
from agent_app.telemetry import logs

log = structlog.get_logger(__name__)

#: Makes the context of one run, which its tries share.
Contexts = Callable[[str, str, str], Context]

#: A longer result goes to the bucket, where there is one.
LONGEST_RESULT_BYTES = 65_536
#: The longest that a task waits for its model before it is looked at again.
LONGEST_POSTPONEMENT_SECONDS = 60


class TaskFailed(Exception):
    """This try failed; the message is kept with the task and shown to who asked for it."""

    def __init__(self, message: str, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class TaskCancelled(Exception):
    """Who asked for the task wants it no more."""


class TaskHandedBack(Exception):
    """This worker has to stop: the task is free for another one at once."""


class TaskPostponed(Exception):
    """It cannot be done now, which is no fault of the task's."""

    def __init__(self, why: str, seconds: int) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass(frozen=True)
class Means:
    """What the attempts of one lane share."""

    store: TaskStore
    queue: Queue
    contexts: Contexts
    artifacts: Artifacts | None
    hold: Hold


class Attempt:
    """Ends `succeeded`, `retried`, `failed`, `cancelled`, `postponed` or `handed_back`; raises LeaseLost."""

    def __init__(self, task: Task, delivery: Delivery, policy: Policy, means: Means) -> None:
        self.task = task
        self.tally = Tally()
        #: The class of what the agent raised, if it did.
        self.error_type: str | None = None
        self._delivery = delivery
        self._policy = policy
        self._store = means.store
        self._queue = means.queue
        self._means = means
        self._beats = Heartbeat(task, delivery, means.store, means.queue, means.hold)
        self._postponement = 0
        self._stop: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def cancel(self) -> None:
        """Who asked for the task wants it no more."""
        self._stop_for(TaskCancelled())

    def hand_back(self) -> None:
        """Lets another worker do it; an end that is being kept is kept."""
        self._stop_for(TaskHandedBack("handed back by a worker that had to stop"))

    async def run(self) -> str:
        """Runs the agent and settles what came of it."""
        beating = asyncio.create_task(self._beats.run())
        try:
            ending, outcome = await self._ended(beating)
            try:
                await self._finish(ending)
            except LeaseLost:
                raise
            except Exception as error:
                if ending.status is not Status.SUCCEEDED:
                    raise
                logs.failure(log, "a task's result cannot be kept", error)
                ending, outcome = self._failed(f"its result cannot be kept: {type(error).__name__}")
                await self._finish(ending)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        await self._settle(outcome, ending)
        return outcome

    async def _ended(self, beating: asyncio.Task[None]) -> tuple[Ending, str]:
        if self.task.cancel_requested:
            return Ending(Status.CANCELLED), "cancelled"
        if self.task.tries > self._policy.max_attempts:
            return self._failed("each of its tries ended without a result: its worker died, or was cut off")
        try:
            return await self._work(beating), "succeeded"
        except TaskFailed as failed:
            self.error_type = failed.error_type
            return self._failed(str(failed))
        except TaskCancelled:
            return Ending(Status.CANCELLED), "cancelled"
        except TaskHandedBack as why:
            return Ending(Status.QUEUED, error=str(why), counts=False), "handed_back"
        except TaskPostponed as why:
            self._postponement = why.seconds
            return Ending(Status.QUEUED, error=str(why), counts=False), "postponed"

    def _failed(self, error: str) -> tuple[Ending, str]:
        error = storable.text(error)
        if self.task.tries >= self._policy.max_attempts:
            return Ending(Status.FAILED, error=error), "failed"
        return Ending(Status.QUEUED, error=error), "retried"

    async def _finish(self, ending: Ending) -> None:
        if not await patiently(lambda: self._store.finish(self.task, ending)):
            raise LeaseLost

    async def _settle(self, outcome: str, ending: Ending) -> None:
        """Says to the queue what the store knows by now: if it does not hear, it delivers once more."""
        try:
            match outcome:
                case "handed_back":
                    await self._queue.hide(self._delivery, 0)
                case "postponed":
                    await self._queue.postpone(self._delivery, self._postponement)
                case "retried":
                    await self._queue.hide(self._delivery, self._policy.pause(self.task.tries))
                case "failed":
                    await self._queue.bury(self._delivery, ending.error or "")
                case _:
                    await self._queue.delete(self._delivery)
        except Exception as error:  # noqa: BLE001 (its next delivery is settled by what the store says)
            log.warning(
                "the queue did not hear of a task's end", outcome=outcome, reason=type(error).__name__
            )

    async def _work(self, beating: asyncio.Task[None]) -> Ending:
        work = asyncio.create_task(self._within())
        try:
            first: set[asyncio.Future[Any]] = {work, beating, self._stop}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                if work.cancelled():
                    raise TaskFailed("the agent cancelled itself", "CancelledError")
                return work.result()
            if self._stop.done():
                raise self._stop.result()
            raise LeaseLost
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _within(self) -> Ending:
        limit = self._policy.timeout
        context = self._means.contexts(self.task.agent, self.task.owner, str(self.task.id))
        context.steps = KeptSteps(self._store, self.task)
        self.tally = context.tally
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                result = await self._policy.agent.run(self.task.input, context)
                return await self._kept(result)
        except LeaseLost:
            raise
        except LlmProblem as error:
            # Others were before it, or the model is down: no failure of its own, however often it happens.
            if error.status != 503:
                raise TaskFailed(error.detail, _name(error)) from None
            seconds = min(math.ceil(error.retry_after or 0) + 1, LONGEST_POSTPONEMENT_SECONDS)
            raise TaskPostponed(error.detail, seconds) from None
        except Problem as error:
            raise TaskFailed(error.detail, _name(error)) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 (an agent may raise anything)
            if isinstance(error, TimeoutError) and deadline.expired():
                late = f"it took longer than {limit:g} s, the longest it may take"
                raise TaskFailed(late, _name(error)) from None
            logs.failure(log, "an agent raised", error)
            raise TaskFailed(f"the agent raised {type(error).__name__}", _name(error)) from None

    async def _kept(self, result: JsonValue) -> Ending:
        text, artifacts = storable.dumped(result), self._means.artifacts
        if artifacts is None or len(text) <= LONGEST_RESULT_BYTES:
            return Ending(Status.SUCCEEDED, result=json.loads(text))
        # One key for each try: what an older one writes late is not what the task points to.
        key = f"tasks/{self.task.id}/{self.task.attempts}.json"
        await artifacts.put(key, text, "application/json")
        return Ending(Status.SUCCEEDED, artifact=key)

    def _stop_for(self, why: Exception) -> None:
        if not self._stop.done():
            self._stop.set_result(why)


def _name(error: BaseException) -> str:
    return type(error).__qualname__
