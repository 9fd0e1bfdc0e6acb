"""Simulated nodes, labelled as EKS Auto Mode labels its own."""

from __future__ import annotations

from agent_infra.local.cluster.api import Manifest
from agent_infra.local.cluster.options import ClusterOptions
from agent_infra.local.cluster.plan import HOST

_ZONES = "abc"
_FAMILIES = {"amd64": ("m7i", "intel"), "arm64": ("m7g", "aws")}
METRICS_PATH = "/metrics/nodes/{nodeName}/metrics/resource"


def nodes(options: ClusterOptions) -> list[Manifest]:
    """The nodes, in the zones in turn."""
    return [_node(number, options) for number in range(options.nodes)]


def statuses(options: ClusterOptions, *, port: int) -> list[Manifest]:
    """What each says of itself: what it has room for, and where its kubelet, which is kwok, answers."""
    room = {"cpu": options.node_cpu, "memory": options.node_memory, "pods": str(options.node_pods)}
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name(number)},
            "status": {
                "capacity": room,
                "allocatable": room,
                "addresses": [
                    {"type": "InternalIP", "address": HOST},
                    {"type": "Hostname", "address": name(number)},
                ],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            },
        }
        for number in range(options.nodes)
    ]


def name(number: int) -> str:
    """A node's name."""
    return f"node-{number}"


def _node(number: int, options: ClusterOptions) -> Manifest:
    zone = _ZONES[number % len(_ZONES)]
    family, manufacturer = _FAMILIES[options.architecture]
    labels = {
        "kubernetes.io/arch": options.architecture,
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name(number),
        "topology.kubernetes.io/region": options.region,
        "topology.kubernetes.io/zone": f"{options.region}{zone}",
        "topology.k8s.aws/zone-id": f"az{number % len(_ZONES) + 1}",
        "node.kubernetes.io/instance-type": f"{family}.48xlarge",
        "karpenter.sh/nodepool": "general-purpose",
        "karpenter.sh/capacity-type": "on-demand",
        "karpenter.sh/initialized": "true",
        "karpenter.sh/registered": "true",
        "eks.amazonaws.com/compute-type": "auto",
        "eks.amazonaws.com/nodeclass": "default",
        "eks.amazonaws.com/instance-category": family[0],
        "eks.amazonaws.com/instance-family": family,
        "eks.amazonaws.com/instance-generation": family[1],
        "eks.amazonaws.com/instance-size": "48xlarge",
        "eks.amazonaws.com/instance-hypervisor": "nitro",
        "eks.amazonaws.com/instance-cpu-manufacturer": manufacturer,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name(number),
            "labels": labels,
            "annotations": {
                "kwok.x-k8s.io/node": "fake",
                # metrics-server asks a kubelet for /metrics/resource where a node does not say another path;
                # one kwok answers for all nodes.
                "metrics.k8s.io/resource-metrics-path": METRICS_PATH.format(nodeName=name(number)),
            },
        },
        "spec": {"providerID": f"agent-infra:///{zone}/{name(number)}"},
    }
