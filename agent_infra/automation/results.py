"""What the calls of `agent_infra.automation` return."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

#: Operations that leave a resource as it is.
_UNCHANGED = frozenset({"same", "read", "refresh"})


@dataclass(frozen=True)
class UpdateResult:
    """The end of an `up`, `preview`, `refresh` or `destroy`."""

    environment: str
    action: str
    changes: dict[str, int]
    """Resources by operation, such as `{"create": 3, "same": 70}`."""
    seconds: float
    outputs: dict[str, Any] = field(default_factory=dict)
    """The stack's outputs; a secret one reads `[secret]`."""
    endpoints: dict[str, str] = field(default_factory=dict)
    """The address of each fleet that runs on this machine."""
    reconciled: bool = False
    """Whether the local cloud had forgotten what the state knew, and was filled again."""

    @property
    def changed(self) -> int:
        """How many resources were (or would be) changed."""
        return sum(count for op, count in self.changes.items() if op not in _UNCHANGED)

    def as_json(self) -> dict[str, Any]:
        return {"kind": "result", **asdict(self), "changed": self.changed}
