"""A real Kubernetes control plane for one local environment, as plain processes of this machine."""

from agent_infra.local.cluster.control import destroy, kubeconfig, last_options, start, status, stop
from agent_infra.local.cluster.objects.stages import FLEET_LABEL, FLEET_LABELS, SIMULATE_ANNOTATION, stages
from agent_infra.local.cluster.options import ClusterOptions
from agent_infra.local.cluster.states import ClusterStatus, PartState, PartStatus

__all__ = [
    "FLEET_LABEL",
    "FLEET_LABELS",
    "SIMULATE_ANNOTATION",
    "ClusterOptions",
    "ClusterStatus",
    "PartState",
    "PartStatus",
    "destroy",
    "kubeconfig",
    "last_options",
    "stages",
    "start",
    "status",
    "stop",
]
