"""The autoscalers of a fleet, as the cluster would get them."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from agent_infra import AgentFleet, ArgsError
from tests.unit.recording import Recorded, record

IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
SCALED_OBJECT = "kubernetes:keda.sh/v1alpha1:ScaledObject"
AUTHENTICATION = "kubernetes:keda.sh/v1alpha1:TriggerAuthentication"
QUEUE = {
    "url": "https://sqs.eu-west-1.amazonaws.com/123456789012/tasks.fifo",
    "arn": "arn:aws:sqs:eu-west-1:123456789012:tasks.fifo",
}
PROMETHEUS = {"url": "http://prometheus.monitoring:9090"}


def fleet(**args: Any) -> Recorded:
    return record(lambda: AgentFleet("support", {"image": IMAGE, **args}) and None)


def workers(keda: dict[str, Any] | None = None, **replicas: Any) -> Recorded:
    said = {"replicas": replicas} if replicas else {}
    return fleet(queue=QUEUE, worker=said, keda={} if keda is None else keda)


def spec(recorded: Recorded, name: str = "support-worker") -> dict[str, Any]:
    inputs = recorded.one(SCALED_OBJECT, name).inputs
    assert inputs["apiVersion"] == "keda.sh/v1alpha1"
    found: dict[str, Any] = inputs["spec"]
    return found


def triggers(recorded: Recorded, name: str = "support-worker") -> dict[str, dict[str, Any]]:
    found = {trigger["name"]: trigger for trigger in spec(recorded, name)["triggers"]}
    for trigger in found.values():
        assert all(isinstance(value, str) for value in trigger["metadata"].values()), trigger
    return found


def refused(**args: Any) -> str:
    with pytest.raises(ArgsError) as caught:
        fleet(**args)
    return str(caught.value)


class TestWithKeda:
    def test_workers_scale_by_their_queue_with_the_cpu_as_a_backstop(self) -> None:
        recorded = workers()
        assert spec(recorded)["triggers"] == [
            {
                "type": "aws-sqs-queue",
                "name": "queue-depth",
                "metricType": "AverageValue",
                "metadata": {
                    "queueURL": QUEUE["url"],
                    "queueLength": "4",
                    "activationQueueLength": "0",
                    "awsRegion": "eu-west-1",
                    "scaleOnInFlight": "true",
                    "scaleOnDelayed": "false",
                    "identityOwner": "operator",
                },
            },
            {"type": "cpu", "name": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
        ]
        assert not recorded.of(AUTHENTICATION)

    def test_a_workload_has_one_autoscaler(self) -> None:
        recorded = workers()
        assert [item.name for item in recorded.of(HPA)] == ["support"]
        assert [item.name for item in recorded.of(SCALED_OBJECT)] == ["support-worker"]
        for name in ("support", "support-worker"):
            assert "replicas" not in recorded.one(DEPLOYMENT, name).inputs["spec"]

    def test_the_bounds_and_the_speed_are_those_of_the_hpa_that_keda_owns(self) -> None:
        found = spec(workers(min=2, max=20))
        assert found["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "support-worker",
        }
        assert (found["minReplicaCount"], found["maxReplicaCount"]) == (2, 20)
        owned = found["advanced"]["horizontalPodAutoscalerConfig"]
        assert owned["behavior"]["scaleUp"] == {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 4, "periodSeconds": 15},
            ],
        }
        assert owned["behavior"]["scaleDown"] == {
            "stabilizationWindowSeconds": 300,
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
        }

    def test_a_plain_autoscaler_gives_way_to_keda_and_back_in_one_update(self) -> None:
        plain = fleet(queue=QUEUE).one(HPA, "support-worker").inputs["metadata"]
        # KEDA's webhook lets it be, and KEDA's own HPA is called otherwise (keda-hpa-support-worker).
        assert plain["annotations"] == {"validations.keda.sh/hpa-ownership": "false"}
        assert "name" not in spec(workers())["advanced"]["horizontalPodAutoscalerConfig"]

    def test_each_worker_is_for_as_many_tasks_as_it_does_at_once(self) -> None:
        recorded = fleet(queue=QUEUE, keda={}, worker={"concurrency": 12})
        assert triggers(recorded)["queue-depth"]["metadata"]["queueLength"] == "12"
        config = recorded.settings()
        assert config["AGENT_APP_WORKER_CONCURRENCY"] == "12"

    def test_the_depth_can_be_said_and_switched_off(self) -> None:
        assert triggers(workers(queue_depth=30))["queue-depth"]["metadata"]["queueLength"] == "30"
        assert not workers(queue_depth=None).of(SCALED_OBJECT)
        assert workers(queue_depth=None).one(HPA, "support-worker")

    def test_delayed_tasks_count_by_choice(self) -> None:
        found = triggers(workers(count_delayed=True))["queue-depth"]["metadata"]
        assert (found["scaleOnInFlight"], found["scaleOnDelayed"]) == ("true", "true")

    def test_the_age_is_cloudwatchs_and_is_no_average(self) -> None:
        recorded = fleet(
            queue=QUEUE, keda={}, task_timeout=600, worker={"replicas": {"min": 1, "queue_age": 120}}
        )
        trigger = triggers(recorded)["queue-age"]
        assert (trigger["type"], trigger["metricType"]) == ("aws-cloudwatch", "Value")
        assert trigger["useCachedMetrics"] is True
        found = trigger["metadata"]
        assert found["dimensionValue"] == "tasks.fifo"
        assert found["awsRegion"] == "eu-west-1"
        # SQS counts a task's age until it is done.
        assert found["targetMetricValue"] == "720"
        assert int(found["metricCollectionTime"]) % int(found["metricStatPeriod"]) == 0
        assert spec(recorded)["pollingInterval"] == 30

    def test_a_fleet_scales_to_zero_by_choice(self) -> None:
        found = spec(workers(min=0, max=5))
        assert found["minReplicaCount"] == 0
        assert found["pollingInterval"] == 30
        assert found["cooldownPeriod"] == 300

    def test_what_matters_at_zero_alone_is_not_said_elsewhere(self) -> None:
        assert not {"pollingInterval", "cooldownPeriod"} & spec(workers(min=1)).keys()

    def test_workers_stay_for_as_long_as_their_longest_task_up_to_an_hour(self) -> None:
        def window(task_timeout: int) -> int:
            recorded = fleet(queue=QUEUE, keda={}, task_timeout=task_timeout)
            behavior = spec(recorded)["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
            return int(behavior["scaleDown"]["stabilizationWindowSeconds"])

        assert [window(seconds) for seconds in (60, 900, 40_000)] == [300, 900, 3600]

    def test_the_speed_can_be_said(self) -> None:
        speed = {"up_pods": 10, "down_percent": 50, "down_window": 0}
        owned = spec(workers(min=0, speed=speed))["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert owned["scaleUp"]["policies"][1] == {"type": "Pods", "value": 10, "periodSeconds": 15}
        assert owned["scaleDown"]["policies"][0]["value"] == 50
        assert owned["scaleDown"]["stabilizationWindowSeconds"] == 0
        # What SQS counts is right after a minute: the last worker stays for that long.
        assert spec(workers(min=0, speed=speed))["cooldownPeriod"] == 60

    def test_schedules_hold_a_number_at_certain_times(self) -> None:
        schedule = {"start": "0 8 * * mon-fri", "end": "0 18 * * mon-fri", "replicas": 6}
        found = triggers(workers(schedules=[{**schedule, "timezone": "Europe/Berlin"}, schedule]))
        assert found["schedule-0"] == {
            "type": "cron",
            "name": "schedule-0",
            "metricType": "AverageValue",
            "metadata": {
                "timezone": "Europe/Berlin",
                "start": "0 8 * * mon-fri",
                "end": "0 18 * * mon-fri",
                "desiredReplicas": "6",
            },
        }
        assert found["schedule-1"]["metadata"]["timezone"] == "UTC"

    def test_the_api_scales_by_its_requests_in_flight(self) -> None:
        recorded = fleet(keda={"prometheus": PROMETHEUS}, namespace="agents", replicas={"concurrency": 20})
        assert not recorded.of(HPA)
        found = triggers(recorded, "support")
        assert set(found) == {"concurrency", "cpu"}
        assert found["concurrency"]["metricType"] == "AverageValue"
        assert found["concurrency"]["metadata"] == {
            "serverAddress": "http://prometheus.monitoring:9090",
            "query": 'sum(agent_app_http_requests_in_flight{namespace="agents",pod=~"support-[^-]+-[^-]+"})',
            "threshold": "20",
            "activationThreshold": "0",
            "ignoreNullValues": "false",
        }

    def test_the_requests_are_counted_where_the_namespace_is_known_only_later(self) -> None:
        def program() -> None:
            namespace = pulumi.Output.from_input("later")
            keda = {"prometheus": PROMETHEUS}
            args = {"image": IMAGE, "namespace": namespace, "keda": keda, "replicas": {"concurrency": 1}}
            AgentFleet("support", args)

        query = triggers(record(program), "support")["concurrency"]["metadata"]["query"]
        assert 'namespace="later",pod=~"support-' in query

    def test_a_query_of_ones_own_is_an_average_or_a_value_and_may_be_asked_elsewhere(self) -> None:
        elsewhere = {"url": "https://metrics.example", "authentication": "metrics", "auth_modes": ["bearer"]}
        found = triggers(
            workers(
                {"prometheus": PROMETHEUS},
                prometheus=[
                    {"query": "sum(waiting)", "target": 5},
                    {"query": "latency", "target": 0.25, "per_replica": False, "server": elsewhere},
                ],
            )
        )
        assert found["prometheus-0"]["metricType"] == "AverageValue"
        assert found["prometheus-0"]["metadata"]["serverAddress"] == PROMETHEUS["url"]
        second = found["prometheus-1"]
        assert second["metricType"] == "Value"
        assert second["metadata"]["threshold"] == "0.25"
        assert second["metadata"]["authModes"] == "bearer"
        assert second["authenticationRef"] == {"name": "metrics"}

    @pytest.mark.parametrize(
        ("keda", "made"),
        [
            (
                {"role_arn": "arn:aws:iam::123456789012:role/reader"},
                {"podIdentity": {"provider": "aws", "roleArn": "arn:aws:iam::123456789012:role/reader"}},
            ),
            (
                {"credentials_secret": "aws-keys"},
                {
                    "secretTargetRef": [
                        {"parameter": key, "name": "aws-keys", "key": key}
                        for key in ("awsAccessKeyID", "awsSecretAccessKey")
                    ]
                },
            ),
        ],
    )
    def test_a_keda_without_a_role_reads_the_queue_by_another_identity(
        self, keda: dict[str, Any], made: dict[str, Any]
    ) -> None:
        recorded = workers(keda, queue_age=60)
        assert recorded.one(AUTHENTICATION).inputs["spec"] == made
        name = recorded.one(AUTHENTICATION).inputs["metadata"]["name"]
        for trigger in ("queue-depth", "queue-age"):
            found = triggers(recorded)[trigger]
            assert found["authenticationRef"] == {"name": name}
            assert "identityOwner" not in found["metadata"]

    def test_an_authentication_that_is_there_is_named_and_not_made(self) -> None:
        recorded = workers({"authentication": "queue-reader"})
        assert not recorded.of(AUTHENTICATION)
        assert triggers(recorded)["queue-depth"]["authenticationRef"] == {"name": "queue-reader"}

    def test_a_queue_that_is_yet_to_be_made_is_told_by_its_arn(self) -> None:
        def program() -> None:
            queue = {key: pulumi.Output.from_input(value) for key, value in QUEUE.items()}
            AgentFleet("support", {"image": IMAGE, "keda": {}, "queue": queue})

        found = triggers(record(program))["queue-depth"]["metadata"]
        assert (found["queueURL"], found["awsRegion"]) == (QUEUE["url"], "eu-west-1")

    def test_beside_other_containers_the_agents_own_share_counts(self) -> None:
        extra = {"containers": [{"name": "proxy", "image": "proxy:1"}]}
        recorded = fleet(queue=QUEUE, keda={}, extra_pod_spec=extra)
        assert triggers(recorded)["cpu"]["metadata"] == {"value": "70", "containerName": "agent"}
        assert recorded.one(HPA).inputs["spec"]["metrics"] == [
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "agent",
                    "target": {"type": "Utilization", "averageUtilization": 70},
                },
            }
        ]


class TestWithoutKeda:
    def test_everything_scales_by_cpu_and_by_memory_where_it_is_said(self) -> None:
        recorded = fleet(queue=QUEUE, worker={"replicas": {"target_memory": 80}})
        assert not recorded.of(SCALED_OBJECT)
        found = recorded.one(HPA, "support-worker").inputs["spec"]
        assert [metric["resource"]["name"] for metric in found["metrics"]] == ["cpu", "memory"]
        assert found["metrics"][1]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
        assert found["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300

    def test_memory_alone_can_decide(self) -> None:
        found = fleet(replicas={"target_cpu": None, "target_memory": 80}).one(HPA).inputs["spec"]
        assert [metric["resource"]["name"] for metric in found["metrics"]] == ["memory"]
