"""Errors as the client sees them: `application/problem+json`, RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from agent_app.telemetry.traces import current_ids

log = structlog.get_logger(__name__)

#: A body can be wrong in more places than anybody wants to read.
_MOST_ERRORS = 20


class Problem(Exception):
    """An answer that is an error; `detail` says what is wrong and the way out, and never holds a secret."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
        self.headers = headers or {}
        self.extensions = extensions


class Unavailable(Problem):
    """Something the service depends on does not answer now."""

    def __init__(self, what: str) -> None:
        super().__init__(503, f"{what} cannot be reached now; try again in a few seconds.", retry_after=5)


class ProblemDocument(BaseModel):
    """What an error looks like; some have more members."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    trace_id: str | None = None


_EXAMPLES: dict[int, tuple[str, str]] = {
    400: (
        "The request is not well-formed",
        "The header Idempotency-Key and the body's idempotency_key differ: send one.",
    ),
    401: (
        "No key or token, or one that does not hold",
        "There is no API key in the request: send one as `Authorization: Bearer <key>`.",
    ),
    403: (
        "The token lacks the scope that is asked for",
        "The token lacks the scope 'agents': ask your identity provider for one that has it.",
    ),
    404: (
        "There is no such thing of yours",
        "There is no session 'trip-to-rome'; POST /v1/chat without session_id begins one.",
    ),
    409: ("Not in this state", "The task is running: it has no result yet."),
    413: (
        "The body or the prompt is too long",
        "The body is longer than 1048576 bytes, the most this service takes.",
    ),
    415: ("The body is no JSON", "The body must be JSON, sent as `Content-Type: application/json`."),
    422: (
        "Something in it is wrong; `detail` and `errors` say what",
        "body #/message: Field required",
    ),
    429: (
        "Too many requests, or the budget is spent; see Retry-After",
        "The monthly budget of the fleet 'support' is spent.",
    ),
    500: (
        "A defect; the log has it under `request_id`",
        "Something went wrong here; the log has it under this request_id.",
    ),
    501: ("Not set up here", "Tasks are off: AGENT_APP_DATABASE_URL is not set."),
    502: ("The model failed", "The model gpt-5-mini answered with HTTP status 400."),
    503: (
        "Something the service depends on is away; see Retry-After",
        "The database cannot be reached now; try again in a few seconds.",
    ),
    504: ("Out of time", "The agent 'assistant' did not answer in 300 s; ask for longer work as a task."),
}


def _described(status: int, description: str, detail: str) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": "5d0d4c6f7a1b4e0e9d0f3f5b1c2d3e4f",
    }
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    described: dict[str, Any] = {
        "description": description,
        "content": {"application/problem+json": {"schema": schema, "example": example}},
    }
    if status in {429, 503}:
        seconds = {"description": "Seconds", "schema": {"type": "integer", "minimum": 0}}
        described["headers"] = {"Retry-After": seconds}
    return described


#: What endpoints may answer, for OpenAPI.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: _described(status, *said) for status, said in _EXAMPLES.items()
}


def may(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These problems, and those that every endpoint under /v1/ may answer with."""
    return {status: PROBLEMS[status] for status in sorted({401, 403, 422, 429, 500, 503, *statuses})}


def document(problem: Problem) -> dict[str, Any]:
    """The problem as JSON."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.extensions,
    }
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if request_id:
        body["request_id"] = request_id
    if ids := current_ids():
        body["trace_id"] = ids[0]
    return body


def answer(problem: Problem) -> JSONResponse:
    """The response for a problem."""
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return JSONResponse(document(problem), problem.status, headers, media_type="application/problem+json")


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 (registered for this class alone)
    return answer(error)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for this class alone)
    headers = error.headers or {}
    said = {
        # FastAPI's own word for whatever went wrong while it read a body.
        "There was an error parsing the body": "The body cannot be read: it must be JSON in UTF-8, its lists "
        "and objects no more than some hundred deep, its numbers no longer than 4300 digits.",
        "Not Found": "There is nothing at this path; /openapi.json tells what there is.",
        "Method Not Allowed": f"Allowed here: {headers.get('Allow')}; this is {request.method}.",
    }
    response = answer(Problem(error.status_code, said.get(str(error.detail), str(error.detail))))
    response.headers.update(headers)
    return response


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for this class alone)
    found = error.errors()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found[0]["loc"] == ("body",) and isinstance(error.body, bytes) and kind != "application/json":
        return answer(Problem(415, _EXAMPLES[415][1]))
    errors = [
        {"pointer": _pointer(item["loc"][1:]), "in": item["loc"][0], "detail": item["msg"]}
        for item in found[:_MOST_ERRORS]
    ]
    first = errors[0]
    detail = f"{first['in']} {first['pointer']}: {first['detail']}"
    return answer(Problem(422, detail, errors=errors))


def _pointer(place: Sequence[object]) -> str:
    return "/".join(["#", *(str(part)[:100] for part in place[:10]), *(["…"] if len(place) > 10 else [])])


def register(app: FastAPI) -> None:
    """Makes every error of the application a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)


def translated(error: BaseException) -> Problem:
    """The problem for an error that nobody expected: 503 if a store is away, else 500 without its text."""
    from redis.exceptions import RedisError
    from sqlalchemy.exc import InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    if isinstance(error, Problem):
        return error
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeout)):
        return Unavailable("The database")
    if isinstance(error, RedisError):
        return Unavailable("Redis")
    return Problem(500, "Something went wrong here; the log has it under this request_id.")
