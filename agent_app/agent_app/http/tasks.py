"""Asking for a task, and asking after it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agent_app.http.owner import Owner
from agent_app.problems import Problem, may
from agent_app.tasks.submission import Submission
from agent_app.tasks.task import Status, Task

_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
_STATE: Final[dict[str, JsonValue]] = {
    "task_id": _ID,
    "agent": "summariser",
    "status": "succeeded",
    "attempts": 1,
    "created_at": "2026-11-24T06:00:00Z",
    "updated_at": "2026-11-24T06:00:09Z",
    "result": {"title": "Elements", "points": ["Water is wet.", "Fire is hot."]},
    "error": None,
    "cancel_requested": False,
}
Key = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class TaskRequest(BaseModel):
    """The work: the agent's input, and a key by which a repeated request is known."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"agent": "summariser", "input": {"text": "Water is wet. Fire is hot."}},
                {"input": "What is a heron?", "idempotency_key": "question-42"},
            ]
        },
    )
    agent: Annotated[str, Field(max_length=63)] | None = Field(None, description="Default: the first one")
    input: JsonValue
    idempotency_key: Key | None = None


class Accepted(BaseModel):
    """The task is kept and will be run."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"task_id": _ID, "status": "queued"}]})
    task_id: uuid.UUID
    status: Status


class TaskState(BaseModel):
    """A task as it is now; `error` of a queued one is its last attempt's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STATE]})
    task_id: uuid.UUID
    agent: str
    status: Status
    attempts: int
    created_at: datetime
    updated_at: datetime
    result: Any = Field(None, description="A long one is at /v1/tasks/{task_id}/result alone")
    error: str | None = None
    cancel_requested: bool = False


class TaskList(BaseModel):
    """Who asks' own tasks, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tasks": [_STATE]}]})
    tasks: list[TaskState]


def router(submission: Submission | None) -> APIRouter:
    """/v1/tasks; without a submission all say what is missing."""
    routes = APIRouter(prefix="/v1/tasks", tags=["tasks"], responses=may(501))

    def ready() -> Submission:
        if submission is None:
            raise Problem(
                501,
                "Tasks are off: with AGENT_APP_QUEUE_URL the workers need AGENT_APP_DATABASE_URL as well, "
                "where the tasks' results are kept.",
            )
        return submission

    @routes.post("", status_code=202, operation_id="submitTask", responses=may(400, 413, 415, 501))
    async def submit(
        request: TaskRequest, owner: Owner, idempotency_key: Annotated[Key | None, Header()] = None
    ) -> Accepted:
        key = idempotency_key or request.idempotency_key
        if request.idempotency_key not in {None, key}:
            raise Problem(400, "The header Idempotency-Key and the body's idempotency_key differ: send one.")
        task = await ready().submit(owner, request.agent, request.input, key)
        return Accepted(task_id=task.id, status=task.status)

    @routes.get("", operation_id="listTasks")
    async def newest(
        owner: Owner,
        agent: Annotated[str | None, Query(max_length=63)] = None,
        status: Status | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> TaskList:
        found = await ready().newest(owner, limit, agent=_plain(agent), status=status)
        return TaskList(tasks=[_state(task) for task in found])

    @routes.get("/{task_id}", operation_id="getTask", responses=may(404, 501))
    async def get(task_id: uuid.UUID, owner: Owner) -> TaskState:
        return _state(await ready().get(owner, task_id))

    @routes.get(
        "/{task_id}/result",
        response_model=JsonValue,
        operation_id="getTaskResult",
        responses={
            200: {"content": {"application/json": {"example": _STATE["result"]}}},
            **may(404, 409, 501),
        },
    )
    async def result(task_id: uuid.UUID, owner: Owner) -> Response:
        """The result alone; 409 while there is none."""
        return Response(await ready().result(owner, task_id), media_type="application/json")

    @routes.post("/{task_id}/cancel", operation_id="cancelTask", responses=may(404, 501))
    async def cancel(task_id: uuid.UUID, owner: Owner) -> TaskState:
        """Ends it: a queued one at once, a running one within seconds; one that has ended stays as it is."""
        return _state(await ready().cancel(owner, task_id))

    return routes


def _plain(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "")  # Postgres' text cannot carry it


def _state(task: Task) -> TaskState:
    return TaskState(
        task_id=task.id,
        agent=task.agent,
        status=task.status,
        attempts=task.attempts,
        created_at=task.created_at,
        updated_at=task.updated_at,
        result=task.result,
        error=task.error,
        cancel_requested=task.cancel_requested,
    )
