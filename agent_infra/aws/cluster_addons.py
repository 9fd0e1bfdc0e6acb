"""EKS add-ons: which a cluster has to have for its kind of compute, and which are by choice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import pulumi
import pulumi_aws as aws

from agent_infra.aws import cluster_network_policy
from agent_infra.aws.cluster_compute import Compute
from agent_infra.aws.cluster_roles import assumed_by_pods, made_role
from agent_infra.component import Component, MaybeOutput, shaped

AddonName = Annotated[str, shaped(r"[a-z0-9][a-z0-9_-]*", "an add-on's name, such as coredns")]
AddonVersion = Annotated[
    str,
    shaped(
        r"v\d+\.\d+\.\d+-eksbuild\.\d+|v\d+\.\d+\.\d+(-[a-z0-9.-]+)?",
        "a version that `aws eks describe-addon-versions` shows, such as v1.12.1-eksbuild.2, or null for "
        "EKS's own choice",
    ),
]

METRICS_SERVER: Final = "metrics-server"
#: What nodes need before they are ready: each runs on every node, and is healthy while there is none.
_BEFORE_NODES: Final = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
_DNS: Final = "coredns"
#: What Auto Mode brings: https://docs.aws.amazon.com/eks/latest/userguide/eks-add-ons.html
AUTO_MODES_OWN: Final = (*_BEFORE_NODES, _DNS)
#: What has nowhere to run on Fargate.
NOT_ON_FARGATE: Final = (*_BEFORE_NODES, "aws-ebs-csi-driver", "aws-efs-csi-driver")

#: Add-ons that call AWS: their service account, and AWS's policy of what they may do.
_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "aws-ebs-csi-driver": ("ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy"),
    "aws-efs-csi-driver": ("efs-csi-controller-sa", "service-role/AmazonEFSCSIDriverPolicy"),
    "amazon-cloudwatch-observability": ("cloudwatch-agent", "CloudWatchAgentServerPolicy"),
}


@dataclass(frozen=True)
class Addon:
    """One add-on of a cluster."""

    name: str
    version: str | None
    before_nodes: bool
    configuration: str | None


def needed(compute: Compute) -> tuple[str, ...]:
    """The add-ons without which pods on this compute do not work."""
    if compute.node_groups:
        return (*_BEFORE_NODES, _DNS)
    return (_DNS,) if compute.on_fargate_alone else ()


def plan(
    *,
    needs: Sequence[str],
    compute: Compute,
    chosen: Mapping[str, str | None],
    configuration: Mapping[str, Mapping[str, Any]],
    metrics_server: bool,
    network_policy: bool,
) -> list[Addon]:
    """The add-ons to make, by name; a chosen one says the version of a needed one too."""
    names = {*needs, *chosen, *([METRICS_SERVER] if metrics_server else [])}
    on_fargate = {_DNS: {"computeType": "Fargate"}} if compute.on_fargate_alone else {}
    enforced = cluster_network_policy.ADDON if network_policy and compute.node_groups else {}
    said: dict[str, Mapping[str, Any]] = {**on_fargate, **enforced}
    said |= {name: {**enforced.get(name, {}), **of_one} for name, of_one in configuration.items()}
    return [
        Addon(
            name,
            chosen.get(name),
            before_nodes=name in _BEFORE_NODES,
            configuration=json.dumps(said[name], sort_keys=True) if name in said else None,
        )
        for name in sorted(names)
    ]


def check(
    compute: Compute,
    chosen: Mapping[str, str | None],
    configuration: Mapping[str, Mapping[str, Any]],
    made: Sequence[Addon],
) -> None:
    """Refuses add-ons that the compute brings itself or has no place for, and settings of none.

    Raises:
        ValueError: names the add-on, why, and what to do.
    """
    for name in chosen:
        if compute.auto_mode and not compute.node_groups and name in AUTO_MODES_OWN:
            raise ValueError(f"add-on {name!r}: EKS Auto Mode brings its own; leave it out")
        if compute.on_fargate_alone and name in NOT_ON_FARGATE:
            raise ValueError(
                f"add-on {name!r} runs on nodes, and there are Fargate profiles alone; leave it out, or "
                "add a node group"
            )
    names = [addon.name for addon in made]
    if strangers := sorted(configuration.keys() - set(names)):
        raise ValueError(
            f"addon_configuration is of {', '.join(strangers)}, which the cluster does not have; add it to "
            f"`addons`, or say one of {', '.join(names) or 'none'}"
        )


def make_addons(
    component: Component,
    addons: Sequence[Addon],
    *,
    cluster: MaybeOutput[str],
    partition: pulumi.Output[str],
    depends_on: Sequence[pulumi.Resource] = (),
) -> list[pulumi.Resource]:
    """The add-ons, and the roles of those that call AWS."""
    return [_make(component, addon, cluster, partition, depends_on) for addon in addons]


def _make(
    component: Component,
    addon: Addon,
    cluster: MaybeOutput[str],
    partition: pulumi.Output[str],
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    name = f"{component._name}-{addon.name}"
    identity: list[aws.eks.AddonPodIdentityAssociationArgs] = []
    waits = [*depends_on]
    if addon.name in _ROLES:
        account, policy = _ROLES[addon.name]
        role, attachments = made_role(
            component, addon.name, trust=assumed_by_pods(), managed=[policy], partition=partition
        )
        identity = [aws.eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=account)]
        waits += attachments
    return aws.eks.Addon(
        name,
        cluster_name=cluster,
        addon_name=addon.name,
        addon_version=addon.version,
        configuration_values=addon.configuration,
        pod_identity_associations=identity or None,
        # The program says what it is, also where somebody installed one by hand.
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        tags=component._tags(name),
        opts=component._opts(depends_on=waits),
    )
