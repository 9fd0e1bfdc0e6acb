"""`AgentFleet`: replicas of one agent service, and what they need to run."""

from agent_infra.fleet.args import (
    AgentFleetArgs,
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
    Replicas,
    Resources,
    SecretKey,
    SyncedSecret,
    Worker,
)
from agent_infra.fleet.fleet import AgentFleet
from agent_infra.fleet.image import ImageBuild

__all__ = [
    "AgentFleet",
    "AgentFleetArgs",
    "BucketConnection",
    "CacheConnection",
    "DatabaseConnection",
    "ImageBuild",
    "QueueConnection",
    "Replicas",
    "Resources",
    "SecretKey",
    "SyncedSecret",
    "Worker",
]
