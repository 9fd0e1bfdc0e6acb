"""A fleet whose revisions the real Argo Rollouts takes through their steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agent_infra.automation import Environment, UpdateFailed
from agent_infra.local.standins.kubernetes.custom_argo import SPECS
from tests.cluster.api import Namespace, is_ready
from tests.cluster.conftest import Cluster, Deploys, fleet, pods_of
from tests.cluster.measures import prometheus
from tests.cluster.watching import ready_pods
from tests.engine.conftest import change_settings

PROGRAM = """
import json
import pulumi
from agent_infra import AgentFleet

said = json.loads(pulumi.Config().require("said"))
waits = said.pop("waits")


def hurried(args):
    # Argo asks Prometheus each minute, and `up` waits for as long as a rollout may take.
    if args.type_ == "kubernetes:argoproj.io/v1alpha1:AnalysisTemplate":
        often = {"initialDelay": "1s", "interval": "1s"}
        judged = args.props["spec"]["metrics"]
        # An evaluation has no interval: it is asked for once.
        metrics = [{**each, **often} if "interval" in each else each for each in judged]
        spec = {**args.props["spec"], "metrics": metrics}
        return pulumi.ResourceTransformResult({**args.props, "spec": spec}, args.opts)
    if args.type_ == "kubernetes:argoproj.io/v1alpha1:Rollout":
        metadata = dict(args.props["metadata"])
        patience = {"pulumi.com/timeoutSeconds": str(waits)}
        metadata["annotations"] = {**metadata["annotations"], **patience}
        return pulumi.ResourceTransformResult({**args.props, "metadata": metadata}, args.opts)


AgentFleet("support", said, pulumi.ResourceOptions(transforms=[hurried]))
"""
DECLARED = 3
CASE = {"prompt": "2 + 2?", "contains": ["4"]}


def said(prometheus_url: str, **more: Any) -> dict[str, Any]:
    return {
        "replicas": {"min": DECLARED, "max": DECLARED},
        "rollout": {
            "strategy": "argo-rollouts",
            "steps": [{"weight": 34, "minutes": 0.03}, {"weight": 67, "minutes": 0.03}],
            "analysis": {"prometheus_url": prometheus_url, "evaluation": {"cases": [CASE]}},
        },
        **more,
    }


def say(environment: Environment, namespace: Namespace, url: str, image: str, *, waits: int = 60) -> None:
    args = {
        "image": image,
        "require_digest": False,
        "namespace": namespace.name,
        "environment_name": "local",
        "waits": waits,
        **said(url),
    }
    change_settings(
        environment.project, "local", lambda settings: settings.update({"fleets:said": json.dumps(args)})
    )


def images(namespace: Namespace) -> list[str]:
    """What serves."""
    return sorted(
        pod["spec"]["containers"][0]["image"] for pod in namespace.pods(pods_of("support")) if is_ready(pod)
    )


def phase(namespace: Namespace) -> str:
    return str(namespace.get("Rollout", "support").get("status", {}).get("phase"))


def judgements(namespace: Namespace, release: str) -> dict[str, str]:
    """How each analysis of a release's ended: `Step` is the evaluation, `Background` the metrics."""
    return {
        run["metadata"]["labels"]["rollout-type"]: run["status"]["phase"]
        for run in namespace.all("AnalysisRun", {"rollouts-pod-template-hash": release})
    }


def test_a_good_release_is_promoted_and_a_bad_one_is_aborted_and_mended(
    namespace: Namespace, deploys: Deploys
) -> None:
    with deploys(PROGRAM) as environment, prometheus() as known:
        say(environment, namespace, known.url, "agents:one")
        environment.up()
        assert phase(namespace) == "Healthy"
        assert images(namespace) == ["agents:one"] * DECLARED
        assert not known.asked, "there is nothing that the first revision could be held against"

        say(environment, namespace, known.url, "agents:two")
        with ready_pods(namespace, pods_of("support")) as ready:
            environment.up()
        assert phase(namespace) == "Healthy", "`up` ended no sooner"
        assert images(namespace) == ["agents:two"] * DECLARED
        assert ready.least >= DECLARED, ready.values
        release = namespace.get("Rollout", "support")["status"]["stableRS"]
        assert judgements(namespace, release) == {"Step": "Successful", "Background": "Successful"}
        about = f'namespace="{namespace.name}",pod=~"support-{release}-.*"'
        assert all(about in query for query in known.asked)

        known.answer = 0.3
        say(environment, namespace, known.url, "agents:bad", waits=12)
        with (
            ready_pods(namespace, pods_of("support")) as ready,
            pytest.raises(UpdateFailed, match=r'aborted .* "error-rate" assessed Failed'),
        ):
            environment.up()
        assert phase(namespace) == "Degraded"
        assert images(namespace) == ["agents:two"] * DECLARED
        assert ready.least >= DECLARED, ready.values

        known.answer = 0.0
        say(environment, namespace, known.url, "agents:mended")
        environment.up()
        assert phase(namespace) == "Healthy"
        assert images(namespace) == ["agents:mended"] * DECLARED
        assert environment.up().changed == 0


def test_keda_scales_the_rollout_and_no_release_comes_of_it(namespace: Namespace) -> None:
    speed = {"down_percent": 100, "down_seconds": 1, "down_window": 0}
    replicas = {"min": 1, "max": 6, "target_cpu": None, "concurrency": 10, "speed": speed}
    with prometheus() as known:
        keda = {"prometheus": {"url": known.url}}
        namespace.apply(*fleet(namespace, **said(known.url, keda=keda, replicas=replicas)))
        namespace.wait("the fleet", lambda: phase(namespace), until="Healthy", seconds=30)
        known.answer = 37
        namespace.wait("four pods", lambda: len(images(namespace)), until=4, seconds=30)
        assert namespace.get("Rollout", "support")["spec"]["replicas"] == 4
        (scaler,) = namespace.all("HorizontalPodAutoscaler")
        assert scaler["spec"]["scaleTargetRef"]["kind"] == "Rollout"
        known.answer = 3
        namespace.wait("one pod", lambda: len(images(namespace)), until=1, seconds=30)
        namespace.wait(
            "what the autoscaler sees",
            lambda: namespace.all("HorizontalPodAutoscaler")[0]["status"]["currentReplicas"],
            until=1,
            seconds=10,
        )
        assert phase(namespace) == "Healthy"
        assert not namespace.all("AnalysisRun")


def differences(ours: dict[str, Any], real: dict[str, Any], at: str = "spec") -> Iterator[str]:
    """Fields that the real definition has not, and those that only it asks for."""
    there = real.get("properties", {})
    for name, field in ours.get("properties", {}).items():
        if name in there:
            yield from differences(field, there[name], f"{at}.{name}")
        else:
            yield f"{at}.{name} is not there"
    if "properties" in ours:
        yield from (
            f"{at}.{name} is required" for name in {*real.get("required", ())} - {*ours.get("required", ())}
        )
    if "items" in ours:
        yield from differences(ours["items"], real.get("items", {}), f"{at}[]")


@pytest.mark.parametrize("kind", SPECS, ids=lambda kind: kind[-1])
def test_the_stand_in_takes_no_field_that_the_real_definition_has_not(
    kind: tuple[str, str, str], cluster: Cluster
) -> None:
    group, version, name = kind
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    definition = cluster.api.call("GET", f"{path}/{name.lower()}s.{group}")
    (schema,) = [each["schema"] for each in definition["spec"]["versions"] if each["name"] == version]
    real = schema["openAPIV3Schema"]["properties"]["spec"]
    assert list(differences(SPECS[kind], real)) == []
