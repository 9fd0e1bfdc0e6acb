"""Dead letters as they may be shown: what they are and not what is in them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from agent_infra.automation import redrives

#: For how long a dead letter is hidden from others while it is looked at.
_PEEK_SECONDS = 30
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class DeadLetter:
    """One dead letter without its content, which may be anybody's."""

    id: str
    sent_at: datetime | None
    received: int
    """How often it was handed out, its tries and those who looked at it since."""
    bytes: int
    task_id: str | None
    """The task's, where the message is one of the fleet's own."""
    request_id: str | None
    group: str | None
    """The message's group in a FIFO queue."""

    def as_json(self) -> dict[str, Any]:
        return {"kind": "dead-letter", **asdict(self)}


def peek(sqs: Any, url: str, *, limit: int) -> list[DeadLetter]:
    """Up to `limit` dead letters, which can be received again at once."""
    found: dict[str, dict[str, Any]] = {}
    try:
        while len(found) < limit:
            messages = redrives.receive(sqs, url, count=limit - len(found), hidden_seconds=_PEEK_SECONDS)
            if not messages:
                break
            found.update({message["MessageId"]: message for message in messages})
    finally:
        redrives.release(sqs, url, list(found.values()))
    return [_dead_letter(message) for message in found.values()]


def _dead_letter(message: Mapping[str, Any]) -> DeadLetter:
    attributes, body = message.get("Attributes") or {}, str(message.get("Body", ""))
    sent = attributes.get("SentTimestamp")
    task_id, request_id = _identifiers(body)
    return DeadLetter(
        id=str(message["MessageId"]),
        sent_at=datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
        received=int(attributes.get("ApproximateReceiveCount", 0)),
        bytes=len(body.encode()),
        task_id=task_id,
        request_id=request_id,
        group=attributes.get("MessageGroupId"),
    )


def _identifiers(body: str) -> tuple[str | None, str | None]:
    """Of a message's content only what can be nothing but an identifier is told."""
    try:
        content = json.loads(body)
        task_id = str(uuid.UUID(content["task_id"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, None
    request_id = content.get("request_id")
    known = isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id)
    return task_id, request_id if known else None
