"""The fleets of a local environment: each Deployment as its number of processes, behind one address."""

from agent_infra.local.fleets.control import apply, start, status, stop
from agent_infra.local.fleets.status import (
    FleetsStatus,
    FleetState,
    FleetStatus,
    ReplicaStatus,
    ServiceAddress,
)

__all__ = [
    "FleetState",
    "FleetStatus",
    "FleetsStatus",
    "ReplicaStatus",
    "ServiceAddress",
    "apply",
    "start",
    "status",
    "stop",
]
