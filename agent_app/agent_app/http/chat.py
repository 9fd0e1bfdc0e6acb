"""A turn of a conversation, and what was said in one."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from agent_app.llm.model import Message, Model
from agent_app.problems import Problem
from agent_app.state.history import Store

SessionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ChatRequest(BaseModel):
    """What the user says; without a session a new one begins."""

    model_config = ConfigDict(extra="forbid")
    session_id: SessionId | None = None
    message: Annotated[str, Field(min_length=1, max_length=100_000)]


class Usage(BaseModel):
    """The tokens one answer took."""

    input_tokens: int
    output_tokens: int


class ChatReply(BaseModel):
    """The answer, and by which model."""

    session_id: str
    reply: str
    model: str
    usage: Usage


class SaidMessage(BaseModel):
    """One message of a session."""

    role: str
    content: str
    turn: int
    at: datetime


class Session(BaseModel):
    """The newest messages of a session, the oldest of them first."""

    session_id: str
    messages: list[SaidMessage]


class Chat:
    """Answers with the session's latest messages in view."""

    def __init__(self, store: Store, model: Model, history_messages: int) -> None:
        self._store = store
        self._model = model
        self._limit = history_messages

    async def say(self, session: str | None, message: str) -> ChatReply:
        """One turn. It is kept only when the model has answered, so that a failed one can be said again."""
        session = session or uuid.uuid4().hex
        _storable(message)
        entries = await self._store.recent(session, self._limit)
        reply = await self._model.reply([entry.message for entry in entries], message)
        # A vendor may answer with what Postgres cannot keep.
        text = reply.text.replace("\x00", "")
        await self._store.append(session, [Message("user", message), Message("assistant", text)])
        usage = Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
        return ChatReply(session_id=session, reply=text, model=reply.model, usage=usage)

    async def session(self, session: str, limit: int) -> Session:
        """What was said.

        Raises:
            Problem: 404, there is no such session.
        """
        entries = await self._store.recent(session, limit)
        if not entries:
            raise Problem(
                404, f"There is no session {session!r}; POST /v1/chat without session_id begins one."
            )
        said = [
            SaidMessage(role=item.message.role, content=item.message.content, turn=item.turn, at=item.at)
            for item in entries
        ]
        return Session(session_id=session, messages=said)


def router(chat: Chat) -> APIRouter:
    """POST /v1/chat and GET /v1/sessions/{id}."""
    routes = APIRouter(prefix="/v1")

    @routes.post("/chat")
    async def say(request: ChatRequest) -> ChatReply:
        return await chat.say(request.session_id, request.message)

    @routes.get("/sessions/{session_id}")
    async def session(
        session_id: Annotated[SessionId, Path()], limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> Session:
        return await chat.session(session_id, limit)

    return routes


def _storable(message: str) -> None:
    # JSON can carry both, Postgres' text neither.
    if "\x00" in message or any("\ud800" <= letter <= "\udfff" for letter in message):
        raise Problem(422, "body #/message: it must be Unicode text without NUL and lone surrogates.")
