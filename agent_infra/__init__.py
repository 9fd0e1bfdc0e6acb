"""Pulumi components that take AI agents from a laptop to production on AWS and Kubernetes.

The names below are imported when they are first used, so that `import agent_infra` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_infra.aws.alarms import Alarms
    from agent_infra.aws.artifact_store import ArtifactStore, ArtifactStoreArgs
    from agent_infra.aws.cache import RedisCache
    from agent_infra.aws.cache_args import RedisCacheArgs, ServerlessCache
    from agent_infra.aws.cluster import EksCluster, EksClusterArgs
    from agent_infra.aws.database import Database
    from agent_infra.aws.database_args import DatabaseArgs
    from agent_infra.aws.keda import Keda
    from agent_infra.aws.keda_access import KedaAccess, Prometheus
    from agent_infra.aws.network import ExistingNetwork, Network, NetworkArgs
    from agent_infra.aws.queue import WorkQueue, WorkQueueArgs
    from agent_infra.aws.queue_senders import QueueSender
    from agent_infra.aws.registry import Registry, RegistryArgs
    from agent_infra.aws.rotation import Rotation
    from agent_infra.aws.secrets import Secrets, SecretsArgs
    from agent_infra.component import ArgsError
    from agent_infra.contract import ContractError, TaskContract, task_contract
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
    from agent_infra.fleet.secret_sync import SecretSource, SecretSync, SecretSyncArgs
    from agent_infra.platform import AgentPlatform, AgentPlatformArgs, secret_variables
    from agent_infra.settings import Settings, SettingsError

__all__ = [
    "AgentFleet",
    "AgentFleetArgs",
    "AgentPlatform",
    "AgentPlatformArgs",
    "Alarms",
    "Analysis",
    "ArgsError",
    "ArtifactStore",
    "ArtifactStoreArgs",
    "BucketConnection",
    "CacheConnection",
    "CanaryStep",
    "ContractError",
    "ContractOverrides",
    "Database",
    "DatabaseArgs",
    "DatabaseConnection",
    "DeletionCostAccess",
    "DeletionCostAccessArgs",
    "EgressRule",
    "EksCluster",
    "EksClusterArgs",
    "Evaluation",
    "EvaluationCase",
    "ExistingNetwork",
    "FleetGateway",
    "FleetIngress",
    "FleetRole",
    "FleetRoleArgs",
    "FleetService",
    "ImageBuild",
    "Keda",
    "KedaAccess",
    "LlmAccess",
    "ModelLimits",
    "ModelPrice",
    "Network",
    "NetworkArgs",
    "NetworkRules",
    "Oidc",
    "Placement",
    "Probes",
    "Prometheus",
    "PrometheusQuery",
    "QueueConnection",
    "QueueSender",
    "RedisCache",
    "RedisCacheArgs",
    "Registry",
    "RegistryArgs",
    "Replicas",
    "Resources",
    "Rollout",
    "Rotation",
    "Schedule",
    "SecretKey",
    "SecretSource",
    "SecretSync",
    "SecretSyncArgs",
    "Secrets",
    "SecretsArgs",
    "ServerlessCache",
    "Settings",
    "SettingsError",
    "Speed",
    "SyncedSecret",
    "TaskContract",
    "Toleration",
    "UsualTask",
    "WorkQueue",
    "WorkQueueArgs",
    "Worker",
    "secret_variables",
    "task_contract",
]

_MODULES = {
    "agent_infra.aws.alarms": ("Alarms",),
    "agent_infra.aws.cache": ("RedisCache",),
    "agent_infra.aws.cache_args": ("RedisCacheArgs", "ServerlessCache"),
    "agent_infra.aws.cluster": ("EksCluster", "EksClusterArgs"),
    "agent_infra.aws.database": ("Database",),
    "agent_infra.aws.database_args": ("DatabaseArgs",),
    "agent_infra.aws.network": (
        "ExistingNetwork",
        "Network",
        "NetworkArgs",
    ),
    "agent_infra.aws.queue": ("WorkQueue", "WorkQueueArgs"),
    "agent_infra.aws.queue_senders": ("QueueSender",),
    "agent_infra.aws.registry": ("Registry", "RegistryArgs"),
    "agent_infra.aws.rotation": ("Rotation",),
    "agent_infra.aws.secrets": ("Secrets", "SecretsArgs"),
    "agent_infra.aws.artifact_store": ("ArtifactStore", "ArtifactStoreArgs"),
    "agent_infra.component": ("ArgsError",),
    "agent_infra.contract": ("ContractError", "TaskContract", "task_contract"),
    "agent_infra.fleet.args": ("AgentFleetArgs", "Oidc", "SyncedSecret"),
    "agent_infra.fleet.connections": (
        "BucketConnection",
        "CacheConnection",
        "DatabaseConnection",
        "QueueConnection",
    ),
    "agent_infra.fleet.llm_args": ("LlmAccess", "ModelLimits", "ModelPrice"),
    "agent_infra.fleet.exposure_args": ("FleetGateway", "FleetIngress", "FleetService"),
    "agent_infra.fleet.network_args": ("EgressRule", "NetworkRules"),
    "agent_infra.fleet.options": ("SecretKey", "Worker"),
    "agent_infra.fleet.placement_args": ("Placement", "Toleration"),
    "agent_infra.fleet.probes": ("Probes",),
    "agent_infra.fleet.resources": ("Resources",),
    "agent_infra.fleet.rollout_args": ("Analysis", "CanaryStep", "Evaluation", "EvaluationCase", "Rollout"),
    "agent_infra.aws.keda": ("Keda",),
    "agent_infra.aws.keda_access": ("KedaAccess", "Prometheus"),
    "agent_infra.fleet.ceiling": ("UsualTask",),
    "agent_infra.fleet.scaling_args": ("PrometheusQuery", "Replicas", "Schedule", "Speed"),
    "agent_infra.fleet.secret_sync": ("SecretSource", "SecretSync", "SecretSyncArgs"),
    "agent_infra.fleet.contract_args": ("ContractOverrides",),
    "agent_infra.fleet.deletion_cost_access": ("DeletionCostAccess", "DeletionCostAccessArgs"),
    "agent_infra.fleet.fleet": ("AgentFleet",),
    "agent_infra.fleet.image_args": ("ImageBuild",),
    "agent_infra.fleet.role": ("FleetRole", "FleetRoleArgs"),
    "agent_infra.platform": ("AgentPlatform", "AgentPlatformArgs", "secret_variables"),
    "agent_infra.settings": ("Settings", "SettingsError"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
