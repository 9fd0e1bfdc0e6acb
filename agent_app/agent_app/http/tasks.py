"""Asking for a task and asking after it, over HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agent_app.agents import handlers as kinds
from agent_app.agents.handlers import Handler
from agent_app.problems import Problem, Unavailable
from agent_app.tasks.queue import Queue
from agent_app.tasks.store import Status, Task, TaskStore
from agent_app.telemetry import logs

log = structlog.get_logger(__name__)

Key = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class TaskRequest(BaseModel):
    """The work: the kind's input, and a key by which a repeated request is known."""

    model_config = ConfigDict(extra="forbid")
    kind: str = Field("prompt", max_length=64)
    input: JsonValue
    idempotency_key: Key | None = None


class Accepted(BaseModel):
    """The task is kept and will be run."""

    task_id: uuid.UUID
    status: Status


class TaskState(BaseModel):
    """A task as it is now; `error` of a queued one is its last attempt's."""

    task_id: uuid.UUID
    kind: str
    status: Status
    attempts: int
    created_at: datetime
    updated_at: datetime
    result: Any = None
    error: str | None = None


class Submission:
    """Keeps a task, then puts it into the queue."""

    def __init__(self, store: TaskStore, queue: Queue, handlers: Mapping[str, Handler]) -> None:
        self._store = store
        self._queue = queue
        self._handlers = handlers

    async def submit(self, kind: str, input: Any, key: str | None) -> Task:
        """The new task, or the one that was asked for with this key before.

        Raises:
            Problem: the input is not the kind's; the key was used for something else; the queue is away.
        """
        kinds.check(self._handlers, kind, input)
        if "\\u0000" in json.dumps(input):
            raise Problem(422, "body #/input: it must not hold the character NUL.")
        task, new = await self._store.create(kind, input, key)
        if not new and (task.kind, task.input) != (kind, input):
            raise Problem(
                422,
                "This idempotency key was used for another task; use a new key for a new task.",
                task_id=str(task.id),
            )
        # A task whose message was never sent (we died in between) is sent when it is asked for again.
        if task.sent_at is None and task.status is Status.QUEUED:
            await self._send(task, new=new)
        return task

    async def get(self, id: uuid.UUID) -> Task:
        """The task as it is now.

        Raises:
            Problem: 404, there is none.
        """
        task = await self._store.get(id)
        if task is None:
            raise Problem(404, f"There is no task {id}.")
        return task

    async def _send(self, task: Task, *, new: bool) -> None:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        try:
            await self._queue.send(task.id, request_id)
        except Exception as error:  # noqa: BLE001 (whatever it is, the task is not in the queue)
            logs.failure(log, "the queue did not take a task", error)
            if new:
                await self._store.withdraw(task.id)
            raise Unavailable("The queue") from None
        await self._store.sent(task.id)


def router(submission: Submission | None) -> APIRouter:
    """POST /v1/tasks and GET /v1/tasks/{id}; without a submission both say what is missing."""
    routes = APIRouter(prefix="/v1")

    def ready() -> Submission:
        if submission is None:
            raise Problem(
                501,
                "Tasks are off: with AGENT_APP_QUEUE_URL the workers need AGENT_APP_DATABASE_URL as well, "
                "where the tasks' results are kept.",
            )
        return submission

    @routes.post("/tasks", status_code=202)
    async def submit(
        request: TaskRequest, idempotency_key: Annotated[Key | None, Header()] = None
    ) -> Accepted:
        key = idempotency_key or request.idempotency_key
        if request.idempotency_key not in {None, key}:
            raise Problem(400, "The header Idempotency-Key and the body's idempotency_key differ: send one.")
        task = await ready().submit(request.kind, request.input, key)
        return Accepted(task_id=task.id, status=task.status)

    @routes.get("/tasks/{task_id}")
    async def get(task_id: uuid.UUID) -> TaskState:
        task = await ready().get(task_id)
        return TaskState(
            task_id=task.id,
            kind=task.kind,
            status=task.status,
            attempts=task.attempts,
            created_at=task.created_at,
            updated_at=task.updated_at,
            result=task.result,
            error=task.error,
        )

    return routes
