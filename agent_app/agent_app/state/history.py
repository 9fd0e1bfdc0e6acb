"""What was said in each session, and how much of it a model is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from agent_app.agents.context import Message
from agent_app.llm import tokens


@dataclass(frozen=True)
class Entry:
    """A message with its place in the session."""

    message: Message
    turn: int
    at: datetime


@dataclass(frozen=True)
class Place:
    """Whose session, and which."""

    owner: str
    session: str


@dataclass(frozen=True)
class Known:
    """A session without what was said in it."""

    session: str
    turns: int
    created_at: datetime
    updated_at: datetime
    #: How the first message that is kept begins.
    title: str = ""


#: Characters of a session's title.
TITLE = 80


class Store(Protocol):
    """Keeps sessions."""

    async def recent(self, place: Place, limit: int) -> list[Entry]:
        """The latest `limit` messages, the oldest first; none for an unknown session."""

    async def append(self, place: Place, said: Sequence[Message]) -> None:
        """Adds one turn, whole or not at all."""

    async def sessions(self, owner: str, limit: int) -> Sequence[Known]:
        """The owner's sessions, the one used last first."""

    async def delete(self, place: Place) -> bool:
        """Forgets a session for good; whether there was one."""


def window(entries: Sequence[Entry], budget: int) -> list[Entry]:
    """The newest whole turns whose texts take no more than `budget` tokens, as estimated."""
    first = len(entries)
    for place in reversed(range(len(entries))):
        budget -= tokens.estimate(entries[place].message.content)
        if budget < 0:
            break
        if place == 0 or entries[place - 1].turn != entries[place].turn:
            first = place
    return list(entries[first:])


def known(session: str, entries: Sequence[Entry]) -> Known:
    """The session that has these entries, of which there is one at least."""
    first, last = entries[0], entries[-1]
    return Known(session, last.turn, first.at, last.at, first.message.content[:TITLE])


class MemoryStore:
    """Sessions in this process alone."""

    def __init__(self, keep: int = 1000) -> None:
        self._keep = keep
        self._sessions: dict[Place, list[Entry]] = {}

    async def recent(self, place: Place, limit: int) -> list[Entry]:
        return self._sessions.get(place, [])[-limit:]

    async def append(self, place: Place, said: Sequence[Message]) -> None:
        # The least recently used sessions go first, so that memory stays bounded.
        entries = self._sessions.pop(place, [])
        turn = entries[-1].turn + 1 if entries else 1
        entries += [Entry(message, turn, datetime.now(UTC)) for message in said]
        self._sessions[place] = entries[-self._keep :]
        while len(self._sessions) > self._keep:
            del self._sessions[next(iter(self._sessions))]

    async def sessions(self, owner: str, limit: int) -> Sequence[Known]:
        ours = [(place, said) for place, said in reversed(self._sessions.items()) if place.owner == owner]
        return [known(place.session, said) for place, said in ours[:limit]]

    async def delete(self, place: Place) -> bool:
        return self._sessions.pop(place, None) is not None
