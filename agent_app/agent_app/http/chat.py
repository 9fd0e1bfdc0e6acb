"""A turn of a conversation: as one answer, or as it is being said (server-sent events)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Header
from fastapi.responses import Response, StreamingResponse
from opentelemetry.trace import get_current_span
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic_core import to_json

from agent_app import storable
from agent_app.agents import agent as agents
from agent_app.agents.agent import Agent, Streaming
from agent_app.agents.context import Context, Message, Tally
from agent_app.agents.runs import Runs
from agent_app.http.owner import Owner
from agent_app.problems import Problem, document, may, translated
from agent_app.settings import Settings
from agent_app.state.history import Place, Store, window
from agent_app.tasks.policy import Policy
from agent_app.telemetry import logs
from agent_app.telemetry.traces import failed

log = structlog.get_logger(__name__)

SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["trip-to-rome"])]
_EVENTS = "text/event-stream"
_REPLY: Final[dict[str, JsonValue]] = {
    "session_id": "trip-to-rome",
    "agent": "assistant",
    "reply": "A heron is a bird.",
    "output": None,
    "model": "gpt-5-mini",
    "usage": {"input_tokens": 23, "output_tokens": 6, "cost_micros": 18},
}


class ChatRequest(BaseModel):
    """What the user says; without a session a new one begins, without an agent the first one answers."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"message": "What is a heron?"}]},
    )
    message: Annotated[str, Field(min_length=1, max_length=100_000)]
    session_id: SessionId | None = None
    agent: Annotated[str, Field(max_length=63, examples=["assistant"])] | None = None
    stream: bool = Field(False, description="Server-sent events, as `Accept: text/event-stream` asks")


class Usage(BaseModel):
    """The tokens one answer took, and what they cost in millionths of a USD."""

    input_tokens: int
    output_tokens: int
    cost_micros: int = 0


class ChatReply(BaseModel):
    """The answer, and by which model; `output` where the agent answers with more than a text."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLY]})
    session_id: str
    agent: str
    reply: str
    output: Any = None
    model: str
    usage: Usage


class Delta(BaseModel):
    """A piece of the answer, as the event `delta` tells it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "A heron is "}]})
    text: str


class Chat:
    """Answers with the session's latest messages in view."""

    def __init__(self, settings: Settings, store: Store, runs: Runs, policies: Mapping[str, Policy]) -> None:
        self._settings = settings
        self._store = store
        self._runs = runs
        self._policies = policies
        self._known: dict[str, Agent] = {name: policy.agent for name, policy in policies.items()}
        self._free = {name: asyncio.Semaphore(policy.chats) for name, policy in policies.items()}

    async def say(self, owner: str, request: ChatRequest) -> ChatReply:
        """One turn. It is kept only when the agent has answered, so that a failed one can be said again.

        Raises:
            Problem: 422 unknown agent or unfit message, 504 out of time, or what the model met with.
        """
        place, name, agent = self._begun(owner, request)
        async with self._in_time(name):
            context = await self._context(place, name, fresh=request.session_id is None)
            output = await agent.run(request.message, context)
        return await self._ended(place, name, request.message, output, context.tally)

    async def tell(self, owner: str, request: ChatRequest) -> AsyncIterator[str | ChatReply]:
        """The same in pieces, then whole; an agent that does not stream tells one piece."""
        place, name, agent = self._begun(owner, request)
        said = ""
        async with self._in_time(name):
            context = await self._context(place, name, fresh=request.session_id is None)
            if isinstance(agent, Streaming):
                async for piece in agent.stream(request.message, context):
                    said += piece
                    yield piece
            else:
                said = _text(await agent.run(request.message, context))
                yield said
        yield await self._ended(place, name, request.message, said, context.tally)

    def check(self, request: ChatRequest) -> None:
        """Raises what can be told before anything is asked of a model."""
        self._begun("", request)

    def _begun(self, owner: str, request: ChatRequest) -> tuple[Place, str, Agent]:
        name = request.agent or next(iter(self._policies))
        storable.check(request.message, "#/message")
        agent = agents.check(self._known, name, request.message)
        return Place(owner, request.session_id or uuid.uuid4().hex), name, agent

    async def _context(self, place: Place, name: str, *, fresh: bool) -> Context:
        limit = self._settings.history_messages
        entries = [] if fresh else await self._store.recent(place, limit)
        history = [entry.message for entry in window(entries, self._settings.history_tokens)]
        return self._runs.context(name, place.owner, uuid.uuid4().hex, history)

    @asynccontextmanager
    async def _in_time(self, name: str) -> AsyncIterator[None]:
        limit = self._policies[name].timeout
        deadline = asyncio.timeout(limit)
        try:
            async with deadline, self._free[name]:
                yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Problem(
                504, f"The agent {name!r} did not answer in {limit:g} s; ask for longer work as a task."
            ) from None

    async def _ended(
        self, place: Place, name: str, message: str, output: JsonValue, tally: Tally
    ) -> ChatReply:
        # A vendor may answer with what Postgres cannot keep.
        text = storable.text(_text(output))
        await self._store.append(place, [Message("user", message), Message("assistant", text)])
        usage = Usage(
            input_tokens=tally.input_tokens, output_tokens=tally.output_tokens, cost_micros=tally.cost_micros
        )
        return ChatReply(
            session_id=place.session,
            agent=name,
            reply=text,
            output=None if isinstance(output, str) else output,
            model=tally.model,
            usage=usage,
        )


def router(chat: Chat) -> APIRouter:
    """POST /v1/chat."""
    routes = APIRouter(prefix="/v1", tags=["chat"], responses=may(400, 413, 415, 502, 504))

    @routes.post("/chat", response_model=ChatReply, operation_id="chat", responses={200: _described_events()})
    async def say(
        request: ChatRequest, owner: Owner, accept: Annotated[str | None, Header()] = None
    ) -> Response:
        if request.stream or (accept is not None and _EVENTS in accept):
            chat.check(request)
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingResponse(_told(chat, owner, request), media_type=_EVENTS, headers=headers)
        reply = await chat.say(owner, request)
        return Response(reply.model_dump_json(), media_type="application/json")

    return routes


def _described_events() -> dict[str, Any]:
    kinds = {"delta": "Delta", "done": "ChatReply", "error": "ProblemDocument"}
    # OpenAPI 3.1 has no word for a stream of events: as in 3.2's `itemSchema`, this is of each of them.
    events = [
        {
            "type": "object",
            "properties": {
                "event": {"const": name},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": f"#/components/schemas/{kind}"},
                },
            },
            "required": ["event", "data"],
        }
        for name, kind in kinds.items()
    ]
    described = "Each event: `delta`, a piece of the answer; at last `done`, the whole of it, or `error`"
    examples = {
        name: {"value": {"event": name, "data": to_json(data).decode()}}
        for name, data in (("delta", {"text": "A heron is "}), ("done", _REPLY))
    }
    return {
        "description": "The answer, whole; or as it is being said",
        "content": {_EVENTS: {"schema": {"description": described, "oneOf": events}, "examples": examples}},
    }


async def _told(chat: Chat, owner: str, request: ChatRequest) -> AsyncIterator[bytes]:
    try:
        async for item in chat.tell(owner, request):
            if isinstance(item, str):
                yield _event("delta", {"text": item})
            else:
                yield _event("done", item.model_dump(mode="json"))
    except Exception as error:  # noqa: BLE001 (the answer has begun: the error is its last event)
        problem = translated(error)
        if problem.status == 500:
            logs.failure(log, "a stream failed", error)
        if problem.status >= 500:
            failed(get_current_span(), str(problem.status))
        yield _event("error", document(problem))


def _event(name: str, data: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), to_json(data))


def _text(output: JsonValue) -> str:
    return output if isinstance(output, str) else to_json(output).decode()
