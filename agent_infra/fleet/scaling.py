"""How a kind of pods is scaled: the autoscaler's manifest."""

from __future__ import annotations

from agent_infra.fleet.names import ComponentKind, Names
from agent_infra.fleet.objects import Manifest
from agent_infra.fleet.scaling_args import Replicas


def scales(replicas: Replicas) -> bool:
    """Whether an autoscaler decides."""
    return replicas.max > replicas.min


def autoscaler(replicas: Replicas, names: Names, kind: ComponentKind) -> Manifest:
    """A HorizontalPodAutoscaler of autoscaling/v2 on CPU."""
    name = names.of(kind)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": names.metadata(name, kind),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": replicas.min,
            "maxReplicas": replicas.max,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": replicas.target_cpu},
                    },
                }
            ],
        },
    }
