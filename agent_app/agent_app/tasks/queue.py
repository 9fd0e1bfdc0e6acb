"""What a queue between the API and its workers does: SQS (sqs.py), or this process's memory (memory.py)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

#: When the queue does not tell its own visibility timeout; SQS's own default.
DEFAULT_VISIBILITY_SECONDS = 30


@dataclass(frozen=True)
class Note:
    """What travels through the queue: which task to run; the work itself is in the task store."""

    task_id: uuid.UUID
    request_id: str | None = None
    #: The trace that the request belonged to, as W3C headers (`traceparent`).
    trace: Mapping[str, str] = field(default_factory=dict)

    def dump(self) -> str:
        """As JSON."""
        body = {"task_id": str(self.task_id), "request_id": self.request_id, "trace": dict(self.trace)}
        return json.dumps(body)

    @classmethod
    def load(cls, text: str) -> Note | None:
        """The note, or None for what is not one of ours."""
        try:
            body = json.loads(text)
            trace = body.get("trace") or {}
            kept = {str(key): str(value) for key, value in trace.items()}
            request_id = body.get("request_id")
            return cls(uuid.UUID(body["task_id"]), request_id if isinstance(request_id, str) else None, kept)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


@dataclass(frozen=True)
class Delivery:
    """One receipt of a message; `note` is None when the body is not one of ours."""

    note: Note | None
    receipt: str
    received: int
    body: str = ""
    #: When the message was sent, and for how many seconds it has been in the queue, by the queue's own clock.
    sent: datetime | None = None
    age: float | None = None


class Queue(Protocol):
    """Delivers each task at least once, and again if it is not deleted within the visibility timeout."""

    #: What it is, and its own name, as OpenTelemetry's conventions for messaging say it.
    system: str
    name: str

    async def send(self, note: Note) -> None:
        """Puts a task into the queue."""

    async def receive(self, limit: int, wait: int, visibility: int) -> list[Delivery]:
        """Up to `limit` deliveries, each hidden for `visibility` s; waits up to `wait` s for the first."""

    async def delete(self, delivery: Delivery) -> None:
        """The work is done: it is not delivered again."""

    async def hide(self, delivery: Delivery, seconds: int) -> None:
        """It is delivered again after `seconds`, at once for 0, unless it is deleted or hidden longer."""

    async def postpone(self, delivery: Delivery, seconds: int) -> None:
        """It is delivered again after about `seconds`, as if it were for the first time."""

    async def bury(self, delivery: Delivery, reason: str) -> None:
        """It is not delivered again, but kept with its reason where a person can look at it."""

    async def check(self) -> None:
        """Raises if the queue cannot be reached."""

    async def visibility(self) -> int:
        """For how many seconds a received message stays hidden."""
