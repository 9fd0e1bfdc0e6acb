"""The data services of a local environment: moto's server, a real Redis and a real Postgres."""

from agent_infra.local.services.service import NAMES
from agent_infra.local.services.services import (
    ServiceState,
    ServiceStatus,
    generation,
    start,
    status,
    stop,
)

__all__ = ["NAMES", "ServiceState", "ServiceStatus", "generation", "start", "status", "stop"]
