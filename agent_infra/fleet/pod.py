"""The pods of a fleet: one template for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_infra.fleet import followed_secrets
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.fleet_contract import CONTAINER, own_pre_stop
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.options import SecretKey
from agent_infra.fleet.placement import placed
from agent_infra.fleet.probes import probes

#: The user that the pods run as; any but root would do.
USER_ID = 10001


def spec(args: AgentFleetArgs, names: Names, kind: ComponentKind, *, image: Any) -> dict[str, Any]:
    """The spec of one kind's pods, without the settings."""
    resources = args.resources if kind == "api" else args.worker.resources
    contract = args.numbers()
    sources = followed_secrets.environment_sources(args.synced_secrets)
    environment: dict[str, Any] = {
        **({"envFrom": sources} if sources else {}),
        **_secret_environment(args.secret_environment),
    }
    common = {
        "image": image,
        **environment,
        "resources": {
            "requests": {"cpu": resources.cpu, "memory": resources.memory},
            "limits": {"cpu": resources.cpu_limit, "memory": resources.memory_limit},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of the pod's own
    }
    command = args.command if kind == "api" else args.worker_command
    container = {
        "name": CONTAINER,
        **common,
        "command": list(command),
        "ports": [{"name": "http", "containerPort": args.port, "protocol": "TCP"}],
        **probes(args.probes),
        **_pre_stop(args, kind, contract.pre_stop),
    }
    migrate = {"name": "migrate", **common, "command": list(args.migrate_command)}
    return {
        "serviceAccountName": names.fleet,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": contract.grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"initContainers": [migrate]} if args.database else {}),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}],
        **placed(args.placement_of(kind), names, kind, architecture=args.architecture),
    }


def _pre_stop(args: AgentFleetArgs, kind: ComponentKind, seconds: int) -> dict[str, Any]:
    """Requests still arrive while load balancers learn that the pod goes; nothing leads to a worker."""
    if kind == "worker" or not seconds or own_pre_stop(args.extra_pod_spec):
        return {}
    return {
        "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}
    }  # the kubelet's own: no shell is needed


def _secret_environment(keys: Mapping[str, SecretKey]) -> dict[str, Any]:
    if not keys:
        return {}
    return {
        "env": [
            {
                "name": variable,
                "valueFrom": {
                    "secretKeyRef": {
                        "name": key.name,
                        "key": key.key,
                        **({"optional": True} if key.optional else {}),
                    }
                },
            }
            for variable, key in keys.items()
        ]
    }
