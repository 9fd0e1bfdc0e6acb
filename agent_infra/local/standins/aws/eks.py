"""EKS: clusters and what belongs to them."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.eks_fargate import FARGATE_PROFILE
from agent_infra.local.standins.aws.table import (
    MOTO_DROPS,
    NO_EFFECT,
    AutoName,
    Call,
    Input,
    Row,
    Setter,
    Tags,
    because,
)
from agent_infra.local.standins.aws.values import JSON, SET, at, without_none
from agent_infra.local.standins.server import Properties

_NO_API = "moto has no such API: it is recorded, and nothing acts on it"

_GROUP_TAGS = Tags(Call(""), Call(""), live="tags", as_map=True, create_parameter="tags", recorded=True)
_TAGS = Tags(
    Call("tag_resource", {"resourceArn": "{arn}"}),
    Call("untag_resource", {"resourceArn": "{arn}"}),
    live="tags",
    parameter="tags",
    keys_parameter="tagKeys",
    as_map=True,
)


def _logging(types: list[str]) -> Any:
    every = ("api", "audit", "authenticator", "controllerManager", "scheduler")
    off = [name for name in every if name not in types]
    setup = [{"types": types, "enabled": True}] if types else []
    return {"clusterLogging": [*setup, *([{"types": off, "enabled": False}] if off else [])]}


def _log_types(logging: Any) -> list[str]:
    return [
        name
        for setup in logging.get("clusterLogging") or []
        if setup.get("enabled")
        for name in setup["types"]
    ]


def _to_encryption(value: Any) -> Any:
    return [value]


def _from_encryption(value: Any) -> Any:
    return value[0] if value else None


def _to_vpc(value: Any) -> Any:
    kept = (
        "subnetIds",
        "securityGroupIds",
        "endpointPublicAccess",
        "endpointPrivateAccess",
        "publicAccessCidrs",
    )
    return {
        "endpointPublicAccess": True,
        **{name: value[name] for name in kept if value.get(name) is not None},
    }


def _default_endpoint(inputs: Properties) -> list[tuple[str, str]]:
    vpc = inputs["vpcConfig"]
    if isinstance(vpc, dict):
        inputs["vpcConfig"] = {"endpointPublicAccess": True, **vpc}
    return []


def _cluster_group_name(id: str) -> str:
    return f"eks-cluster-sg-{id}"


def _find_group(cloud: Cloud, id: str) -> Any:
    """The group that EKS makes for control plane and nodes; programs write rules that name it."""
    filters = [{"Name": "group-name", "Values": [_cluster_group_name(id)]}]
    groups = cloud.call("ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
    return groups[0] if groups else None


def _cluster_created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=inputs["vpcConfig"]["subnetIds"][:1])["Subnets"]
    cloud.call(
        "ec2", "create_security_group",
        GroupName=_cluster_group_name(id), VpcId=subnets[0]["VpcId"],
        Description="EKS created security group applied to the control plane and managed nodes",
    )  # fmt: skip


def _cluster_deleted(cloud: Cloud, id: str, _known: Properties) -> None:
    group = _find_group(cloud, id)
    if group:
        cloud.call("ec2", "delete_security_group", GroupId=group["GroupId"])


def look_up(cloud: Cloud, args: Properties) -> Properties:
    """What the function getCluster returns."""
    live = cloud.call("eks", "describe_cluster", name=args["name"])["cluster"]
    parts = _cluster_parts(cloud, args["name"], live, {})
    return {
        **args,
        "id": args["name"],
        "arn": live["arn"],
        "endpoint": live["endpoint"],
        "status": live["status"],
        "roleArn": live["roleArn"],
        "version": parts["version"],
        "createdAt": parts["createdAt"],
        "platformVersion": live.get("platformVersion"),
        "vpcConfig": parts["vpcConfig"],
        "identities": parts["identities"],
        "certificateAuthorities": [live["certificateAuthority"]],
        "enabledClusterLogTypes": _log_types(live.get("logging") or {}),
        "tags": live.get("tags") or {},
    }


def _cluster_parts(cloud: Cloud, id: str, live: Any, known: Properties) -> Properties:
    group = _find_group(cloud, id) or {}
    vpc = without_none(
        {
            **live["resourcesVpcConfig"],
            "clusterSecurityGroupId": group.get("GroupId"),
            "vpcId": group.get("VpcId"),
        }
    )
    return {
        "vpcConfig": vpc,
        "version": known.get("version") or live.get("version"),
        "createdAt": str(live.get("createdAt", "")),
        "identities": [{"oidcs": [{"issuer": at(live, "identity.oidc.issuer")}]}],
    }


CLUSTER = Row(
    type="aws:eks/cluster:Cluster",
    service="eks",
    inputs={
        "bootstrapSelfManagedAddons": Input(replaces=True, default=True),
        "enabledClusterLogTypes": Input(
            "logging", form=SET, to=_logging, back=_log_types, reset=_logging([])
        ),
        "encryptionConfig": Input(
            "encryptionConfig", to=_to_encryption, back=_from_encryption, replaces_at=("provider",)
        ),
        "kubernetesNetworkConfig": Input(
            "kubernetesNetworkConfig", computed=True, replaces_at=("ipFamily", "serviceIpv4Cidr")
        ),
        "name": Input("name", replaces=True),
        "roleArn": Input("roleArn", required=True, replaces=True),
        # moto has no way of changing it, so an update's version is taken on trust.
        "version": Input("version", live="", computed=True),
        "vpcConfig": Input(
            "resourcesVpcConfig",
            live="",
            required=True,
            form=SET,
            to=_to_vpc,
            inner_outputs=("clusterSecurityGroupId", "vpcId"),
        ),
    },
    unsimulated={
        **because(
            MOTO_DROPS,
            "accessConfig computeConfig controlPlaneScalingConfig deletionProtection kubeApiServerConfig "
            "kubeControllerManagerConfig kubeSchedulerConfig outpostConfig remoteNetworkConfig storageConfig "
            "upgradePolicy zonalShiftConfig",
        ),
        **because(NO_EFFECT, "defaultAddonsToRemoves forceUpdateVersion"),
    },
    unsimulated_replaces="outpostConfig",
    outputs={
        "arn": "arn",
        "certificateAuthority": "certificateAuthority",
        "endpoint": "endpoint",
        "platformVersion": "platformVersion",
        "status": "status",
    },
    more_outputs="identities createdAt",
    create=Call("create_cluster"),
    read=Call("describe_cluster", {"name": "{id}"}, "cluster"),
    setters=(
        Setter("update_cluster_config", {"enabledClusterLogTypes": "logging"}, {"name": "{id}"}),
        Setter("update_cluster_config", {"vpcConfig": "resourcesVpcConfig"}, {"name": "{id}"}),
        Setter(
            "update_cluster_config", {"kubernetesNetworkConfig": "kubernetesNetworkConfig"}, {"name": "{id}"}
        ),
    ),
    prepare=_default_endpoint,
    after_create=_cluster_created,
    more=_cluster_parts,
    delete=Call("delete_cluster", {"name": "{id}"}),
    after_delete=_cluster_deleted,
    tags=_TAGS,
    autoname=AutoName(limit=100),
)


def _updated_node_group(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    """Labels and taints are told as what comes and what goes."""
    how: Properties = {
        name: news[name]
        for name in ("scalingConfig", "updateConfig", "nodeRepairConfig")
        if name in changed and news.get(name)
    }
    if "labels" in changed:
        new, old = news.get("labels") or {}, olds.get("labels") or {}
        how["labels"] = {"addOrUpdateLabels": new, "removeLabels": [key for key in old if key not in new]}
    if "taints" in changed:
        new_taints, old_taints = news.get("taints") or [], olds.get("taints") or []
        how["taints"] = {
            "addOrUpdateTaints": new_taints,
            "removeTaints": [taint for taint in old_taints if taint not in new_taints],
        }
    if how:
        cluster, name = id.split(":", 1)
        cloud.call("eks", "update_nodegroup_config", clusterName=cluster, nodegroupName=name, **how)


def _node_group_parts(_cloud: Cloud, _id: str, live: Any, known: Properties) -> Properties:
    groups = at(live, "resources.autoScalingGroups") or []
    return {
        "version": known.get("version") or live.get("version"),
        "releaseVersion": known.get("releaseVersion") or live.get("releaseVersion"),
        "resources": [{"autoscalingGroups": groups}],
    }


_OF_GROUP = {"clusterName": "{clusterName}", "nodegroupName": "{nodeGroupName}"}
NODE_GROUP = Row(
    type="aws:eks/nodeGroup:NodeGroup",
    service="eks",
    inputs={
        "amiType": Input("amiType", replaces=True, computed=True),
        "capacityType": Input("capacityType", replaces=True, computed=True),
        "clusterName": Input("clusterName", required=True, replaces=True),
        "diskSize": Input("diskSize", replaces=True, computed=True),
        "instanceTypes": Input("instanceTypes", replaces=True, computed=True),
        "labels": Input("labels"),
        "nodeGroupName": Input("nodegroupName", replaces=True),
        "nodeGroupNamePrefix": Input(replaces=True),
        "nodeRepairConfig": Input("nodeRepairConfig"),
        "nodeRoleArn": Input("nodeRole", required=True, replaces=True),
        "releaseVersion": Input("releaseVersion", live="", computed=True),
        "scalingConfig": Input("scalingConfig", required=True),
        "subnetIds": Input("subnets", required=True, replaces=True, form=SET),
        "taints": Input("taints", form=SET),
        "updateConfig": Input("updateConfig", computed=True),
        "version": Input("version", live="", computed=True),
    },
    unsimulated={
        **because(MOTO_DROPS, "launchTemplate remoteAccess warmPoolConfig"),
        **because(NO_EFFECT, "forceUpdateVersion"),
    },
    unsimulated_replaces="remoteAccess",
    outputs={"arn": "nodegroupArn", "status": "status"},
    more_outputs="resources",
    create=Call("create_nodegroup"),
    id="{clusterName}:{nodeGroupName}",
    id_parts=("clusterName", "nodeGroupName"),
    read=Call("describe_nodegroup", _OF_GROUP, "nodegroup"),
    update_with=_updated_node_group,
    more=_node_group_parts,
    delete=Call("delete_nodegroup", _OF_GROUP),
    tags=_GROUP_TAGS,
    autoname=AutoName("nodeGroupName", limit=63, prefix_property="nodeGroupNamePrefix"),
)

_EKS_ARN = "arn:aws:eks:{region}:{account}"
ACCESS_ENTRY = Row(
    type="aws:eks/accessEntry:AccessEntry",
    service="eks",
    recorded=_NO_API,
    inputs={
        "clusterName": Input(required=True, replaces=True),
        "kubernetesGroups": Input(computed=True, form=SET),
        "principalArn": Input(required=True, replaces=True),
        "tags": Input(),
        "type": Input(replaces=True, default="STANDARD"),
        "userName": Input(computed=True),
    },
    outputs={
        "accessEntryArn": _EKS_ARN + ":access-entry/{clusterName}/{uuid}",
        "createdAt": "{now}",
        "modifiedAt": "{now}",
    },
    id="{clusterName}:{principalArn}",
)

ACCESS_POLICY_ASSOCIATION = Row(
    type="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
    service="eks",
    recorded=_NO_API,
    inputs={
        "accessScope": Input(required=True, replaces=True),
        "clusterName": Input(required=True, replaces=True),
        "policyArn": Input(required=True, replaces=True),
        "principalArn": Input(required=True, replaces=True),
    },
    outputs={"associatedAt": "{now}", "modifiedAt": "{now}"},
    id="{clusterName}#{principalArn}#{policyArn}",
    delete_before_replace=True,
)

ADDON = Row(
    type="aws:eks/addon:Addon",
    service="eks",
    recorded=_NO_API,
    inputs={
        "addonName": Input(required=True, replaces=True),
        "addonVersion": Input(computed=True),
        "clusterName": Input(required=True, replaces=True),
        "configurationValues": Input(computed=True, form=JSON),
        "namespaceConfig": Input(replaces=True),
        "podIdentityAssociations": Input(form=SET),
        "preserve": Input(),
        "resolveConflictsOnCreate": Input(),
        "resolveConflictsOnUpdate": Input(),
        "serviceAccountRoleArn": Input(),
        "tags": Input(),
    },
    outputs={
        "arn": _EKS_ARN + ":addon/{clusterName}/{addonName}/{uuid}",
        "createdAt": "{now}",
        "modifiedAt": "{now}",
    },
    id="{clusterName}:{addonName}",
)

POD_IDENTITY_ASSOCIATION = Row(
    type="aws:eks/podIdentityAssociation:PodIdentityAssociation",
    service="eks",
    recorded=_NO_API,
    inputs={
        "clusterName": Input(required=True, replaces=True),
        "disableSessionTags": Input(computed=True),
        "namespace": Input(required=True, replaces=True),
        "policy": Input(form=JSON),
        "roleArn": Input(required=True),
        "serviceAccount": Input(required=True, replaces=True),
        "tags": Input(),
        "targetRoleArn": Input(),
    },
    outputs={
        "associationId": "a-{hex}",
        "associationArn": _EKS_ARN + ":podidentityassociation/{clusterName}/{associationId}",
    },
    id="{associationId}",
    delete_before_replace=True,
)

ROWS = (
    CLUSTER, NODE_GROUP, FARGATE_PROFILE, ACCESS_ENTRY, ACCESS_POLICY_ASSOCIATION, ADDON,
    POD_IDENTITY_ASSOCIATION,
)  # fmt: skip
