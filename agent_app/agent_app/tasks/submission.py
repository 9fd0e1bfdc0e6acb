"""Takes tasks: keeps each, then puts it into its agent's queue."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from agent_app import storable
from agent_app.agents import agent as agents
from agent_app.problems import Problem, Unavailable
from agent_app.state.artifacts import Artifacts
from agent_app.tasks.policy import Policy
from agent_app.tasks.queue import Note, Queue
from agent_app.tasks.task import Status, Task, TaskStore
from agent_app.tasks.traced import sending
from agent_app.telemetry import logs
from agent_app.telemetry.traces import OFF, Traces

log = structlog.get_logger(__name__)


class Submission:
    """`queues` by agent type."""

    def __init__(
        self,
        store: TaskStore,
        queues: Mapping[str, Queue],
        policies: Mapping[str, Policy],
        artifacts: Artifacts | None,
        traces: Traces = OFF,
    ) -> None:
        self._store = store
        self._queues = queues
        self._agents = {name: policy.agent for name, policy in policies.items()}
        self._artifacts = artifacts
        self._traces = traces

    async def submit(self, owner: str, agent: str | None, input: Any, key: str | None) -> Task:
        """The new task, or the one that was asked for with this key before.

        Raises:
            Problem: the input is not the agent's; the key was used for something else; the queue is away.
        """
        agent = agent or next(iter(self._agents))
        agents.check(self._agents, agent, input)
        storable.check(input, "#/input")
        task, new = await self._store.create(owner, agent, input, key)
        if not new and (task.agent, task.input) != (agent, input):
            raise Problem(
                422,
                "This idempotency key was used for another task; use a new key for a new task.",
                task_id=str(task.id),
            )
        # A task whose message was never sent (we died in between) is sent when it is asked for again.
        if task.sent_at is None and task.status is Status.QUEUED:
            await self._send(task, new=new)
        return task

    async def get(self, owner: str, id: uuid.UUID) -> Task:
        """The task as it is now.

        Raises:
            Problem: 404, there is none of this owner's.
        """
        task = await self._store.get(id)
        if task is None or task.owner != owner:
            raise Problem(404, f"There is no task {id}.")
        return task

    async def newest(
        self, owner: str, limit: int, *, agent: str | None, status: Status | None
    ) -> Sequence[Task]:
        """The owner's tasks, the newest first."""
        return await self._store.newest(owner, limit, agent=agent, status=status)

    async def cancel(self, owner: str, id: uuid.UUID) -> Task:
        """Ends a queued task at once, a running one within seconds; one that has ended stays as it is."""
        await self.get(owner, id)
        task = await self._store.cancel(id)
        if task is None:
            raise Problem(404, f"There is no task {id}.")
        return task

    async def result(self, owner: str, id: uuid.UUID) -> bytes:
        """The result as JSON.

        Raises:
            Problem: 404 no such task, 409 it has none (yet).
        """
        task = await self.get(owner, id)
        if task.status is not Status.SUCCEEDED:
            detail = f"The task {id} has no result: it is {task.status}"
            detail += f" ({task.error})." if task.error else "."
            waiting = task.status in {Status.QUEUED, Status.RUNNING}
            raise Problem(409, detail, retry_after=2 if waiting else None, task_status=str(task.status))
        if task.artifact is None:
            return json.dumps(task.result).encode()
        if self._artifacts is None:
            raise Problem(501, "The result is in a bucket, and AGENT_APP_ARTIFACT_BUCKET is not set here.")
        try:
            return await self._artifacts.get(task.artifact)
        except Exception as error:  # noqa: BLE001 (whatever it is, the bucket does not answer)
            logs.failure(log, "a result could not be read from the bucket", error)
            raise Unavailable("The bucket with the result") from None

    async def _send(self, task: Task, *, new: bool) -> None:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        queue = self._queues[task.agent]
        try:
            with sending(self._traces, queue) as trace:
                await queue.send(Note(task.id, request_id, trace))
        except Exception as error:  # noqa: BLE001 (whatever it is, the task is not in the queue)
            logs.failure(log, "the queue did not take a task", error)
            if new:
                await self._store.withdraw(task.id)
            raise Unavailable("The queue") from None
        if not await self._store.sent(task.id):
            # Who asked with the same key, and could not send it, has withdrawn it meanwhile.
            raise Unavailable("The queue")
