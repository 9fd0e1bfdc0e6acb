"""The components on AWS: closed, encrypted and backed up unless it was said otherwise."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from agent_infra import (
    ArgsError,
    Database,
    EksCluster,
    Network,
    RedisCache,
    Registry,
    Secrets,
    Storage,
    WorkQueue,
    task_contract,
)
from agent_infra.aws.cluster import kubeconfig
from tests.unit.recording import ZONES, Recorded, record

PLACED = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "clients": {"cluster": "sg-cluster"}}


def made(component: Any, args: dict[str, Any]) -> Recorded:
    return record(lambda: component("it", args) and None)


def network(**args: Any) -> Recorded:
    return made(Network, args)


@pytest.mark.parametrize(("nat", "count"), [("none", 0), ("one", 1), ("per-zone", 3)])
def test_nat_gateways_are_as_many_as_was_said(nat: str, count: int) -> None:
    recorded = network(nat=nat)
    assert len(recorded.of("aws:ec2/natGateway:NatGateway")) == count
    private = [route for route in recorded.of("aws:ec2/route:Route") if "private" in route.name]
    assert len(private) == (3 if count else 0)
    assert len({route.inputs["natGatewayId"] for route in private}) == count


def test_changing_nat_neither_adds_nor_removes_a_subnet_or_table() -> None:
    def fixed(nat: str) -> list[tuple[str, str]]:
        kinds = ("aws:ec2/subnet:Subnet", "aws:ec2/routeTable:RouteTable")
        return sorted((item.type, item.name) for item in network(nat=nat).resources if item.type in kinds)

    assert fixed("none") == fixed("per-zone")


def test_isolated_subnets_have_no_way_out() -> None:
    recorded = network()
    assert not [route for route in recorded.of("aws:ec2/route:Route") if "isolated" in route.name]
    assert not any(item.inputs["mapPublicIpOnLaunch"] for item in recorded.of("aws:ec2/subnet:Subnet"))


def test_subnets_say_what_load_balancers_they_are_for() -> None:
    tags = {item.name: item.inputs["tags"] for item in network().of("aws:ec2/subnet:Subnet")}
    assert tags["it-public-0"]["kubernetes.io/role/elb"] == "1"
    assert tags["it-private-0"]["kubernetes.io/role/internal-elb"] == "1"
    assert not [key for key in tags["it-isolated-0"] if key.startswith("kubernetes.io")]


def test_zones_are_the_regions_first_ones_and_stay_when_it_gains_one() -> None:
    subnets = [item for item in network(zones=2).of("aws:ec2/subnet:Subnet") if "private" in item.name]
    zones = {item.name: item.inputs["availabilityZone"] for item in subnets}
    assert zones == {"it-private-0": ZONES[0], "it-private-1": ZONES[1]}
    assert all(item.ignore_changes == ["availabilityZone"] for item in subnets)


def test_named_zones_are_taken_as_they_are() -> None:
    subnets = network(zones=["eu-central-1c", "eu-central-1a"]).of("aws:ec2/subnet:Subnet")
    assert {item.inputs["availabilityZone"] for item in subnets} == {"eu-central-1a", "eu-central-1c"}
    assert not any(item.ignore_changes for item in subnets)


def test_a_region_with_too_few_zones_is_told_with_the_way_out() -> None:
    with pytest.raises(Exception, match="4 were asked for and this region has 3") as raised:
        network(zones=4)
    assert "say 3 or less" in str(raised.value)


@pytest.mark.parametrize("zones", [1, 7, ["eu-central-1a"], ["eu-central-1a", "eu-central-1a"]])
def test_an_impossible_choice_of_zones_is_refused(zones: Any) -> None:
    with pytest.raises(ArgsError, match="Network 'it': zones"):
        network(zones=zones)


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


@pytest.fixture(scope="module")
def cache() -> Recorded:
    def program() -> Any:
        made = RedisCache("it", PLACED)
        return pulumi.Output.all(made.url, made.secret_arn)

    return record(program)


def test_the_cache_is_encrypted_and_outlives_a_zone(cache: Recorded) -> None:
    group = cache.one("aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["engine"] == "valkey"
    assert group.inputs["transitEncryptionEnabled"] is True
    assert group.inputs["atRestEncryptionEnabled"] is True
    assert group.inputs["multiAzEnabled"] is True
    assert group.protect is True


def test_the_password_is_drawn_once_kept_secret_and_read_back_from_where_it_is_stored(
    cache: Recorded,
) -> None:
    version = cache.one("aws:secretsmanager/secretVersion:SecretVersion")
    assert json.loads(version.inputs["secretString"]) == {"password": "drawn-password"}
    assert version.ignore_changes == ["secretString"]
    group = cache.one("aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["authToken"] == "drawn-password"
    assert "secretString" in version.secrets
    assert "authToken" in group.secrets
    assert cache.result[0] == "rediss://it.cache.amazonaws.com:6379/0"


def test_only_the_clients_may_connect(cache: Recorded) -> None:
    rule = cache.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == ("sg-cluster", 6379, 6379)
    group = cache.one("aws:ec2/securityGroup:SecurityGroup").inputs
    assert "ingress" not in group
    assert "egress" not in group


def database(**args: Any) -> Recorded:
    def program() -> Any:
        made = Database("it", {**PLACED, **args})
        return pulumi.Output.all(made.url, made.secret_arn)

    return record(program, stack="prod")


def test_a_database_is_one_instance_with_a_standby_by_default() -> None:
    recorded = database()
    inputs = recorded.one("aws:rds/instance:Instance").inputs
    assert inputs["multiAz"] is True
    assert inputs["storageEncrypted"] is True
    assert inputs["manageMasterUserPassword"] is True
    assert inputs["publiclyAccessible"] is False
    assert inputs["deletionProtection"] is True
    assert inputs["finalSnapshotIdentifier"] == "it-prod-final"
    assert "password" not in inputs
    assert recorded.result[0] == "postgresql://it.rds.amazonaws.com:5432/agents?sslmode=require"
    assert recorded.result[1].endswith("-master")


def test_aurora_pauses_when_it_may_go_down_to_nothing() -> None:
    recorded = database(mode="aurora-serverless", min_capacity=0, max_capacity=2)
    assert recorded.one("aws:rds/cluster:Cluster").inputs["serverlessv2ScalingConfiguration"] == {
        "minCapacity": 0,
        "maxCapacity": 2,
        "secondsUntilAutoPause": 300,
    }
    assert recorded.one("aws:rds/clusterInstance:ClusterInstance").inputs["instanceClass"] == "db.serverless"
    awake = database(mode="aurora-serverless", min_capacity=0.5).one("aws:rds/cluster:Cluster").inputs
    assert "secondsUntilAutoPause" not in awake["serverlessv2ScalingConfiguration"]


@pytest.mark.parametrize(
    ("mode", "type"),
    [
        ("instance", "aws:rds/parameterGroup:ParameterGroup"),
        ("aurora-serverless", "aws:rds/clusterParameterGroup:ClusterParameterGroup"),
    ],
)
def test_every_database_refuses_connections_without_tls(mode: str, type: str) -> None:
    parameters = database(mode=mode).one(type).inputs["parameters"]
    assert parameters == [{"name": "rds.force_ssl", "value": "1"}]


def test_without_protection_nothing_outlives_the_database() -> None:
    inputs = database(deletion_protection=False).one("aws:rds/instance:Instance").inputs
    assert inputs["deletionProtection"] is False
    assert inputs["skipFinalSnapshot"] is True
    assert "finalSnapshotIdentifier" not in inputs


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"min_capacity": 8, "max_capacity": 4}, "min_capacity 8 is above max_capacity 4"),
        ({"storage_gib": 100, "max_storage_gib": 105}, "say 110 or more"),
        ({"mode": "aurora"}, "mode: 'aurora' is wrong: input should be 'aurora-serverless' or 'instance'"),
        ({"engine_version": "sixteen"}, 'such as "16"'),
        ({"vpc_id": 3}, "vpc_id: 3 is wrong: input should be a valid string"),
    ],
)
def test_an_impossible_database_is_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        database(**args)
    assert said in str(raised.value)


def test_a_task_is_hidden_for_longer_than_it_may_take_and_fails_into_the_dead_letter_queue() -> None:
    recorded = made(WorkQueue, {"task_timeout": 900, "max_receives": 3})
    queue = recorded.one("aws:sqs/queue:Queue", "it").inputs
    assert queue["visibilityTimeoutSeconds"] == task_contract(900).visibility > 900
    dead = recorded.one("aws:sqs/queue:Queue", "it-dead-letters").inputs
    assert dead["messageRetentionSeconds"] > queue["messageRetentionSeconds"]
    redrive = json.loads(queue["redrivePolicy"])
    assert redrive["maxReceiveCount"] == 3
    assert redrive["deadLetterTargetArn"].endswith("it-dead-letters")
    allowed = json.loads(
        recorded.one("aws:sqs/redriveAllowPolicy:RedriveAllowPolicy").inputs["redriveAllowPolicy"]
    )
    assert allowed["redrivePermission"] == "byQueue"


@pytest.mark.parametrize(
    ("component", "type", "count"),
    [
        (WorkQueue, "aws:sqs/queuePolicy:QueuePolicy", 2),
        (Storage, "aws:s3/bucketPolicy:BucketPolicy", 1),
    ],
)
def test_whoever_comes_without_tls_is_refused(component: Any, type: str, count: int) -> None:
    policies = made(component, {}).of(type)
    assert len(policies) == count
    for item in policies:
        (statement,) = json.loads(item.inputs["policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_bucket_is_closed_versioned_and_encrypted() -> None:
    recorded = made(Storage, {"expire_after_days": 30})
    block = recorded.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    assert all(value is True for key, value in block.items() if key != "bucket")
    versioning = recorded.one("aws:s3/bucketVersioning:BucketVersioning").inputs
    assert versioning["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = recorded.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").inputs["rules"]
    assert rule["expiration"] == {"days": 30}
    assert recorded.one("aws:s3/bucket:Bucket").inputs["forceDestroy"] is False


def test_a_registry_never_moves_a_tag_and_forgets_old_images() -> None:
    recorded = made(Registry, {"keep_images": 5})
    inputs = recorded.one("aws:ecr/repository:Repository").inputs
    assert inputs["imageTagMutability"] == "IMMUTABLE"
    assert inputs["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(recorded.one("aws:ecr/lifecyclePolicy:LifecyclePolicy").inputs["policy"])
    assert [rule["selection"]["countNumber"] for rule in policy["rules"]] == [14, 5]


def test_secrets_are_marked_secret_and_those_filled_by_hand_are_left_alone() -> None:
    def program() -> None:
        given = pulumi.Output.from_input({"OPENAI_API_KEY": "sk-1"})
        Secrets("it", {"values": {"given": given, "by-hand": None}})

    recorded = record(program)
    given = recorded.one("aws:secretsmanager/secretVersion:SecretVersion", "it-given")
    assert json.loads(given.inputs["secretString"]) == {"OPENAI_API_KEY": "sk-1"}
    assert "secretString" in given.secrets
    assert given.ignore_changes == []
    by_hand = recorded.one("aws:secretsmanager/secretVersion:SecretVersion", "it-by-hand")
    assert by_hand.inputs["secretString"] == "{}"
    assert by_hand.ignore_changes == ["secretString"]


def test_a_plain_text_is_refused_where_a_secret_belongs_and_not_repeated() -> None:
    with pytest.raises(ArgsError) as raised:
        made(Secrets, {"values": {"llm": "sk-1"}})
    assert "sk-1" not in str(raised.value)


@pytest.mark.parametrize(
    ("component", "args"),
    [
        (Network, {}),
        (EksCluster, {"subnet_ids": ["a", "b"]}),
        (RedisCache, PLACED),
        (Database, PLACED),
        (WorkQueue, {}),
        (Registry, {}),
        (Storage, {}),
    ],
)
def test_every_taggable_child_carries_the_components_tags_and_is_its_child(
    component: Any, args: dict[str, Any]
) -> None:
    recorded = made(component, {**args, "tags": {"team": "support"}})
    children = [item for item in recorded.resources if item.type.startswith("aws:")]
    assert {item.parent for item in children} == {"it"}
    tagged = [item for item in children if "tags" in item.inputs]
    assert tagged
    for item in tagged:
        assert item.inputs["tags"]["team"] == "support"
        assert item.inputs["tags"]["managed-by"] == "agent-infra"
