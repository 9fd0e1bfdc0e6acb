"""`EksCluster`: private, encrypted and protected unless it was said otherwise."""

from __future__ import annotations

import json

import pytest

from agent_infra import (
    EksCluster,
)
from agent_infra.aws.cluster import kubeconfig
from tests.unit.components import made
from tests.unit.recording import Recorded


@pytest.fixture(scope="module")
def cluster() -> Recorded:
    admins = {"ops": "arn:aws:iam::123456789012:role/ops"}
    return made(EksCluster, {"subnet_ids": ["subnet-1", "subnet-2"], "admins": admins})


def test_the_cluster_is_in_auto_mode(cluster: Recorded) -> None:
    inputs = cluster.one("aws:eks/cluster:Cluster").inputs
    assert inputs["computeConfig"]["enabled"] is True
    assert inputs["kubernetesNetworkConfig"] == {"elasticLoadBalancing": {"enabled": True}}
    assert inputs["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert inputs["bootstrapSelfManagedAddons"] is False


def test_the_cluster_is_private_encrypted_and_protected_by_default(cluster: Recorded) -> None:
    inputs = cluster.one("aws:eks/cluster:Cluster").inputs
    assert inputs["vpcConfig"]["endpointPrivateAccess"] is True
    assert inputs["vpcConfig"]["endpointPublicAccess"] is False
    assert inputs["encryptionConfig"]["resources"] == ["secrets"]
    assert inputs["deletionProtection"] is True
    assert inputs["accessConfig"]["authenticationMode"] == "API"


def test_an_allow_list_opens_the_api_server_to_it_alone() -> None:
    recorded = made(EksCluster, {"subnet_ids": ["a", "b"], "public_access": ["198.51.100.7/32"]})
    config = recorded.one("aws:eks/cluster:Cluster").inputs["vpcConfig"]
    assert (config["endpointPublicAccess"], config["publicAccessCidrs"]) == (True, ["198.51.100.7/32"])


def test_admins_get_an_access_entry(cluster: Recorded) -> None:
    association = cluster.one("aws:eks/accessPolicyAssociation:AccessPolicyAssociation").inputs
    assert association["policyArn"] == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def test_the_log_group_is_the_one_that_eks_writes_to(cluster: Recorded) -> None:
    name = cluster.one("aws:eks/cluster:Cluster").inputs["name"]
    assert cluster.one("aws:cloudwatch/logGroup:LogGroup").inputs["name"] == f"/aws/eks/{name}/cluster"


def test_the_kubeconfig_asks_for_a_token_and_holds_none() -> None:
    config = json.loads(kubeconfig(name="c", endpoint="https://e", certificate="Y2E=", region="eu-central-1"))
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["args"][:4] == ["eks", "get-token", "--cluster-name", "c"]
