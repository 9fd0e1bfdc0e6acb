"""What the supervisor runs, as it writes it down for everybody else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from agent_infra.local.environment import LocalEnvironment, write_private


class FleetState(StrEnum):
    """How a Deployment's processes are."""

    RUNNING = "running"
    PROGRESSING = "progressing"
    DEGRADED = "degraded"
    CANNOT_RUN = "cannot-run"


@dataclass(frozen=True)
class ReplicaStatus:
    """One process that stands for a pod."""

    name: str
    pid: int
    created: float
    port: int
    ready: bool
    restarts: int
    log: str


@dataclass(frozen=True)
class FleetStatus:
    """One Deployment."""

    desired: int
    ready: int
    updated: int
    revision: str
    state: FleetState
    message: str = ""
    replicas: list[ReplicaStatus] = field(default_factory=list)


@dataclass(frozen=True)
class ServiceAddress:
    """Where a Service answers on this machine."""

    address: str
    port: int


@dataclass(frozen=True)
class FleetsStatus:
    """All fleets of an environment."""

    pid: int = 0
    created: float = 0.0
    kubeconfig: str = ""
    """Of the API server whose objects are followed; '' where they are files."""
    digest: str = ""
    """Of the objects that `fleets` and `services` follow."""
    fleets: dict[str, FleetStatus] = field(default_factory=dict)
    services: dict[str, ServiceAddress] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way any more."""
        return all(fleet.state is not FleetState.PROGRESSING for fleet in self.fleets.values())


def write_status(environment: LocalEnvironment, status: FleetsStatus) -> None:
    write_private(environment.fleets_file, json.dumps(asdict(status), indent=1))


def read_status(file: Path) -> FleetsStatus:
    """What was written last; nothing where there is nothing to read."""
    try:
        content = json.loads(file.read_text())
        return FleetsStatus(
            pid=content["pid"],
            created=content["created"],
            kubeconfig=content.get("kubeconfig", ""),
            digest=content["digest"],
            fleets={
                name: FleetStatus(
                    **{
                        **fleet,
                        "state": FleetState(fleet["state"]),
                        "replicas": [ReplicaStatus(**replica) for replica in fleet["replicas"]],
                    }
                )
                for name, fleet in content["fleets"].items()
            },
            services={name: ServiceAddress(**service) for name, service in content["services"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return FleetsStatus()


def read_scales(file: Path) -> dict[str, int]:
    """How many replicas were asked for in place of what the manifests say, by Deployment."""
    try:
        return {str(name): int(replicas) for name, replicas in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
