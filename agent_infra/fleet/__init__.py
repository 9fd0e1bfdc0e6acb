"""`AgentFleet`: replicas of one agent service, and what they need to run."""

from agent_infra.fleet.args import AgentFleetArgs, Oidc, SyncedSecret
from agent_infra.fleet.ceiling import UsualTask
from agent_infra.fleet.connections import (
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
)
from agent_infra.fleet.contract_args import ContractOverrides
from agent_infra.fleet.deletion_cost_access import DeletionCostAccess, DeletionCostAccessArgs
from agent_infra.fleet.exposure_args import FleetGateway, FleetIngress, FleetService
from agent_infra.fleet.fleet import AgentFleet
from agent_infra.fleet.image_args import ImageBuild
from agent_infra.fleet.llm_args import LlmAccess, ModelLimits, ModelPrice
from agent_infra.fleet.network_args import EgressRule, NetworkRules
from agent_infra.fleet.options import SecretKey, Worker
from agent_infra.fleet.placement_args import Placement, Toleration
from agent_infra.fleet.probes import Probes
from agent_infra.fleet.resources import Resources
from agent_infra.fleet.role import FleetRole, FleetRoleArgs
from agent_infra.fleet.rollout_args import Analysis, CanaryStep, Evaluation, EvaluationCase, Rollout
from agent_infra.fleet.scaling_args import PrometheusQuery, Replicas, Schedule, Speed

__all__ = [
    "AgentFleet",
    "AgentFleetArgs",
    "Analysis",
    "BucketConnection",
    "CacheConnection",
    "CanaryStep",
    "ContractOverrides",
    "DatabaseConnection",
    "DeletionCostAccess",
    "DeletionCostAccessArgs",
    "EgressRule",
    "Evaluation",
    "EvaluationCase",
    "FleetGateway",
    "FleetIngress",
    "FleetRole",
    "FleetRoleArgs",
    "FleetService",
    "ImageBuild",
    "LlmAccess",
    "ModelLimits",
    "ModelPrice",
    "NetworkRules",
    "Oidc",
    "Placement",
    "Probes",
    "PrometheusQuery",
    "QueueConnection",
    "Replicas",
    "Resources",
    "Rollout",
    "Schedule",
    "SecretKey",
    "Speed",
    "SyncedSecret",
    "Toleration",
    "UsualTask",
    "Worker",
]
