"""The add-ons of a cluster, and KEDA."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_infra import ArgsError
from agent_infra.aws.cluster import EksCluster
from agent_infra.aws.keda import Keda, chart_values, merged
from tests.unit.recording import Recorded, record
from tests.unit.test_cluster import SUBNETS, cluster_of, refused
from tests.unit.test_cluster_compute import ON_FARGATE

ADDON = "aws:eks/addon:Addon"
GROUPS = {"node_groups": {"general": {}}}


def addons(recorded: Recorded) -> dict[str, dict[str, Any]]:
    return {item.inputs["addonName"]: item.inputs for item in recorded.of(ADDON)}


def test_auto_mode_needs_nothing_but_the_metrics_server() -> None:
    assert set(addons(cluster_of())) == {"metrics-server"}
    assert addons(cluster_of(metrics_server=False)) == {}


def test_node_groups_get_networking_dns_and_pod_identity() -> None:
    assert set(addons(cluster_of(compute=GROUPS))) == {
        "coredns",
        "eks-pod-identity-agent",
        "kube-proxy",
        "metrics-server",
        "vpc-cni",
    }


def test_dns_runs_on_fargate_where_there_is_nothing_else() -> None:
    made = addons(cluster_of(compute=ON_FARGATE))
    assert set(made) == {"coredns", "metrics-server"}
    assert json.loads(made["coredns"]["configurationValues"]) == {"computeType": "Fargate"}


def test_a_version_is_fixed_by_saying_it_and_eks_own_choice_otherwise() -> None:
    made = addons(
        cluster_of(compute=GROUPS, addons={"vpc-cni": "v1.20.4-eksbuild.2", "snapshot-controller": None})
    )
    assert made["vpc-cni"]["addonVersion"] == "v1.20.4-eksbuild.2"
    assert "addonVersion" not in made["coredns"]
    assert "addonVersion" not in made["snapshot-controller"]


def test_an_add_on_that_calls_aws_gets_a_role_by_pod_identity() -> None:
    recorded = cluster_of(compute=GROUPS, addons={"aws-ebs-csi-driver": None})
    (identity,) = addons(recorded)["aws-ebs-csi-driver"]["podIdentityAssociations"]
    assert identity["serviceAccount"] == "ebs-csi-controller-sa"
    role = recorded.one("aws:iam/role:Role", "it-aws-ebs-csi-driver")
    assert identity["roleArn"].endswith(role.name)
    attached = recorded.one(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "it-aws-ebs-csi-driver-AmazonEBSCSIDriverPolicy"
    )
    assert attached.inputs["policyArn"].endswith(":aws:policy/service-role/AmazonEBSCSIDriverPolicy")


def test_an_add_on_can_be_configured() -> None:
    made = addons(cluster_of(addon_configuration={"metrics-server": {"replicas": 3}}))
    assert json.loads(made["metrics-server"]["configurationValues"]) == {"replicas": 3}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"addons": {"vpc-cni": None}}, "Auto Mode brings its own; leave it out"),
        ({"addons": {"coredns": "1.12"}}, "such as v1.12.1-eksbuild.2"),
        ({"addon_configuration": {"coredns": {}}}, "which the cluster does not have"),
        ({"compute": ON_FARGATE, "addons": {"kube-proxy": None}}, "runs on nodes"),
        ({"compute": ON_FARGATE, "keda": {}}, "which Fargate does not have"),
    ],
)
def test_what_would_not_run_is_refused(args: dict[str, Any], told: str) -> None:
    assert told in refused(**args)


class TestKeda:
    ARN = "arn:aws:sqs:eu-central-1:123456789012:tasks"
    RELEASE = "kubernetes:helm.sh/v3:Release"

    def test_it_is_there_by_choice(self) -> None:
        assert not cluster_of().of(self.RELEASE)

    def test_it_is_a_release_of_a_fixed_version_in_the_cluster(self) -> None:
        recorded = cluster_of(keda={})
        release = recorded.one(self.RELEASE)
        assert release.inputs["version"] == "2.20.2"
        assert release.inputs["repositoryOpts"] == {"repo": "https://kedacore.github.io/charts"}
        assert "it-kubernetes" in release.provider
        assert "it-kubernetes" in recorded.one("kubernetes:core/v1:Namespace").provider

    def test_its_operator_may_ask_the_queues_how_long_they_are_and_nothing_else(self) -> None:
        policy = cluster_of(keda={}, keda_queue_arns=[self.ARN]).one("aws:iam/rolePolicy:RolePolicy").inputs
        assert json.loads(policy["policy"])["Statement"] == [
            {"Effect": "Allow", "Action": ["sqs:GetQueueAttributes"], "Resource": [self.ARN]}
        ]

    def test_its_operator_may_read_metrics_where_a_fleet_scales_by_its_queues_age(self) -> None:
        recorded = cluster_of(keda={}, keda_queue_arns=[self.ARN], keda_reads_metrics=True)
        policy = recorded.one("aws:iam/rolePolicy:RolePolicy").inputs
        assert json.loads(policy["policy"])["Statement"][1:] == [
            {"Effect": "Allow", "Action": ["cloudwatch:GetMetricData"], "Resource": "*"}
        ]

    def test_one_that_is_there_is_left_as_it_is(self) -> None:
        recorded = cluster_of(keda={"install": False}, keda_queue_arns=[self.ARN])
        assert not recorded.of(self.RELEASE)
        assert not recorded.of("aws:iam/rolePolicy:RolePolicy")
        with pytest.raises(ArgsError, match="`install: false` leaves the KEDA that is there as it is, and v"):
            cluster_of(keda={"install": False, "version": "2.19.0"})

    def test_its_operator_gets_the_role_by_pod_identity(self) -> None:
        recorded = cluster_of(keda={"namespace": "scaling"})
        inputs = recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation").inputs
        assert (inputs["namespace"], inputs["serviceAccount"]) == ("scaling", "keda-operator")
        values = recorded.one(self.RELEASE).inputs["values"]
        assert values["serviceAccount"]["operator"]["name"] == inputs["serviceAccount"]

    def test_without_queues_its_operator_may_do_nothing(self) -> None:
        assert not cluster_of(keda={}).of("aws:iam/rolePolicy:RolePolicy")

    def test_values_of_ones_own_are_merged_over_the_set_ones(self) -> None:
        values = chart_values(Keda(values={"operator": {"replicaCount": 3, "affinity": {}}, "logging": {}}))
        assert values["operator"] == {"replicaCount": 3, "affinity": {}}
        assert values["metricsServer"] == {"replicaCount": 2}
        assert "logging" in values

    def test_merging_changes_neither_side(self) -> None:
        base, over = {"a": {"b": 1}}, {"a": {"c": 2}}
        assert merged(base, over) == {"a": {"b": 1, "c": 2}}
        assert (base, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_workloads_wait_for_access_nodes_add_ons_and_keda() -> None:
    def program() -> list[str]:
        args = {
            **SUBNETS,
            "admins": {"ops": "arn:aws:iam::123456789012:role/ops"},
            "compute": GROUPS,
            "keda": {},
        }
        return [type(resource).__name__ for resource in EksCluster("it", args).ready]

    kinds = record(program).result
    assert {"AccessEntry", "AccessPolicyAssociation", "NodeGroup", "Addon", "Release"} == set(kinds)


def test_network_policies_are_enforced_in_auto_mode_and_beside_node_groups() -> None:
    (told,) = cluster_of().of("kubernetes:core/v1:ConfigMap")
    assert (told.inputs["metadata"]["namespace"], told.inputs["metadata"]["name"]) == (
        "kube-system",
        "amazon-vpc-cni",
    )
    assert told.inputs["data"] == {"enable-network-policy-controller": "true"}
    groups = cluster_of(compute=GROUPS, addon_configuration={"vpc-cni": {"env": {"WARM_IP_TARGET": "2"}}})
    assert not groups.of("kubernetes:core/v1:ConfigMap")
    said = json.loads(addons(groups)["vpc-cni"]["configurationValues"])
    assert said == {"enableNetworkPolicy": "true", "env": {"WARM_IP_TARGET": "2"}}


def test_another_network_is_not_told_to_enforce_policies() -> None:
    assert not cluster_of(network_policy=False).of("kubernetes:core/v1:ConfigMap")
    made = addons(cluster_of(compute=GROUPS, network_policy=False))
    assert "configurationValues" not in made["vpc-cni"]
