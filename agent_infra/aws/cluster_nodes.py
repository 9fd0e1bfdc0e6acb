"""Managed node groups and Fargate profiles, with their roles and launch templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.aws.cluster_compute import Compute, FargateProfile, NodeGroup
from agent_infra.aws.cluster_roles import assumed_by_fargate, made_role
from agent_infra.component import Component, MaybeOutput

_NODE_POLICIES: Final = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEC2ContainerRegistryPullOnly",
    # Its pods are in the node's own network: with one hop they alone get at the node's role.
    "AmazonEKS_CNI_Policy",
)
_FARGATE_POLICIES: Final = ("AmazonEKSFargatePodExecutionRolePolicy",)
_EFFECTS: Final = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}


@dataclass(frozen=True)
class Home:
    """The cluster that node groups and profiles belong to."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    version: pulumi.Output[str]
    subnet_ids: Sequence[MaybeOutput[str]]
    partition: pulumi.Output[str]


def make_compute(
    component: Component, compute: Compute, home: Home, *, depends_on: Sequence[pulumi.Resource]
) -> list[pulumi.Resource]:
    """The node groups and the profiles; `depends_on` is what nodes need before they are ready."""
    made: list[pulumi.Resource] = []
    if compute.node_groups:
        trust = policies.assumed_by("ec2.amazonaws.com")
        role, attached = made_role(
            component, "nodes", trust=trust, managed=_NODE_POLICIES, partition=home.partition
        )
        waits = [*depends_on, *attached]
        made += [
            _node_group(component, name, group, home, role.arn, waits)
            for name, group in compute.node_groups.items()
        ]
    if compute.fargate_profiles:
        role, attached = made_role(
            component,
            "fargate",
            trust=assumed_by_fargate(home.arn),
            managed=_FARGATE_POLICIES,
            partition=home.partition,
        )
        made += [
            _profile(component, name, profile, home, role.arn, attached)
            for name, profile in compute.fargate_profiles.items()
        ]
    return made


def disks(group: NodeGroup) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    """The volumes of a node: Bottlerocket keeps its system on one and everything else on a second."""

    def disk(device: str, size: int | None) -> aws.ec2.LaunchTemplateBlockDeviceMappingArgs:
        return aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name=device,
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_type="gp3", volume_size=size, encrypted="true", delete_on_termination="true"
            ),
        )

    if group.image.startswith("BOTTLEROCKET"):
        return [disk("/dev/xvda", None), disk("/dev/xvdb", group.disk_gb)]
    return [disk("/dev/xvda", group.disk_gb)]


def _node_group(
    component: Component,
    group_name: str,
    group: NodeGroup,
    home: Home,
    role_arn: pulumi.Output[str],
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    name = f"{component._name}-{group_name}"
    tags = component._tags(name)
    template = aws.ec2.LaunchTemplate(
        name,
        description=f"Nodes of {name}",
        update_default_version=True,
        block_device_mappings=disks(group),
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            # One hop: pods that are not in the node's own network do not reach the node's role.
            "http_put_response_hop_limit": 1,
        },
        monitoring={"enabled": True},
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume")
        ],
        tags=tags,
        opts=component._opts(),
    )
    return aws.eks.NodeGroup(
        name,
        cluster_name=home.name,
        # The control plane's own: nodes follow it in the same `up`, after it.
        version=home.version,
        node_role_arn=role_arn,
        subnet_ids=list(home.subnet_ids),
        instance_types=list(group.instance_types),
        ami_type=group.image,
        capacity_type="SPOT" if group.capacity == "spot" else "ON_DEMAND",
        launch_template={"id": template.id, "version": template.latest_version.apply(str)},
        scaling_config={
            "min_size": group.min,
            "max_size": group.max,
            "desired_size": group.min if group.desired is None else group.desired,
        },
        update_config={"max_unavailable_percentage": 33},
        node_repair_config={"enabled": True},
        labels=dict(group.labels) or None,
        taints=[
            aws.eks.NodeGroupTaintArgs(key=taint.key, value=taint.value, effect=_EFFECTS[taint.effect])
            for taint in group.taints
        ],
        tags=tags,
        # How many there are is the autoscaler's business once they are made.
        opts=component._opts(depends_on=list(depends_on), ignore_changes=["scalingConfig.desiredSize"]),
    )


def _profile(
    component: Component,
    profile_name: str,
    profile: FargateProfile,
    home: Home,
    role_arn: pulumi.Output[str],
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    name = f"{component._name}-{profile_name}"
    return aws.eks.FargateProfile(
        name,
        cluster_name=home.name,
        pod_execution_role_arn=role_arn,
        subnet_ids=list(home.subnet_ids),
        selectors=[
            aws.eks.FargateProfileSelectorArgs(
                namespace=selector.namespace, labels=dict(selector.labels) or None
            )
            for selector in profile.selectors
        ],
        tags=component._tags(name),
        opts=component._opts(depends_on=list(depends_on)),
    )
