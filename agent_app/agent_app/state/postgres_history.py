"""Sessions in Postgres, for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from agent_app.agents.context import Message
from agent_app.state.database import connected
from agent_app.state.history import TITLE, Entry, Known, Place
from agent_app.state.tables import messages, sessions

# As text: these two are on the way of every turn, and to build them anew costs as much as to send them.
_TURNS = text("select turns from sessions where fleet = :fleet and owner = :owner and id = :session")
# One statement, so one round trip; the session's row is locked by it, which puts turns that are said at once
# one after the other.
_APPEND = text(
    """
    with turn as (
        insert into sessions (fleet, owner, id, turns) values (:fleet, :owner, :session, 1)
        on conflict (fleet, owner, id) do update set turns = sessions.turns + 1, updated_at = now()
        returning turns
    )
    insert into messages (fleet, owner, session_id, turn, role, content)
    select :fleet, :owner, :session, turn.turns, said.role, said.content
    from turn, unnest(cast(:roles as text[]), cast(:contents as text[])) with ordinality
        as said (role, content, place)
    order by said.place
    returning turn, created_at
    """
)


class PostgresStore:
    """Every change is one statement, so that a crash leaves the old state or the new one.

    `engine` commits each statement, as `open_engine`'s does.
    """

    def __init__(self, engine: AsyncEngine, fleet: str) -> None:
        self._engine = engine
        self._fleet = fleet

    async def turns(self, place: Place) -> int:
        """How many turns the session has; 0 for an unknown one."""
        values = {"fleet": self._fleet, "owner": place.owner, "session": place.session}
        async with connected(self._engine) as connection:
            turns = await connection.scalar(_TURNS, values)
        return turns or 0

    async def recent(self, place: Place, limit: int) -> list[Entry]:
        ours = (
            messages.c.fleet == self._fleet,
            messages.c.owner == place.owner,
            messages.c.session_id == place.session,
        )
        newest = select(messages).where(*ours).order_by(messages.c.id.desc()).limit(limit)
        async with connected(self._engine) as connection:
            rows = (await connection.execute(newest)).all()
        return [Entry(Message(row.role, row.content), row.turn, row.created_at) for row in reversed(rows)]

    async def append(self, place: Place, said: Sequence[Message]) -> None:
        await self.appended(place, said)

    async def appended(self, place: Place, said: Sequence[Message]) -> list[Entry]:
        """Adds one turn; the entries as they are kept."""
        values: dict[str, Any] = {
            "fleet": self._fleet,
            "owner": place.owner,
            "session": place.session,
            "roles": [item.role for item in said],
            "contents": [item.content for item in said],
        }
        async with connected(self._engine) as connection:
            rows = (await connection.execute(_APPEND, values)).all()
        return [Entry(item, row.turn, row.created_at) for item, row in zip(said, rows, strict=True)]

    async def sessions(self, owner: str, limit: int) -> Sequence[Known]:
        first = (
            select(func.left(messages.c.content, TITLE))
            .where(
                messages.c.fleet == sessions.c.fleet,
                messages.c.owner == sessions.c.owner,
                messages.c.session_id == sessions.c.id,
            )
            .order_by(messages.c.id)
            .limit(1)
            .scalar_subquery()
        )
        ours = select(sessions, first.label("title")).where(
            sessions.c.fleet == self._fleet, sessions.c.owner == owner
        )
        async with connected(self._engine) as connection:
            rows = await connection.execute(ours.order_by(sessions.c.updated_at.desc()).limit(limit))
            return [Known(row.id, row.turns, row.created_at, row.updated_at, row.title or "") for row in rows]

    async def delete(self, place: Place) -> bool:
        gone = delete(sessions).where(*self._is(place)).returning(sessions.c.id)
        async with connected(self._engine) as connection:
            return bool((await connection.execute(gone)).all())

    def _is(self, place: Place) -> tuple[ColumnElement[bool], ...]:
        return (
            sessions.c.fleet == self._fleet,
            sessions.c.owner == place.owner,
            sessions.c.id == place.session,
        )
