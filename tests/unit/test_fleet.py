"""The fleet's Kubernetes objects, as the cluster would get them."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from agent_infra import AgentFleet, AgentFleetArgs, ArgsError, Replicas, Resources, SecretKey
from agent_infra.fleet import FleetService, QueueConnection, Worker
from agent_infra.fleet.merge import merge
from agent_infra.fleet.scaling_args import Speed
from agent_infra.fleet.scaling_behavior import behavior
from tests.unit.recording import Recorded, record

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
IMAGE = f"registry.example/agents@sha256:{'1' * 64}"


def fleet(**args: Any) -> Recorded:
    return record(lambda: AgentFleet("support", {"image": IMAGE, **args}) and None)


def pod(recorded: Recorded, name: str = "support") -> dict[str, Any]:
    template: dict[str, Any] = recorded.one(DEPLOYMENT, name).inputs["spec"]["template"]
    return template


def container(recorded: Recorded, name: str = "support") -> dict[str, Any]:
    (found,) = pod(recorded, name)["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def config(recorded: Recorded) -> dict[str, str]:
    return recorded.settings()


CONNECTED = {
    "cache": {"url": "rediss://cache:6379/0", "secret_arn": "arn:cache"},
    "database": {"url": "postgresql://db:5432/agents?sslmode=require", "secret_arn": "arn:db"},
    "queue": {
        "url": "https://sqs/q",
        "arn": "arn:queue",
        "dead_letter_url": "https://sqs/dead",
        "dead_letter_arn": "arn:dead",
    },
    "bucket": {"name": "artifacts", "arn": "arn:bucket"},
    "llm_secret_arn": "arn:llm",
    "api_keys_secret_arn": "arn:keys",
    "oidc": {"issuer": "https://login.example.com", "audience": "agents", "owner_claim": "email"},
}


@pytest.fixture(scope="module")
def seed() -> Recorded:
    """Three replicas of an API behind one address, between three and ten by their CPU."""
    args = AgentFleetArgs(
        image=IMAGE,
        port=8000,
        service=FleetService(port=80),
        replicas=Replicas(min=3, max=10, target_cpu=70),
        resources=Resources(cpu="250m", memory="256Mi", cpu_limit="500m", memory_limit="512Mi"),
        secret_environment={"LLM_API_KEY": SecretKey(name="agent-secrets", key="llm-api-key")},
    )
    return record(lambda: AgentFleet("agent", args) and None)


def test_the_service_sends_port_80_to_the_containers_port_8000(seed: Recorded) -> None:
    spec = seed.one("kubernetes:core/v1:Service").inputs["spec"]
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}]
    assert container(seed, "agent")["ports"][0]["containerPort"] == 8000
    labels = pod(seed, "agent")["metadata"]["labels"]
    assert spec["selector"].items() <= labels.items()


def test_three_to_ten_replicas_are_the_autoscalers_business_alone(seed: Recorded) -> None:
    assert "replicas" not in seed.one(DEPLOYMENT).inputs["spec"]
    assert seed.one(HPA).inputs["spec"] == {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "agent"},
        "minReplicas": 3,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
        "behavior": behavior(Speed(), down_window=300),
    }
    assert seed.one(HPA).inputs["apiVersion"] == "autoscaling/v2"


def test_requests_and_limits_are_what_was_said(seed: Recorded) -> None:
    assert container(seed, "agent")["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi"},
        "limits": {"cpu": "500m", "memory": "512Mi"},
    }


def test_the_llm_key_comes_out_of_the_kubernetes_secret(seed: Recorded) -> None:
    assert [entry for entry in container(seed, "agent")["env"] if "valueFrom" in entry] == [
        {
            "name": "LLM_API_KEY",
            "valueFrom": {"secretKeyRef": {"name": "agent-secrets", "key": "llm-api-key"}},
        }
    ]


def test_the_seed_case_makes_nothing_in_aws_and_no_worker(seed: Recorded) -> None:
    assert not [item for item in seed.resources if item.type.startswith("aws:")]
    assert [item.name for item in seed.of(DEPLOYMENT)] == ["agent"]


def test_equal_minimum_and_maximum_make_a_fixed_number_without_an_autoscaler() -> None:
    recorded = fleet(replicas={"min": 2, "max": 2})
    assert recorded.one(DEPLOYMENT).inputs["spec"]["replicas"] == 2
    assert not recorded.of(HPA)


def test_pods_satisfy_the_restricted_standard() -> None:
    recorded = fleet(**CONNECTED)
    for name in ("support", "support-worker"):
        spec = pod(recorded, name)["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for each in (*spec["containers"], *spec["initContainers"]):
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            writable = [mount for mount in each["volumeMounts"] if not mount.get("readOnly")]
            assert writable == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - in the pod


def test_a_queue_brings_workers_and_a_database_brings_migrations() -> None:
    recorded = fleet(**CONNECTED)
    assert container(recorded)["command"] == ["agent-app", "serve"]
    assert container(recorded, "support-worker")["command"] == ["agent-app", "work"]
    (migrate,) = pod(recorded)["spec"]["initContainers"]
    assert migrate["command"] == ["agent-app", "migrate"]
    assert recorded.one(HPA, "support-worker").inputs["spec"]["scaleTargetRef"]["name"] == "support-worker"
    service = recorded.one("kubernetes:core/v1:Service").inputs["spec"]["selector"]
    assert not service.items() <= pod(recorded, "support-worker")["metadata"]["labels"].items()


def test_the_configuration_says_where_everything_is_and_nothing_secret() -> None:
    assert config(fleet(**CONNECTED, region="eu-central-1", environment_name="dev")) == {
        "AGENT_APP_FLEET": "support",
        "AGENT_APP_ENVIRONMENT": "dev",
        "AGENT_APP_HOST": "0.0.0.0",  # noqa: S104 - what the pod is told
        "AGENT_APP_PORT": "8000",
        "AGENT_APP_LOG_LEVEL": "info",
        "AGENT_APP_TASK_TIMEOUT": "300",
        "AGENT_APP_DRAIN_SECONDS": "315",
        "AGENT_APP_VISIBILITY_SECONDS": "60",
        "AGENT_APP_REDIS_URL": "rediss://cache:6379/0",
        "AGENT_APP_REDIS_SECRET_ARN": "arn:cache",
        "AGENT_APP_DATABASE_URL": "postgresql://db:5432/agents?sslmode=require",
        "AGENT_APP_DATABASE_SECRET_ARN": "arn:db",
        "AGENT_APP_QUEUE_URL": "https://sqs/q",
        "AGENT_APP_DEAD_LETTER_URL": "https://sqs/dead",
        "AGENT_APP_WORKER_CONCURRENCY": "4",
        "AGENT_APP_MAX_ATTEMPTS": "5",
        "AGENT_APP_ARTIFACT_BUCKET": "artifacts",
        "AGENT_APP_ARTIFACT_PREFIX": "support/",
        "AGENT_APP_LLM_SECRET_ARN": "arn:llm",
        "AGENT_APP_API_KEYS_SECRET_ARN": "arn:keys",
        "AGENT_APP_OIDC_ISSUER": "https://login.example.com",
        "AGENT_APP_OIDC_AUDIENCE": "agents",
        "AGENT_APP_OIDC_OWNER_CLAIM": "email",
        "AWS_REGION": "eu-central-1",
    }


def test_a_changed_configuration_changes_the_pods_and_an_unchanged_one_does_not() -> None:
    assert pod(fleet()) == pod(fleet())
    one, other = {"A": "1", "B": "2"}, {"B": "2", "A": "1"}
    assert json.dumps(pod(fleet(extra_environment=one))) == json.dumps(pod(fleet(extra_environment=other)))
    assert pod(fleet()) != pod(fleet(extra_environment=one))


def test_a_pod_is_given_the_time_to_finish_its_task() -> None:
    spec = pod(fleet(task_timeout=900))["spec"]
    assert spec["terminationGracePeriodSeconds"] > 900
    assert spec["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


def test_who_may_take_the_role_needs_no_question_to_aws_where_the_clusters_arn_is_said() -> None:
    arn = "arn:aws:eks:eu-central-1:123456789012:cluster/agents"
    told = fleet(cluster_name="agents", cluster_arn=arn)
    asked = fleet(cluster_name="agents")
    assert told.calls == []
    assert len(asked.calls) == 3
    trust = json.loads(told.one("aws:iam/role:Role").inputs["assumeRolePolicy"])
    condition = trust["Statement"][0]["Condition"]["StringEquals"]
    assert condition["aws:SourceAccount"] == "123456789012"
    assert condition["aws:RequestTag/eks-cluster-arn"] == arn


def test_the_pods_get_a_role_for_their_connections_alone_where_a_cluster_is_named() -> None:
    extra = {"Effect": "Allow", "Action": ["bedrock:InvokeModel"], "Resource": "*"}
    recorded = fleet(**CONNECTED, cluster_name="agents", extra_policy_statements=[extra])
    identity = recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation").inputs
    assert (identity["clusterName"], identity["serviceAccount"]) == ("agents", "support")
    policy = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])
    assert [statement["Resource"] for statement in policy["Statement"]] == [
        ["arn:cache", "arn:db", "arn:llm", "arn:keys"],
        "arn:queue",
        "arn:dead",
        "arn:bucket/support/*",
        "arn:bucket",
        "*",
    ]
    assert not any(action == "*" for statement in policy["Statement"] for action in statement["Action"])


def test_secrets_of_the_fleet_are_marked_secret() -> None:
    def program() -> None:
        values = {"agent-secrets": {"llm-api-key": pulumi.Output.from_input("key")}}
        AgentFleet("support", {"image": IMAGE, "kubernetes_secrets": values})

    made = record(program).one("kubernetes:core/v1:Secret")
    assert made.inputs["metadata"]["name"] == "agent-secrets"
    assert made.inputs["stringData"] == {"llm-api-key": "key"}
    assert "stringData" in made.secrets


def test_the_extra_pod_spec_is_merged_by_name() -> None:
    extra = {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "containers": [{"name": "agent", "tty": True}, {"name": "sidecar", "image": "s"}],
    }
    spec = pod(fleet(extra_pod_spec=extra))["spec"]
    assert [item["name"] for item in spec["containers"]] == ["agent", "sidecar"]
    assert spec["containers"][0]["tty"] is True
    assert spec["containers"][0]["image"] == IMAGE
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}


def test_merging_replaces_lists_of_things_without_names() -> None:
    assert merge({"a": [1, 2], "b": {"c": 1}}, {"a": [3], "b": {"d": 2}}) == {"a": [3], "b": {"c": 1, "d": 2}}


def test_objects_go_where_the_given_provider_points() -> None:
    def program() -> None:
        provider = kubernetes.Provider("elsewhere", kubeconfig="{}")
        AgentFleet("support", {"image": IMAGE}, pulumi.ResourceOptions(provider=provider))

    recorded = record(program)
    assert "::elsewhere::" in recorded.one(DEPLOYMENT).provider


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"replicas": {"min": 5, "max": 3}}, "replicas: min 5 is above max 3; lower min or raise max"),
        ({"resources": {"cpu": "lots"}}, "resources.cpu: 'lots' is wrong: not an amount of CPU"),
        ({"resources": {"memory": "1Gi"}}, "memory 1Gi is above memory_limit 512Mi"),
        ({"task_timeout": 50_000}, "task_timeout: 50000 is wrong"),
        ({"replica": {}}, "replica: is not known; did you mean 'replicas'?"),
        ({"port": 80}, "port: 80 is wrong"),
        (
            {"queue": {"url": "https://sqs/q", "arn": "arn:q", "dead_letter_url": "https://sqs/dead"}},
            "queue: dead_letter_url and dead_letter_arn are one queue's",
        ),
        ({"fleet_name": "Support"}, "fleet_name: 'Support' is wrong: say up to 40"),
    ],
)
def test_wrong_arguments_are_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        fleet(**args)
    assert said in str(raised.value)
    assert str(raised.value).startswith("AgentFleet 'support': ")


def test_a_name_that_kubernetes_refuses_is_told_before_anything_is_made() -> None:
    with pytest.raises(ArgsError, match="'Bad_Name' cannot name Kubernetes objects"):
        record(lambda: AgentFleet("Bad_Name", {"image": IMAGE}) and None)


def test_outputs_are_accepted_wherever_a_connection_is_said() -> None:
    def program() -> None:
        url = pulumi.Output.from_input("https://sqs/later")
        AgentFleet(
            "support",
            AgentFleetArgs(
                image=pulumi.Output.from_input(IMAGE),
                queue=QueueConnection(url=url, arn=pulumi.Output.from_input("arn:q")),
                worker=Worker(replicas=Replicas(min=1, max=1)),
            ),
        )

    recorded = record(program)
    assert config(recorded)["AGENT_APP_QUEUE_URL"] == "https://sqs/later"
    assert recorded.one(DEPLOYMENT, "support-worker").inputs["spec"]["replicas"] == 1


def test_pods_are_replaced_when_a_setting_or_a_secrets_key_goes() -> None:
    def template(environment: dict[str, str], *keys: str) -> dict[str, Any]:
        def program() -> None:
            secrets = {"own": {key: pulumi.Output.from_input("value") for key in keys}}
            AgentFleet(
                "support",
                {"image": IMAGE, "extra_environment": environment, "kubernetes_secrets": secrets},
            )

        return pod(record(program))

    both = template({"A": "1", "B": "2"}, "one", "two")
    assert both == template({"A": "1", "B": "2"}, "one", "two")
    assert template({"A": "1"}, "one", "two") != both
    assert template({"A": "1", "B": "2"}, "one") != both
