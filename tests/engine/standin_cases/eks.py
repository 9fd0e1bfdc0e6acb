"""Cases of the stand-in's eks rows."""

from __future__ import annotations

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World, trust


def _pod_identity(world: World) -> Properties:
    return {
        "clusterName": world.cluster(),
        "namespace": "agents",
        "serviceAccount": "api",
        "roleArn": world.role()["arn"],
        **TAGS,
    }


def _node_group(world: World) -> Properties:
    vpc = world.subnets()
    cluster = world.make("aws:eks/cluster:Cluster", roleArn=world.role()["arn"], vpcConfig={"subnetIds": vpc})
    return {
        "clusterName": cluster["id"],
        "nodeRoleArn": world.role()["arn"],
        "subnetIds": vpc,
        "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 1},
        "instanceTypes": ["m7g.large"],
        "amiType": "AL2023_ARM_64_STANDARD",
        "capacityType": "SPOT",
        "launchTemplate": {"id": "lt-0123456789abcdef0", "version": "1"},
        "nodeRepairConfig": {"enabled": True},
        "updateConfig": {"maxUnavailablePercentage": 33},
        "labels": {"a": "b"},
        "taints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}],
        **TAGS,
    }


def _fargate_profile(world: World) -> Properties:
    vpc = world.subnets()
    role = world.make("aws:iam/role:Role", assumeRolePolicy=trust("eks-fargate-pods.amazonaws.com"))
    cluster = world.make("aws:eks/cluster:Cluster", roleArn=role["arn"], vpcConfig={"subnetIds": vpc})
    return {
        "clusterName": cluster["id"],
        "podExecutionRoleArn": role["arn"],
        "subnetIds": vpc,
        "selectors": [{"namespace": "kube-system"}, {"namespace": "jobs", "labels": {"on": "fargate"}}],
        **TAGS,
    }


def _access_entry(world: World) -> Properties:
    return {"clusterName": world.cluster(), "principalArn": world.role()["arn"], **TAGS}


def _access_association(world: World) -> Properties:
    return {
        "clusterName": world.cluster(),
        "principalArn": world.role()["arn"],
        "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
        "accessScope": {"type": "cluster"},
    }


def _eks_cluster(world: World) -> Properties:
    key = world.make("aws:kms/key:Key", deletionWindowInDays=7)
    return {
        "roleArn": world.role()["arn"],
        "version": "1.33",
        "vpcConfig": {
            "subnetIds": world.subnets(),
            "endpointPrivateAccess": True,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "accessConfig": {"authenticationMode": "API"},
        "bootstrapSelfManagedAddons": False,
        "computeConfig": {"enabled": True, "nodePools": ["general-purpose", "system"]},
        "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
        "enabledClusterLogTypes": ["api", "audit"],
        "encryptionConfig": {"provider": {"keyArn": key["arn"]}, "resources": ["secrets"]},
        **TAGS,
    }


CASES: dict[str, Case] = {
    "aws:eks/cluster:Cluster": Case(
        _eks_cluster,
        {"enabledClusterLogTypes": ["api"], "version": "1.34", **NEW_TAGS},
        {"version", "accessConfig", "computeConfig", "bootstrapSelfManagedAddons"},
    ),
    "aws:eks/nodeGroup:NodeGroup": Case(
        _node_group,
        {
            "labels": {"c": "d"},
            "taints": [],
            "scalingConfig": {"minSize": 2, "maxSize": 4, "desiredSize": 2},
            **NEW_TAGS,
        },
        {"launchTemplate", "nodeRepairConfig", "updateConfig"},
    ),
    "aws:eks/fargateProfile:FargateProfile": Case(_fargate_profile, NEW_TAGS),
    "aws:eks/accessEntry:AccessEntry": Case(_access_entry, NEW_TAGS),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Case(_access_association),
    "aws:eks/addon:Addon": Case(
        lambda w: {"clusterName": w.cluster(), "addonName": "coredns", **TAGS},
        {"configurationValues": '{"replicaCount": 3}', **NEW_TAGS},
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Case(_pod_identity, NEW_TAGS),
}
