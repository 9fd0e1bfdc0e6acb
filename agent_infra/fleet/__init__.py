"""`AgentFleet`: replicas of one agent service, and what they need to run."""

from agent_infra.fleet.args import (
    AgentFleetArgs,
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    Oidc,
    QueueConnection,
    Replicas,
    Resources,
    SecretKey,
    SyncedSecret,
    Worker,
)
from agent_infra.fleet.fleet import AgentFleet
from agent_infra.fleet.image import ImageBuild
from agent_infra.fleet.role import FleetRole, FleetRoleArgs

__all__ = [
    "AgentFleet",
    "AgentFleetArgs",
    "BucketConnection",
    "CacheConnection",
    "DatabaseConnection",
    "FleetRole",
    "FleetRoleArgs",
    "ImageBuild",
    "Oidc",
    "QueueConnection",
    "Replicas",
    "Resources",
    "SecretKey",
    "SyncedSecret",
    "Worker",
]
