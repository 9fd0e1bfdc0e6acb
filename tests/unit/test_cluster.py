"""`EksCluster`: private, encrypted and protected unless it was said otherwise."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from agent_infra import EksCluster
from agent_infra.aws.cluster import EksClusterArgs, kubeconfig
from agent_infra.component import ArgsError
from tests.unit.components import made
from tests.unit.recording import ISSUER, Recorded, record

CLUSTER = "aws:eks/cluster:Cluster"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ASSOCIATION = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
ROLE = "arn:aws:iam::123456789012:role/"
SUBNETS = {"subnet_ids": ["subnet-1", "subnet-2"]}


def cluster_of(**args: Any) -> Recorded:
    return made(EksCluster, {**SUBNETS, **args})


def refused(**args: Any) -> str:
    with pytest.raises(ArgsError) as caught:
        EksClusterArgs.parse({**SUBNETS, **args}, owner="EksCluster 'it'")
    return str(caught.value)


@pytest.fixture(scope="module")
def cluster() -> Recorded:
    return cluster_of(admins={"ops": f"{ROLE}ops"})


def test_the_cluster_is_in_auto_mode(cluster: Recorded) -> None:
    inputs = cluster.one(CLUSTER).inputs
    assert inputs["computeConfig"]["enabled"] is True
    assert inputs["kubernetesNetworkConfig"] == {"elasticLoadBalancing": {"enabled": True}}
    assert inputs["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert inputs["bootstrapSelfManagedAddons"] is False


def test_the_built_in_node_pools_can_be_chosen() -> None:
    assert cluster_of(node_pools=["system"]).one(CLUSTER).inputs["computeConfig"]["nodePools"] == ["system"]
    assert "general-purpose" in refused(node_pools=["spot"])


def test_the_cluster_is_private_and_its_entries_are_by_the_api(cluster: Recorded) -> None:
    inputs = cluster.one(CLUSTER).inputs
    assert inputs["vpcConfig"]["endpointPrivateAccess"] is True
    assert inputs["vpcConfig"]["endpointPublicAccess"] is False
    assert inputs["accessConfig"]["authenticationMode"] == "API"


def test_kubernetes_secrets_are_encrypted_with_a_key_that_rotates(cluster: Recorded) -> None:
    encryption = cluster.one(CLUSTER).inputs["encryptionConfig"]
    key = cluster.one("aws:kms/key:Key")
    assert encryption["resources"] == ["secrets"]
    assert encryption["provider"]["keyArn"].endswith(key.name)
    assert key.inputs["enableKeyRotation"] is True
    assert "policy" not in key.inputs


def test_a_key_of_ones_own_takes_the_place_of_a_made_one() -> None:
    arn = "arn:aws:kms:eu-central-1:123456789012:key/mine"
    recorded = cluster_of(kms_key_arn=arn)
    assert recorded.one(CLUSTER).inputs["encryptionConfig"]["provider"] == {"keyArn": arn}
    assert not recorded.of("aws:kms/key:Key")


def test_neither_the_cluster_nor_its_key_is_deleted_by_mistake(cluster: Recorded) -> None:
    assert cluster.one(CLUSTER).inputs["deletionProtection"] is True
    assert cluster.one(CLUSTER).protect
    key = cluster.one("aws:kms/key:Key")
    assert key.protect
    assert key.inputs["deletionWindowInDays"] == 30


def test_the_protection_can_be_lifted() -> None:
    recorded = cluster_of(deletion_protection=False)
    assert "deletionProtection" not in recorded.one(CLUSTER).inputs
    assert not recorded.one(CLUSTER).protect


def test_the_control_planes_audit_log_is_kept(cluster: Recorded) -> None:
    inputs = cluster.one(CLUSTER).inputs
    assert "audit" in inputs["enabledClusterLogTypes"]
    group = cluster.one("aws:cloudwatch/logGroup:LogGroup").inputs
    assert group["name"] == f"/aws/eks/{inputs['name']}/cluster"
    assert group["retentionInDays"] == 30


def test_an_allow_list_opens_the_api_server_to_it_alone() -> None:
    config = cluster_of(public_access=["198.51.100.7/32"]).one(CLUSTER).inputs["vpcConfig"]
    assert (config["endpointPublicAccess"], config["publicAccessCidrs"]) == (True, ["198.51.100.7/32"])


def test_extended_support_can_be_declined(cluster: Recorded) -> None:
    assert cluster.one(CLUSTER).inputs["upgradePolicy"] == {"supportType": "EXTENDED"}
    declined = cluster_of(extended_support=False).one(CLUSTER).inputs["upgradePolicy"]
    assert declined == {"supportType": "STANDARD"}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"public_access": ["0.0.0.0/0"]}, "the whole internet is no allow-list"),
        ({"public_access": ["10.0.0.0/16"]}, "the internet knows public ones alone"),
        ({"public_access": ["198.51.100.7/24"]}, "not an IPv4 range"),
        ({"version": "1.30"}, "say one of 1.31, 1.32"),
        ({"version": "1.99"}, "no version that EKS runs"),
        ({"subnet_ids": ["subnet-1"]}, "1 is too few"),
        ({"subnet_ids": ["subnet-1", "subnet-1"]}, "a subnet is there twice"),
        ({"log_types": ["audits"]}, "'audit'"),
        ({"log_retention_days": 31}, "say 30"),
        ({"cluster_name": "a b"}, "up to 100 letters"),
        ({"admins": {"ops": "arn:aws:sts::123456789012:assumed-role/ops/me"}}, "its role"),
        ({"compute": {"auto": False}}, "there is nothing else"),
        (
            {"node_pools": ["system"], "compute": {"node_groups": {"general": {}}}},
            "leave them out, or add `auto: true`",
        ),
    ],
)
def test_what_eks_would_refuse_is_refused_at_once(args: dict[str, Any], told: str) -> None:
    assert told in refused(**args)


def test_a_name_that_is_too_long_with_the_stacks_is_refused() -> None:
    with pytest.raises(ArgsError, match="has 105 characters; say one of 100 at most"):
        record(lambda: EksCluster("c" * 100, SUBNETS) and None)


class TestAccess:
    def test_admins_may_do_everything(self, cluster: Recorded) -> None:
        entry, association = cluster.one(ENTRY, "it-admin-ops"), cluster.one(ASSOCIATION, "it-admin-ops")
        assert entry.inputs["principalArn"] == association.inputs["principalArn"] == f"{ROLE}ops"
        policy = association.inputs["policyArn"]
        assert policy == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
        assert association.inputs["accessScope"] == {"type": "cluster"}

    def test_an_entry_reads_everywhere_where_nothing_else_is_said(self) -> None:
        recorded = cluster_of(access={"dev": {"principal": f"{ROLE}dev"}})
        inputs = recorded.one(ASSOCIATION, "it-access-dev").inputs
        assert inputs["policyArn"].endswith("/AmazonEKSViewPolicy")
        assert inputs["accessScope"] == {"type": "cluster"}

    def test_an_entry_can_be_bound_to_namespaces(self) -> None:
        access = {"principal": f"{ROLE}dev", "policy": "edit", "namespaces": ["agents", "team-*"]}
        inputs = cluster_of(access={"dev": access}).one(ASSOCIATION, "it-access-dev").inputs
        assert inputs["policyArn"].endswith("/AmazonEKSEditPolicy")
        assert inputs["accessScope"] == {"type": "namespace", "namespaces": ["agents", "team-*"]}

    def test_an_entry_can_be_of_ones_own_groups_alone(self) -> None:
        access = {"principal": f"{ROLE}dev", "policy": None, "groups": ["agents-operators"]}
        recorded = cluster_of(access={"dev": access})
        assert recorded.one(ENTRY, "it-access-dev").inputs["kubernetesGroups"] == ["agents-operators"]
        assert not recorded.of(ASSOCIATION)

    @pytest.mark.parametrize(
        ("access", "told"),
        [
            ({"policy": "cluster-admin", "namespaces": ["agents"]}, "is for the whole cluster"),
            ({"policy": None}, "neither a policy nor groups"),
            ({"policy": None, "groups": ["a"], "namespaces": ["b"]}, "policy is null"),
            ({"groups": ["system:masters"]}, "not system:"),
            ({"policy": "root"}, "cluster-admin"),
        ],
    )
    def test_what_would_grant_nothing_or_too_much_is_refused(self, access: dict[str, Any], told: str) -> None:
        assert told in refused(access={"dev": {"principal": f"{ROLE}dev", **access}})

    def test_a_principal_has_one_entry(self) -> None:
        told = refused(admins={"ops": f"{ROLE}ops"}, access={"dev": {"principal": f"{ROLE}ops"}})
        assert f"admins.ops and access.dev are both {ROLE}ops" in told


class TestTheKubernetesProvider:
    def test_the_kubeconfig_asks_for_a_token_and_holds_none(self) -> None:
        text = kubeconfig(name="c", endpoint="https://e", certificate="Y2E=", region="eu-central-1")
        (user,) = json.loads(text)["users"]
        assert set(user["user"]) == {"exec"}
        assert user["user"]["exec"]["args"][:4] == ["eks", "get-token", "--cluster-name", "c"]

    def test_no_credential_is_among_what_the_engine_keeps(self, cluster: Recorded) -> None:
        provider = cluster.one("pulumi:providers:kubernetes").inputs
        (user,) = json.loads(provider["kubeconfig"])["users"]
        assert set(user["user"]) == {"exec"}
        assert "aws:eks/getClusterAuth:getClusterAuth" not in cluster.calls

    def test_the_provider_is_the_same_one_when_the_endpoint_changes(self, cluster: Recorded) -> None:
        provider = cluster.one("pulumi:providers:kubernetes").inputs
        assert provider["clusterIdentifier"] == cluster.one(CLUSTER).inputs["name"]


class TestIrsa:
    OIDC = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"

    def test_iam_knows_nothing_of_the_issuer_by_default(self, cluster: Recorded) -> None:
        assert not cluster.of(self.OIDC)

    def test_it_does_by_choice(self) -> None:
        inputs = cluster_of(irsa=True).one(self.OIDC).inputs
        assert (inputs["url"], inputs["clientIdLists"]) == (ISSUER, ["sts.amazonaws.com"])


class TestAnExistingCluster:
    EXISTING: ClassVar[dict[str, Any]] = {"existing": {"name": "shared"}}

    def test_nothing_of_it_is_made_or_changed(self) -> None:
        recorded = made(EksCluster, self.EXISTING)
        assert [item.type for item in recorded.resources if item.type.startswith("aws:")] == []
        provider = recorded.one("pulumi:providers:kubernetes").inputs
        assert "https://existing.example" in provider["kubeconfig"]
        assert provider["clusterIdentifier"] == "shared"

    def test_it_says_of_itself_what_a_made_one_says(self) -> None:
        def program() -> Any:
            cluster = EksCluster("it", self.EXISTING)
            assert (cluster.kms_key_arn, cluster.oidc_provider_arn, cluster.ready) == (None, None, [])
            return [cluster.name, cluster.arn, cluster.security_group_id, cluster.oidc_issuer]

        name, arn, group, issuer = record(program).result
        assert (name, group, issuer) == ("shared", "sg-existing", ISSUER)
        assert arn.endswith(":cluster/shared")

    def test_access_add_ons_and_keda_come_where_they_are_asked_for(self) -> None:
        args = {
            **self.EXISTING,
            "admins": {"ops": f"{ROLE}ops"},
            "addons": {"eks-pod-identity-agent": None},
            "irsa": True,
            "keda": {},
        }
        recorded = made(EksCluster, args)
        assert recorded.one(ENTRY).inputs["clusterName"] == "shared"
        assert recorded.one("aws:eks/addon:Addon").inputs["addonName"] == "eks-pod-identity-agent"
        assert recorded.one("kubernetes:helm.sh/v3:Release").inputs["chart"] == "keda"
        assert recorded.of(TestIrsa.OIDC)

    def test_its_own_oidc_provider_is_used(self) -> None:
        arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A"
        args = {"existing": {"name": "shared", "oidc_provider_arn": arn}, "irsa": True}
        recorded = record(lambda: EksCluster("it", args).oidc_provider_arn)
        assert recorded.result == arn
        assert not recorded.of(TestIrsa.OIDC)

    def test_what_would_say_how_to_make_one_is_refused(self) -> None:
        told = refused(existing={"name": "shared"}, version="1.34", compute={"node_groups": {"general": {}}})
        assert "version, compute would say how to make a new one" in told
        assert "`kms_key_arn` is a new cluster's" in refused(existing={"name": "shared"}, kms_key_arn="arn")
