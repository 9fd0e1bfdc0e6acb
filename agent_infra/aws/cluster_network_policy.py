"""What makes a cluster enforce NetworkPolicies, which without it change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from agent_infra.aws.cluster_compute import Compute

#: What EKS Auto Mode reads it from: https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
_CONFIG_MAP: Final = "amazon-vpc-cni"
#: The add-on's own setting; it makes that ConfigMap too.
ADDON: Final[Mapping[str, Mapping[str, Any]]] = {"vpc-cni": {"enableNetworkPolicy": "true"}}


def enforce(name: str, compute: Compute, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Tells EKS Auto Mode to; beside node groups the add-on vpc-cni does (`ADDON`). Fargate cannot."""
    if not compute.auto_mode or compute.node_groups:
        return []
    return [
        kubernetes.core.v1.ConfigMap(
            f"{name}-network-policy",
            metadata={"name": _CONFIG_MAP, "namespace": "kube-system"},
            data={"enable-network-policy-controller": "true"},
            opts=opts,
        )
    ]
