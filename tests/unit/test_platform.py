"""The whole platform from the settings that are shipped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from agent_infra import AgentPlatform, AgentPlatformArgs, ArgsError, Settings, secret_variables
from agent_infra.stores import processes
from tests.unit.components import KEY, as_text
from tests.unit.recording import Recorded, record

ROOT = Path(__file__).parents[2]
SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
IMAGE = f"registry.example/agents@sha256:{'1' * 64}"


def settings_of(environment: str, change: Mapping[str, Any] | None = None) -> Settings:
    """The shipped settings of an environment; `change` is laid over them."""
    config = yaml.safe_load((ROOT / f"Pulumi.{environment}.yaml").read_text())["config"]
    config.update({f"agent-infra:{key}": value for key, value in (change or {}).items()})
    return Settings.load({key: as_text(value) for key, value in config.items()}, environment)


def platform(
    environment: str, *, rehearsal: bool = False, change: Mapping[str, Any] | None = None, **variables: str
) -> Recorded:
    """What the shipped settings of an environment register; `change` is laid over them."""
    settings = settings_of(environment, change)
    if rehearsal:
        settings = settings.for_rehearsal()

    def program() -> Any:
        args = AgentPlatformArgs(
            settings=settings, project_dir=str(ROOT), variables=secret_variables(settings, variables)
        )
        return pulumi.Output.from_input(AgentPlatform("agents", args).outputs)

    return record(program, stack=environment)


@pytest.fixture(scope="module")
def prod() -> Recorded:
    return platform("prod")


@pytest.fixture(scope="module")
def local() -> Recorded:
    return platform("local", OPENAI_API_KEY="sk-1")


def test_only_the_cluster_may_connect_to_the_data_services(prod: Recorded) -> None:
    rules = prod.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert sorted(rule.inputs["fromPort"] for rule in rules) == [5432, 6379]
    assert {rule.inputs["referencedSecurityGroupId"] for rule in rules} == {"sg-cluster"}


def test_data_services_are_in_isolated_subnets_and_the_cluster_in_private_ones(prod: Recorded) -> None:
    isolated = [f"agents-network-isolated-{index}-id" for index in range(3)]
    assert prod.one("aws:rds/subnetGroup:SubnetGroup").inputs["subnetIds"] == isolated
    assert prod.one("aws:elasticache/subnetGroup:SubnetGroup").inputs["subnetIds"] == isolated
    subnets = prod.one("aws:eks/cluster:Cluster").inputs["vpcConfig"]["subnetIds"]
    assert subnets == [f"agents-network-private-{index}-id" for index in range(3)]


def test_the_namespace_holds_its_pods_to_the_restricted_standard(prod: Recorded) -> None:
    metadata = prod.one("kubernetes:core/v1:Namespace", "agents-namespace").inputs["metadata"]
    assert metadata["name"] == "agents"
    assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_kubernetes_objects_are_made_in_the_platforms_cluster(prod: Recorded) -> None:
    objects = [item for item in prod.resources if item.type.startswith("kubernetes:")]
    assert objects
    assert all("agents-cluster-kubernetes" in item.provider for item in objects)


def test_prods_fleet_is_built_into_its_own_registry_and_deployed_by_digest(prod: Recorded) -> None:
    image = prod.one("docker:index/image:Image").inputs
    assert "/agents-support-images:" in image["imageName"]
    assert (
        "registry" in prod.one("docker:index/image:Image").secrets or image["registry"]["username"] == "AWS"
    )
    template = prod.one("kubernetes:apps/v1:Deployment", "support").inputs["spec"]["template"]
    assert "@sha256:" in template["spec"]["containers"][0]["image"]


#: What cannot be made again out of the program.
HOLDS_DATA = (
    "aws:ecr/repository:Repository",
    "aws:eks/cluster:Cluster",
    "aws:elasticache/replicationGroup:ReplicationGroup",
    "aws:rds/instance:Instance",
    "aws:s3/bucket:Bucket",
    "aws:sqs/queue:Queue",
)


def test_what_holds_data_is_protected_in_prod_and_not_in_its_rehearsal(prod: Recorded) -> None:
    rehearsed = platform("prod", rehearsal=True)
    for type in HOLDS_DATA:
        assert {item.protect for item in prod.of(type)} == {True}, type
        assert {item.protect for item in rehearsed.of(type)} == {False}, type
    assert prod.one("aws:rds/instance:Instance").inputs["deletionProtection"] is True
    assert prod.one("aws:eks/cluster:Cluster").inputs["deletionProtection"] is True
    assert prod.one("aws:s3/bucket:Bucket").inputs["forceDestroy"] is False
    windows = {item.inputs["recoveryWindowInDays"] for item in prod.of("aws:secretsmanager/secret:Secret")}
    assert windows == {30}
    assert len(rehearsed.resources) == len(prod.resources)


def test_prod_outlives_the_loss_of_a_zone(prod: Recorded) -> None:
    subnets = prod.of("aws:ec2/subnet:Subnet")
    assert len({item.inputs["availabilityZone"] for item in subnets}) == 3
    assert len(prod.of("aws:ec2/natGateway:NatGateway")) == 3
    assert prod.one("aws:rds/instance:Instance").inputs["multiAz"] is True
    cache = prod.one("aws:elasticache/replicationGroup:ReplicationGroup").inputs
    assert (cache["multiAzEnabled"], cache["automaticFailoverEnabled"]) == (True, True)
    for deployment in prod.of("kubernetes:apps/v1:Deployment"):
        pod = deployment.inputs["spec"]["template"]["spec"]
        keys = {item["topologyKey"] for item in pod["topologySpreadConstraints"]}
        assert "topology.kubernetes.io/zone" in keys


def test_the_users_keys_reach_the_secret_and_absent_ones_are_left_out(local: Recorded) -> None:
    version = local.one("aws:secretsmanager/secretVersion:SecretVersion", "agents-secrets-llm")
    assert json.loads(version.inputs["secretString"]) == {"OPENAI_API_KEY": "sk-1"}
    assert "secretString" in version.secrets


def test_a_fleet_keeps_no_more_connections_than_its_database_takes(prod: Recorded) -> None:
    config = prod.settings()
    assert config["AGENT_APP_DATABASE_POOL_SIZE"] == "10"
    dev = platform("dev").settings()
    assert dev["AGENT_APP_DATABASE_POOL_SIZE"] == "0", "an idle pool would keep the database awake"


def test_a_fleet_gives_up_on_a_task_when_its_queue_does(local: Recorded) -> None:
    queue = json.loads(local.one("aws:sqs/queue:Queue", "agents-support-tasks").inputs["redrivePolicy"])
    config = local.settings()
    assert config["AGENT_APP_MAX_ATTEMPTS"] == str(queue["maxReceiveCount"])


def test_the_local_fleet_runs_two_replicas_and_a_worker(local: Recorded) -> None:
    replicas = {
        item.name: item.inputs["spec"]["replicas"] for item in local.of("kubernetes:apps/v1:Deployment")
    }
    assert replicas == {"support": 2, "support-worker": 1}
    assert not local.of("docker:index/image:Image")


def test_nothing_secret_is_an_output(local: Recorded) -> None:
    assert "sk-1" not in json.dumps(local.result)
    assert "drawn-password" not in json.dumps(local.result)
    assert local.result["fleets"]["support"] == {
        "service": "support",
        "url": "http://support.agents.svc",
        "namespace": "agents",
        "image": "agent-app:local",
        "max_replicas": {"api": 2, "worker": 1},
    }
    assert set(local.result["queue_urls"]) == {"support"}


REDIS = {"url": "rediss://redis.example.com:6379/0"}
POSTGRES = {"url": "postgresql://postgres.example.com:5432/agents"}
QUEUE_ARN = "arn:aws:sqs:eu-central-1:123456789012:tasks"
QUEUE = {"url": "https://sqs.eu-central-1.amazonaws.com/123456789012/tasks", "arn": QUEUE_ARN}
BUCKET = {"name": "made-elsewhere", "arn": "arn:aws:s3:::made-elsewhere"}
SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:llm-AbCdEf"
REPOSITORY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/agents/support"


@pytest.mark.parametrize(
    ("change", "type", "variable", "said"),
    [
        (
            {"cache": {"existing": REDIS}},
            "aws:elasticache/replicationGroup:ReplicationGroup",
            "AGENT_APP_REDIS_URL",
            REDIS["url"],
        ),
        (
            {"database": {"existing": POSTGRES}},
            "aws:rds/instance:Instance",
            "AGENT_APP_DATABASE_URL",
            POSTGRES["url"],
        ),
        (
            {"storage": {"existing": BUCKET}},
            "aws:s3/bucket:Bucket",
            "AGENT_APP_ARTIFACT_BUCKET",
            BUCKET["name"],
        ),
        (
            {"secrets": {"llm": {"existing": SECRET_ARN}}},
            "aws:secretsmanager/secret:Secret",
            "AGENT_APP_LLM_SECRET_ARN",
            SECRET_ARN,
        ),
    ],
)
def test_a_part_that_exists_is_used_and_none_is_made(
    change: dict[str, Any], type: str, variable: str, said: str
) -> None:
    recorded = platform("prod", change=change)
    others = {"agents-cache-password", "agents-secrets-support-api-keys"}
    own = [item for item in recorded.of(type) if item.name not in others]
    assert own == []
    assert recorded.settings()[variable] == said


def test_a_queue_and_a_repository_that_exist_are_used() -> None:
    fleet = {
        "image": {"context": "agent_app", "repository_url": REPOSITORY},
        "worker": {},
        "queue": {"existing": QUEUE},
    }
    recorded = platform("prod", change={"fleets": {"support": fleet}})
    assert recorded.of("aws:sqs/queue:Queue") == []
    assert recorded.of("aws:ecr/repository:Repository") == []
    assert recorded.one("docker:index/image:Image").inputs["imageName"].startswith(f"{REPOSITORY}:")
    config = recorded.settings()
    assert config["AGENT_APP_QUEUE_URL"] == QUEUE["url"]


def test_one_key_encrypts_what_can_change_its_key_and_the_fleet_may_use_it() -> None:
    recorded = platform("prod", change={"kms_key_arn": KEY})
    queues = recorded.of("aws:sqs/queue:Queue")
    assert {item.inputs["kmsMasterKeyId"] for item in queues} == {KEY}
    rule = recorded.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    assert KEY in json.dumps(rule.inputs)
    assert "kmsKeyId" not in recorded.one("aws:rds/instance:Instance").inputs
    policy = recorded.one("aws:iam/rolePolicy:RolePolicy", "support-role").inputs["policy"]
    assert KEY in policy


def test_one_switch_makes_the_alarms_of_every_part() -> None:
    alarms = platform("prod", change={"alarms": {"notify": ["arn:topic"]}}).of(
        "aws:cloudwatch/metricAlarm:MetricAlarm"
    )
    assert {item.inputs["namespace"] for item in alarms} >= {"AWS/ElastiCache", "AWS/RDS", "AWS/SQS"}
    assert all(item.inputs["alarmActions"] == ["arn:topic"] for item in alarms)
    assert platform("dev").of("aws:cloudwatch/metricAlarm:MetricAlarm") == []


def test_kedas_operator_may_ask_for_the_fleets_queues_alone(prod: Recorded) -> None:
    (policy,) = [item for item in prod.of("aws:iam/rolePolicy:RolePolicy") if "keda" in item.name]
    depth, age = json.loads(policy.inputs["policy"])["Statement"]
    assert depth["Action"] == ["sqs:GetQueueAttributes"]
    assert depth["Resource"] == ["arn:aws:sqs:eu-central-1:123456789012:agents-support-tasks"]
    # Prod scales by its queue's age too; CloudWatch knows no narrower resource.
    assert (age["Action"], age["Resource"]) == (["cloudwatch:GetMetricData"], "*")


def test_workers_scale_by_their_queue_in_prod_and_sleep_in_dev(prod: Recorded) -> None:
    found = prod.one(SCALED_OBJECT).inputs["spec"]
    assert (found["minReplicaCount"], found["maxReplicaCount"]) == (2, 20)
    assert [trigger["name"] for trigger in found["triggers"]] == ["queue-depth", "queue-age", "cpu"]
    dev = platform("dev")
    assert dev.one(SCALED_OBJECT).inputs["spec"]["minReplicaCount"] == 0
    (policy,) = [item for item in dev.of("aws:iam/rolePolicy:RolePolicy") if "keda" in item.name]
    assert len(json.loads(policy.inputs["policy"])["Statement"]) == 1


def test_an_existing_queue_is_read_where_it_is() -> None:
    existing = {
        "url": "https://sqs.us-east-1.amazonaws.com/210987654321/orders",
        "arn": "arn:aws:sqs:us-east-1:210987654321:orders",
    }
    recorded = platform("prod", change=fleet(worker={}, queue={"existing": existing}))
    (trigger, _) = recorded.one(SCALED_OBJECT).inputs["spec"]["triggers"]
    assert (trigger["metadata"]["queueURL"], trigger["metadata"]["awsRegion"]) == (
        existing["url"],
        "us-east-1",
    )
    (policy,) = [item for item in recorded.of("aws:iam/rolePolicy:RolePolicy") if "keda" in item.name]
    assert json.loads(policy.inputs["policy"])["Statement"][0]["Resource"] == [existing["arn"]]


def test_a_keda_that_is_there_is_told_to_the_fleets_and_not_installed() -> None:
    keda = {"install": False, "role_arn": "arn:aws:iam::123456789012:role/reader"}
    recorded = platform("prod", change={"cluster": {"keda": keda}})
    assert not recorded.of("kubernetes:helm.sh/v3:Release")
    made = recorded.one("kubernetes:keda.sh/v1alpha1:TriggerAuthentication").inputs["spec"]
    assert made["podIdentity"]["roleArn"] == keda["role_arn"]


def test_connections_are_counted_for_as_many_replicas_as_the_models_limits_keep_busy() -> None:
    # 4 at once, 4 calls a minute each: 16 calls a minute, and 5 workers.
    change = fleet(llm={"requests_per_minute": 80}, worker={"replicas": {"min": 1, "max": 20}})
    assert processes(settings_of("prod", change)) == {"support": 10 + 3 + 5 + 2}
    recorded = platform("prod", change=change)
    assert recorded.result["fleets"]["support"]["max_replicas"] == {"api": 10, "worker": 5}


def fleet(**more: Any) -> dict[str, Any]:
    return {"fleets": {"support": {"image": IMAGE, **more}}}


def test_a_fleets_own_secret_is_its_own_and_comes_before_the_environments() -> None:
    recorded = platform("prod", change=fleet(llm={"secret": "llm"}, secrets={"llm": {}}))
    names = {item.name for item in recorded.of("aws:secretsmanager/secret:Secret")}
    assert {"agents-secrets-llm", "agents-secrets-support-llm"} <= names
    assert set(recorded.result["secret_arns"]) == {"llm", "support/llm", "support/api-keys"}
    config = recorded.settings()
    assert config["AGENT_APP_LLM_SECRET_ARN"].endswith("agents-secrets-support-llm")


API_KEYS = "agents-secrets-support-api-keys"
OIDC = {"issuer": "https://login.example.com/realms/a", "audience": "agents", "scope": "agents:use"}


def test_outside_local_a_fleet_has_a_first_api_key_that_its_pods_may_read(prod: Recorded) -> None:
    version = prod.one("aws:secretsmanager/secretVersion:SecretVersion", API_KEYS)
    assert json.loads(version.inputs["secretString"]) == {"first": "drawn-password"}
    assert "secretString" in version.secrets
    assert "secretString" in version.ignore_changes
    arn = prod.result["api_keys_secret_arns"]["support"]
    assert prod.settings()["AGENT_APP_API_KEYS_SECRET_ARN"] == arn
    policy = json.loads(prod.one("aws:iam/rolePolicy:RolePolicy", "support-role").inputs["policy"])
    (secrets,) = [item for item in policy["Statement"] if item["Sid"] == "Secrets"]
    assert arn in secrets["Resource"]
    assert "drawn-password" not in json.dumps(prod.result)


def test_in_local_nobody_needs_a_key_unless_one_is_asked_for(local: Recorded) -> None:
    assert local.result["api_keys_secret_arns"] == {}
    assert "AGENT_APP_API_KEYS_SECRET_ARN" not in local.settings()
    asked = platform("local", change=fleet(auth={"api_keys": True}))
    assert set(asked.result["api_keys_secret_arns"]) == {"support"}


@pytest.mark.parametrize(("keys", "both"), [(None, False), (True, True)])
def test_people_get_in_by_tokens_and_programs_by_keys_where_both_are_said(
    keys: bool | None, both: bool
) -> None:
    recorded = platform("prod", change=fleet(auth={"oidc": OIDC, "api_keys": keys}))
    data = recorded.settings()
    assert data["AGENT_APP_OIDC_ISSUER"] == OIDC["issuer"]
    assert (data["AGENT_APP_OIDC_AUDIENCE"], data["AGENT_APP_OIDC_SCOPE"]) == ("agents", "agents:use")
    assert "AGENT_APP_OIDC_OWNER_CLAIM" not in data
    assert ("AGENT_APP_API_KEYS_SECRET_ARN" in data) == both


def test_a_secret_of_ones_own_can_hold_the_keys() -> None:
    auth = {"api_keys_secret": "clients"}
    recorded = platform("prod", change=fleet(auth=auth, secrets={"clients": {"existing": SECRET_ARN}}))
    data = recorded.settings()
    assert data["AGENT_APP_API_KEYS_SECRET_ARN"] == SECRET_ARN
    assert not [item for item in recorded.resources if item.name == API_KEYS]


def test_a_fleet_sends_what_failed_to_its_own_dead_letter_queue(prod: Recorded) -> None:
    data = prod.settings()
    assert data["AGENT_APP_DEAD_LETTER_URL"] == prod.result["dead_letter_queue_urls"]["support"]


def test_secrets_that_a_fleet_wants_in_kubernetes_are_kept_there_and_become_its_environment() -> None:
    change = fleet(synced_secrets=["crm", "own"], secrets={"own": {}})
    recorded = platform("prod", change={**change, "secrets": {"crm": {"existing": SECRET_ARN}}})
    synced = [item for item in recorded.resources if item.type.endswith(":ExternalSecret")]
    assert {item.inputs["metadata"]["name"] for item in synced} == {"crm", "support-own"}
    pod = recorded.one("kubernetes:apps/v1:Deployment", "support").inputs["spec"]["template"]["spec"]
    sources = [source.get("secretRef", {}).get("name") for source in pod["containers"][0]["envFrom"]]
    assert {"crm", "support-own"} <= set(sources)


def test_a_fleet_gets_its_role_by_irsa_where_it_was_said() -> None:
    change = {**fleet(identity="irsa", llm={"secret": "llm"}), "cluster": {"irsa": True}}
    recorded = platform("prod", change=change)
    trust = json.loads(recorded.one("aws:iam/role:Role", "support-role").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Action"] == "sts:AssumeRoleWithWebIdentity"


def test_a_cluster_that_exists_is_used_beside_a_network_that_exists() -> None:
    network = {
        "existing": {
            "vpc_id": "vpc-0aaaaaaa",
            "private_subnet_ids": ["subnet-0a1b2c3d4e5f60711", "subnet-0a1b2c3d4e5f60712"],
        }
    }
    cluster = {"existing": {"name": "shared"}, "keda": {}}
    recorded = platform("prod", change={"network": network, "cluster": cluster})
    assert recorded.of("aws:ec2/vpc:Vpc") == []
    assert recorded.of("aws:eks/cluster:Cluster") == []
    association = recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation", "support-role")
    assert association.inputs["clusterName"] == "shared"


def test_a_serverless_cache_can_be_said() -> None:
    recorded = platform("prod", change={"cache": {"serverless": {"max_storage_gb": 5}}})
    assert len(recorded.of("aws:elasticache/serverlessCache:ServerlessCache")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"fleets": {"support": {"image": {"context": "agnt_app"}}}},
            r"fleets\.support\.image\.context: .*agnt_app is no directory; say one",
        ),
        (
            {"fleets": {"support": {"image": IMAGE, "replicas": {"max": 900}}}},
            r"database: 1125 processes \(support 1125\) with 2 connections each need 2250",
        ),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_made(change: dict[str, Any], said: str) -> None:
    made: list[str] = []

    def program() -> None:
        values = {"environment": "prod", "region": "eu-central-1", "database": {}, **change}
        settings = Settings.model_validate(values)
        try:
            AgentPlatform("agents", AgentPlatformArgs(settings=settings, project_dir=str(ROOT)))
        except ArgsError as error:
            made.append(str(error))

    recorded = record(program)
    assert re.search(said, made[0])
    assert recorded.resources == []


def test_every_part_can_be_left_out() -> None:
    left_out = {
        "network": None,
        "cluster": None,
        "cache": None,
        "database": None,
        "fleets": {},
        "secrets": {},
    }
    recorded = platform("prod", change={**left_out, "storage": {}})
    kinds = {item.type.split(":")[1].partition("/")[0] for item in recorded.resources if "aws:" in item.type}
    assert kinds == {"s3"}
    assert recorded.result["cluster_name"] is None


def test_other_clients_may_connect_to_the_data_services_too() -> None:
    recorded = platform("prod", change={"clients": {"bastion": "sg-0123456789abcdef"}})
    rules = recorded.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    ports = sorted(
        rule.inputs["fromPort"]
        for rule in rules
        if rule.inputs.get("referencedSecurityGroupId") == "sg-0123456789abcdef"
    )
    assert ports == [5432, 6379]


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_no_two_resources_of_an_environment_share_type_and_name(environment: str) -> None:
    found = [(item.type, item.name) for item in platform(environment).resources]
    assert len(found) == len(set(found))
