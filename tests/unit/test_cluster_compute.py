"""What a cluster's pods run on: node groups and Fargate profiles, beside or in place of Auto Mode."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra.aws.cluster_compute import NodeGroup, ami_for, architecture
from tests.unit.recording import Recorded
from tests.unit.test_cluster import CLUSTER, cluster_of, refused

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
PROFILE = "aws:eks/fargateProfile:FargateProfile"
ON_FARGATE = {"fargate_profiles": {"all": {"selectors": [{"namespace": "kube-system"}]}}}


def with_group(**group: Any) -> Recorded:
    return cluster_of(compute={"node_groups": {"general": group}})


def refused_group(**group: Any) -> str:
    return refused(compute={"node_groups": {"general": group}})


class TestNodeGroups:
    def test_auto_mode_is_off_beside_them_unless_it_is_asked_for(self) -> None:
        inputs = with_group().one(CLUSTER).inputs
        assert inputs["computeConfig"] == {"enabled": False}
        assert inputs["kubernetesNetworkConfig"] == {"elasticLoadBalancing": {"enabled": False}}
        assert inputs["storageConfig"] == {"blockStorage": {"enabled": False}}
        both = cluster_of(compute={"auto": True, "node_groups": {"general": {}}})
        assert both.one(CLUSTER).inputs["computeConfig"]["enabled"] is True
        assert both.of(NODE_GROUP)

    def test_nodes_are_in_the_private_subnets_and_of_the_clusters_version(self) -> None:
        inputs = with_group().one(NODE_GROUP, "it-general").inputs
        assert inputs["subnetIds"] == ["subnet-1", "subnet-2"]
        assert inputs["version"] == "1.35"
        assert inputs["capacityType"] == "ON_DEMAND"
        assert inputs["scalingConfig"] == {"minSize": 2, "maxSize": 4, "desiredSize": 2}

    def test_how_many_there_are_is_the_autoscalers_business_afterwards(self) -> None:
        assert with_group(desired=3).one(NODE_GROUP).ignore_changes == ["scalingConfig.desiredSize"]

    def test_the_instance_metadata_wants_a_token_and_stays_on_the_node(self) -> None:
        options = with_group().one(TEMPLATE).inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)

    def test_the_disks_are_encrypted(self) -> None:
        (disk,) = with_group(disk_gb=80).one(TEMPLATE).inputs["blockDeviceMappings"]
        assert disk["ebs"]["encrypted"] == "true"
        assert (disk["deviceName"], disk["ebs"]["volumeSize"]) == ("/dev/xvda", 80)

    def test_nodes_get_no_address_on_the_internet(self) -> None:
        inputs = with_group().one(TEMPLATE).inputs
        assert "networkInterfaces" not in inputs
        assert "vpcSecurityGroupIds" not in inputs

    def test_launch_templates_instances_and_volumes_are_tagged(self) -> None:
        recorded = cluster_of(compute={"node_groups": {"general": {}}}, tags={"team": "support"})
        inputs = recorded.one(TEMPLATE).inputs
        assert inputs["tags"]["team"] == "support"
        tagged = {item["resourceType"]: item["tags"]["team"] for item in inputs["tagSpecifications"]}
        assert tagged == {"instance": "support", "volume": "support"}

    def test_bottlerocket_keeps_its_data_on_a_second_disk(self) -> None:
        system, data = with_group(ami="BOTTLEROCKET_ARM_64").one(TEMPLATE).inputs["blockDeviceMappings"]
        assert "volumeSize" not in system["ebs"]
        assert (data["deviceName"], data["ebs"]["volumeSize"]) == ("/dev/xvdb", 50)
        assert system["ebs"]["encrypted"] == data["ebs"]["encrypted"] == "true"

    def test_labels_taints_and_spot_are_said(self) -> None:
        inputs = (
            with_group(
                capacity="spot",
                instance_types=["m7i.large", "m7a.large"],
                labels={"team": "support"},
                taints=[{"key": "batch", "value": "yes", "effect": "NoExecute"}],
            )
            .one(NODE_GROUP)
            .inputs
        )
        assert (inputs["capacityType"], inputs["amiType"]) == ("SPOT", "AL2023_x86_64_STANDARD")
        assert inputs["labels"] == {"team": "support"}
        assert inputs["taints"] == [{"key": "batch", "value": "yes", "effect": "NO_EXECUTE"}]

    def test_the_nodes_role_may_only_be_a_node(self) -> None:
        recorded = with_group()
        attached = [
            item.inputs["policyArn"].rpartition("/")[2]
            for item in recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
            if item.name.startswith("it-nodes-")
        ]
        assert sorted(attached) == [
            "AmazonEC2ContainerRegistryPullOnly",
            "AmazonEKSWorkerNodePolicy",
            "AmazonEKS_CNI_Policy",
        ]

    @pytest.mark.parametrize(
        ("group", "told"),
        [
            ({"instance_types": ["m7g.large", "m7i.large"]}, "m7g.large is arm64, m7i.large is x86_64"),
            ({"instance_types": ["m7i.large", "g5.xlarge"]}, "different accelerators"),
            ({"instance_types": ["m7g"]}, "such as m7g.large"),
            ({"instance_types": []}, "at least 1"),
            ({"ami": "AL2023_x86_64_STANDARD"}, "say AL2023_ARM_64_STANDARD, or leave it out"),
            ({"min": 5}, "min 5 is above max 4; say a min of 4 at most"),
            ({"desired": 9}, "say 2 to 4"),
            ({"disk_gb": 10}, "greater than or equal to 20"),
            ({"labels": {"node-role.kubernetes.io/worker": ""}}, "is reserved"),
            ({"labels": {"eks.amazonaws.com/nodegroup": "a"}}, "is reserved"),
            ({"taints": [{"key": "a", "effect": "NO_SCHEDULE"}]}, "NoSchedule"),
            ({"capacity": "cheap"}, "spot"),
        ],
    )
    def test_what_makes_no_node_is_refused(self, group: dict[str, Any], told: str) -> None:
        assert told in refused_group(**group)

    def test_the_kubelets_own_labels_are_allowed(self) -> None:
        NodeGroup(labels={"node.kubernetes.io/pool": "a"})

    def test_a_name_that_eks_would_refuse_is_refused(self) -> None:
        assert "up to 30 lower-case letters" in refused(compute={"node_groups": {"General": {}}})


class TestArchitectures:
    @pytest.mark.parametrize(
        "kind",
        [
            "m7g.large",
            "c8gn.xlarge",
            "t4g.medium",
            "im4gn.large",
            "x2gd.metal",
            "r8gd.metal-24xl",
            "g5g.xlarge",
            "a1.large",
        ],
    )
    def test_graviton_is_arm(self, kind: str) -> None:
        assert architecture(kind) == "arm64"

    @pytest.mark.parametrize(
        "kind",
        [
            "m7i.large",
            "m7i-flex.large",
            "m7a.large",
            "g4dn.xlarge",
            "g6.2xlarge",
            "gr6.4xlarge",
            "p5.48xlarge",
            "c5.metal",
        ],
    )
    def test_intel_and_amd_are_not(self, kind: str) -> None:
        assert architecture(kind) == "x86_64"

    @pytest.mark.parametrize(
        ("kind", "ami"),
        [
            ("m7g.large", "AL2023_ARM_64_STANDARD"),
            ("g6.xlarge", "AL2023_x86_64_NVIDIA"),
            ("g5g.xlarge", "AL2023_ARM_64_NVIDIA"),
            ("inf2.xlarge", "AL2023_x86_64_NEURON"),
        ],
    )
    def test_the_image_has_what_the_chips_need(self, kind: str, ami: str) -> None:
        assert ami_for(kind) == ami

    @settings(max_examples=50)
    @given(
        series=st.sampled_from(["m", "c", "r", "t", "i", "x"]),
        generation=st.integers(min_value=1, max_value=9),
        chip=st.sampled_from(["", "g", "i", "a", "gd", "gn", "dn", "ad"]),
        size=st.sampled_from(["medium", "large", "xlarge", "24xlarge", "metal"]),
    )
    def test_every_group_gets_an_image_of_its_own_architecture(
        self, series: str, generation: int, chip: str, size: str
    ) -> None:
        kind = f"{series}{generation}{chip}.{size}"
        group = NodeGroup(instance_types=[kind])
        assert ("ARM_64" in group.image) == ("g" in chip)


class TestFargate:
    def test_profiles_are_in_the_private_subnets(self) -> None:
        inputs = cluster_of(compute=ON_FARGATE).one(PROFILE, "it-all").inputs
        assert inputs["subnetIds"] == ["subnet-1", "subnet-2"]
        assert inputs["selectors"] == [{"namespace": "kube-system"}]

    def test_the_pods_role_is_for_profiles_of_this_cluster_alone(self) -> None:
        role = cluster_of(compute=ON_FARGATE).one("aws:iam/role:Role", "it-fargate").inputs
        (statement,) = json.loads(role["assumeRolePolicy"])["Statement"]
        assert statement["Principal"] == {"Service": "eks-fargate-pods.amazonaws.com"}
        assert "aws:SourceArn" in statement["Condition"]["ArnLike"]

    def test_a_cluster_without_a_place_for_dns_is_refused(self) -> None:
        jobs = {"selectors": [{"namespace": "jobs"}]}
        assert "the cluster would have no DNS" in refused(compute={"fargate_profiles": {"jobs": jobs}})
        cluster_of(compute={"fargate_profiles": {"jobs": {"selectors": [{"namespace": "*"}]}}})
        cluster_of(compute={"auto": True, "fargate_profiles": {"jobs": jobs}})

    @pytest.mark.parametrize(
        ("profile", "told"),
        [
            ({"selectors": []}, "at least 1"),
            ({"selectors": [{"namespace": "a"}] * 6}, "at most 5"),
            ({"selectors": [{"namespace": "A b"}]}, "a namespace"),
        ],
    )
    def test_selectors_that_eks_would_refuse_are_refused(self, profile: dict[str, Any], told: str) -> None:
        assert told in refused(compute={"auto": True, "fargate_profiles": {"jobs": profile}})
