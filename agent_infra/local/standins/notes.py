"""What a stand-in accepts without simulating it, as `agent-infra status` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NotSimulated:
    """A resource type, or one property of it, that is recorded and has no effect locally."""

    type: str
    property: str | None
    reason: str
