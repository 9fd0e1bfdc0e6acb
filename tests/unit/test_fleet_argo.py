"""A fleet whose revisions Argo Rollouts takes through their steps."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from agent_infra import AgentFleet, ArgsError
from tests.unit.recording import Recorded, record

ROLLOUT = "kubernetes:argoproj.io/v1alpha1:Rollout"
TEMPLATE = "kubernetes:argoproj.io/v1alpha1:AnalysisTemplate"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
PROMETHEUS = "http://prometheus.monitoring:9090"
CASES = {"cases": [{"prompt": "2 + 2?", "contains": ["4"]}], "min_score": 0.9}


def fleet(analysis: dict[str, Any] | None = None, **args: Any) -> Recorded:
    said = {"strategy": "argo-rollouts", "analysis": {"prometheus_url": PROMETHEUS, **(analysis or {})}}
    args = {"image": IMAGE, "namespace": "agents", "rollout": said, "queue": QUEUE, **args}
    return record(lambda: AgentFleet("support", args) and None)


QUEUE = {"url": "https://sqs/q", "arn": "arn:queue"}


@pytest.fixture(scope="module")
def argo() -> Recorded:
    return fleet({"evaluation": CASES}, replicas={"min": 2, "max": 5})


def metrics(recorded: Recorded, name: str) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in recorded.one(TEMPLATE, name).inputs["spec"]["metrics"]}


def query(recorded: Recorded, template: str, metric: str) -> str:
    return str(metrics(recorded, template)[metric]["provider"]["prometheus"]["query"])


def test_rollouts_hold_the_pods_and_no_deployment_is_beside_them(argo: Recorded) -> None:
    assert not argo.of(DEPLOYMENT)
    assert not argo.of("kubernetes:core/v1:ConfigMap")
    assert {item.name for item in argo.of(ROLLOUT)} == {"support", "support-worker"}
    for item in argo.of(ROLLOUT):
        spec = item.inputs["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert spec["rollbackWindow"] == {"revisions": 5}
        assert spec["strategy"]["canary"]["maxUnavailable"] == 0


def test_autoscalers_scale_the_rollouts(argo: Recorded) -> None:
    scalers = argo.of("kubernetes:autoscaling/v2:HorizontalPodAutoscaler")
    scalers += argo.of("kubernetes:keda.sh/v1alpha1:ScaledObject")
    targets = [item.inputs["spec"]["scaleTargetRef"] for item in scalers]
    assert {target["name"] for target in targets} == {"support", "support-worker"}
    assert {(target["apiVersion"], target["kind"]) for target in targets} == {
        ("argoproj.io/v1alpha1", "Rollout")
    }


def test_the_evaluation_comes_first_and_then_each_weight_for_its_time(argo: Recorded) -> None:
    canary = argo.one(ROLLOUT, "support").inputs["spec"]["strategy"]["canary"]
    assert canary["steps"] == [
        {"analysis": {"templates": [{"templateName": "support-evaluation"}]}},
        {"setWeight": 5},
        {"pause": {"duration": "300s"}},
        {"setWeight": 25},
        {"pause": {"duration": "300s"}},
        {"setWeight": 50},
        {"pause": {"duration": "600s"}},
    ]
    worker = argo.one(ROLLOUT, "support-worker").inputs["spec"]["strategy"]["canary"]
    assert worker["steps"][0] == {"setWeight": 5}


def test_every_template_that_a_rollout_names_is_there(argo: Recorded) -> None:
    there = {item.inputs["metadata"]["name"] for item in argo.of(TEMPLATE)}
    told = json.dumps([item.inputs["spec"]["strategy"] for item in argo.of(ROLLOUT)])
    assert {name for name in there if f'"{name}"' in told} == there
    assert told.count("templateName") == len(there)


def test_the_evaluation_is_a_job_whose_status_says_whether_the_score_is_high_enough(argo: Recorded) -> None:
    (metric,) = metrics(argo, "support-evaluation").values()
    template = metric["provider"]["job"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["command"] == ["agent-app", "evaluate"]
    cases = {entry["name"]: entry.get("value") for entry in container["env"]}["AGENT_APP_EVALUATION_CASES"]
    assert json.loads(cases)["min_score"] == 0.9
    service = argo.one("kubernetes:core/v1:Service").inputs["spec"]["selector"]
    assert not service.items() <= template["metadata"]["labels"].items()


def test_a_query_is_about_the_fleets_new_pods_and_says_nothing_of_too_few_requests(argo: Recorded) -> None:
    found = query(argo, "support", "error-rate")
    assert 'namespace="agents",pod=~"support-{{args.latest-hash}}-.*"' in found
    assert found.endswith(">= 50")
    assert "<latest>" not in found
    ratio = query(argo, "support", "latency-ratio")
    assert 'pod=~"support-{{args.stable-hash}}-.*"' in ratio
    failures = query(argo, "support-worker", "task-failure-rate")
    assert 'pod=~"support-worker-{{args.latest-hash}}-.*"' in failures
    condition = metrics(argo, "support")["error-rate"]["successCondition"]
    assert condition == "len(result) == 0 || isNaN(result[0]) || result[0] <= 0.05"


def test_a_bound_that_is_off_has_no_metric_and_one_that_is_on_has() -> None:
    assert "latency-seconds" not in metrics(fleet(), "support")
    chosen = fleet({"max_latency_seconds": 20, "max_error_rate": None, "max_cost_per_task_usd": 0.5})
    assert {"latency-seconds"} <= metrics(chosen, "support").keys()
    assert "error-rate" not in metrics(chosen, "support")
    assert "cost-per-task" in metrics(chosen, "support-worker")


def test_a_namespace_that_only_the_update_knows_is_in_the_queries() -> None:
    def program() -> None:
        namespace = pulumi.Output.from_input("late")
        said = {"strategy": "argo-rollouts", "analysis": {"prometheus_url": PROMETHEUS}}
        AgentFleet("support", {"image": IMAGE, "namespace": namespace, "rollout": said})

    found = query(record(program), "support", "latency-ratio")
    assert found.count('namespace="late"') == 3


def test_argo_rollouts_without_a_prometheus_is_refused() -> None:
    with pytest.raises(ArgsError, match=r"say analysis\.prometheus_url"):
        fleet(rollout={"strategy": "argo-rollouts"})
