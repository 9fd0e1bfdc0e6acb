"""What was said: sessions listed, read and forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from agent_app.http.chat import SessionId
from agent_app.http.owner import Owner
from agent_app.problems import PROBLEMS, Problem
from agent_app.state.history import Place, Store


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


class SessionInList(BaseModel):
    """A session without its messages; its title is how the first one begins."""

    session_id: str
    title: str
    turns: int
    created_at: datetime
    updated_at: datetime


class Sessions(BaseModel):
    """Who asks' own sessions, the one used last first."""

    sessions: list[SessionInList]


def router(store: Store) -> APIRouter:
    """GET /v1/sessions, GET and DELETE /v1/sessions/{id}."""
    routes = APIRouter(prefix="/v1/sessions", tags=["sessions"], responses=PROBLEMS)

    @routes.get("")
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

    @routes.get("/{session_id}")
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

    @routes.delete("/{session_id}", status_code=204)
    async def delete(session_id: Annotated[SessionId, Path()], owner: Owner) -> None:
        if not await store.delete(Place(owner, session_id)):
            raise _missing(session_id)

    return routes


def _missing(session: str) -> Problem:
    return Problem(404, f"There is no session {session!r}; POST /v1/chat without session_id begins one.")
