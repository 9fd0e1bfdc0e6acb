"""How a kind of pods is scaled: the autoscaler's manifests."""

from __future__ import annotations

from typing import Any

from agent_infra.fleet import scaled_object
from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.fleet.fleet_contract import CONTAINER
from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest
from agent_infra.fleet.scaling_args import Replicas
from agent_infra.fleet.scaling_behavior import behavior
from agent_infra.fleet.scaling_plan import Plan, has_sidecars, plan

#: What an autoscaler scales where nothing else is said.
_DEPLOYMENT = ("apps/v1", "Deployment")
#: KEDA's webhook would refuse a ScaledObject beside this one, and Pulumi deletes what a change leaves behind
#: last. While there are two, Kubernetes lets neither act (AmbiguousSelector).
_GIVES_WAY = {"validations.keda.sh/hpa-ownership": "false"}


def scales(replicas: Replicas) -> bool:
    """Whether an autoscaler decides."""
    return replicas.max > replicas.min


def autoscalers(
    args: AgentFleetArgs, names: Names, kind: ComponentKind, *, target: tuple[str, str] = _DEPLOYMENT
) -> list[Manifest]:
    """What scales one kind of pods: an HPA, or a ScaledObject that owns its HPA; never both.

    `target` is the apiVersion and kind of what holds the pods. The order is that of registration.
    """
    decided = plan(args.replicas_of(kind), args.situation_of(kind))
    if not decided.scales:
        return []
    if decided.by_keda:
        return scaled_object.manifests(args, names, kind, decided, target=target)
    return [_autoscaler(args, names, kind, decided, target=target)]


def _autoscaler(
    args: AgentFleetArgs, names: Names, kind: ComponentKind, decided: Plan, *, target: tuple[str, str]
) -> Manifest:
    """A HorizontalPodAutoscaler of autoscaling/v2 on CPU and memory."""
    name, replicas = names.of(kind), decided.replicas
    shares = {"cpu": replicas.target_cpu, "memory": replicas.target_memory}
    alone = not has_sidecars(args.extra_pod_spec, container=CONTAINER)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {**names.metadata(name, kind), "annotations": _GIVES_WAY},
        "spec": {
            "scaleTargetRef": {"apiVersion": target[0], "kind": target[1], "name": name},
            "minReplicas": replicas.min,
            "maxReplicas": replicas.max,
            "metrics": [
                _metric(resource, share, alone=alone)
                for resource, share in shares.items()
                if share is not None
            ],
            "behavior": behavior(replicas.speed, down_window=decided.down_window),
        },
    }


def _metric(resource: str, share: int, *, alone: bool) -> dict[str, Any]:
    """A share of what is asked for; beside others of the container's own, as theirs may ask for nothing."""
    source = {"name": resource, "target": {"type": "Utilization", "averageUtilization": share}}
    if alone:
        return {"type": "Resource", "resource": source}
    return {"type": "ContainerResource", "containerResource": {**source, "container": CONTAINER}}
