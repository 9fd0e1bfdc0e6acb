"""What was said: sessions listed, read and forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict

from agent_app.http.chat import SessionId
from agent_app.http.owner import Owner
from agent_app.problems import Problem, may
from agent_app.state.history import Place, Store


class SaidMessage(BaseModel):
    """One message of a session."""

    role: str
    content: str
    turn: int
    at: datetime


class Session(BaseModel):
    """The newest messages of a session, the oldest of them first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session_id": "trip-to-rome",
                    "messages": [
                        {"role": "user", "content": "Hello", "turn": 1, "at": "2026-11-24T06:00:00Z"},
                        {"role": "assistant", "content": "Hi.", "turn": 1, "at": "2026-11-24T06:00:01Z"},
                    ],
                }
            ]
        }
    )
    session_id: str
    messages: list[SaidMessage]


class SessionInList(BaseModel):
    """A session without its messages; its title is how the first one begins."""

    session_id: str
    title: str
    turns: int
    created_at: datetime
    updated_at: datetime


class Sessions(BaseModel):
    """Who asks' own sessions, the one used last first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sessions": [
                        {
                            "session_id": "trip-to-rome",
                            "title": "Hello",
                            "turns": 1,
                            "created_at": "2026-11-24T06:00:00Z",
                            "updated_at": "2026-11-24T06:00:01Z",
                        }
                    ]
                }
            ]
        }
    )
    sessions: list[SessionInList]


def router(store: Store) -> APIRouter:
    """GET /v1/sessions, GET and DELETE /v1/sessions/{id}."""
    routes = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=may())

    @routes.get("", operation_id="listSessions")
    async def sessions(owner: Owner, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Sessions:
        return Sessions(
            sessions=[
                SessionInList(
                    session_id=item.session,
                    title=item.title,
                    turns=item.turns,
                    created_at=item.created_at,
                    updated_at=item.updated_at,
                )
                for item in await store.sessions(owner, limit)
            ]
        )

    @routes.get("/{session_id}", operation_id="getSession", responses=may(404))
    async def session(
        session_id: Annotated[SessionId, Path()],
        owner: Owner,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> Session:
        entries = await store.recent(Place(owner, session_id), limit)
        if not entries:
            raise _missing(session_id)
        said = [
            SaidMessage(role=item.message.role, content=item.message.content, turn=item.turn, at=item.at)
            for item in entries
        ]
        return Session(session_id=session_id, messages=said)

    @routes.delete("/{session_id}", status_code=204, operation_id="deleteSession", responses=may(404))
    async def delete(session_id: Annotated[SessionId, Path()], owner: Owner) -> None:
        if not await store.delete(Place(owner, session_id)):
            raise _missing(session_id)

    return routes


def _missing(session: str) -> Problem:
    return Problem(404, f"There is no session {session!r}; POST /v1/chat without session_id begins one.")
