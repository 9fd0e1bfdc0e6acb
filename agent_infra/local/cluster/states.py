"""How a cluster is, as its supervisor writes it down for everybody else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from agent_infra.local.environment import write_private


class PartState(StrEnum):
    """How a part is."""

    WAITING = "waiting"
    """For what it needs."""
    STARTING = "starting"
    RUNNING = "running"
    CRASHED = "crashed"
    """It is started again in a moment."""
    FAILING = "failing"
    """It crashed again and again; it is still tried, at long intervals."""
    STOPPED = "stopped"


@dataclass(frozen=True)
class PartStatus:
    """One part."""

    name: str
    state: PartState = PartState.STOPPED
    pid: int = 0
    created: float = 0.0
    port: int = 0
    restarts: int = 0
    memory_bytes: int = 0
    """What it holds that is its alone; only where somebody has just asked."""
    log: str = ""
    detail: str = ""
    """Its last words, where it does not run."""


@dataclass(frozen=True)
class ClusterStatus:
    """A whole control plane."""

    pid: int = 0
    """The supervisor's."""
    created: float = 0.0
    ready: bool = False
    """Whether every part runs and the cluster's own objects are in place."""
    seconds: float = 0.0
    """How long that took at the last start."""
    server: str = ""
    detail: str = ""
    """What keeps the cluster's own objects from being in place."""
    ports: dict[str, int] = field(default_factory=dict)
    parts: list[PartStatus] = field(default_factory=list)

    def part(self, name: str) -> PartStatus:
        """A part by its name."""
        return next((part for part in self.parts if part.name == name), PartStatus(name))

    @property
    def failing(self) -> list[PartStatus]:
        return [part for part in self.parts if part.state is PartState.FAILING]


def write(file: Path, status: ClusterStatus) -> None:
    write_private(file, json.dumps(asdict(status), indent=1))


def read(file: Path) -> ClusterStatus:
    """What was written last; nothing where there is nothing to read, or it is damaged."""
    try:
        content = json.loads(file.read_text())
        parts = [PartStatus(**{**part, "state": PartState(part["state"])}) for part in content["parts"]]
        ports = {str(name): int(port) for name, port in content["ports"].items()}
        found = ClusterStatus(**{**content, "parts": parts, "ports": ports})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ClusterStatus()
    valid = isinstance(found.pid, int) and isinstance(found.created, int | float)
    return found if valid else ClusterStatus()
