"""A canary by two Deployments on the real API server; its pods are asked by a forwarded port."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_infra.automation import Environment, UpdateFailed
from tests.cluster.api import Namespace, Object
from tests.cluster.conftest import Deploys, pods_of
from tests.cluster.pages import serving
from tests.cluster.watching import ready_pods
from tests.engine.conftest import change_settings

PROGRAM = """
import json
import pulumi
from agent_infra import AgentFleet

AgentFleet("support", json.loads(pulumi.Config().require("said")))
"""
DECLARED = 3
STABLE = {**pods_of("support"), "agent-infra/track": "stable"}


def say(environment: Environment, namespace: Namespace, image: str) -> None:
    said: dict[str, Any] = {
        "image": image,
        "require_digest": False,
        "namespace": namespace.name,
        "environment_name": "local",
        "replicas": {"min": DECLARED, "max": DECLARED},
        "rollout": {
            "strategy": "canary",
            "steps": [{"weight": 25, "minutes": 0.03}, {"weight": 50, "minutes": 0.03}],
            "analysis": {"min_requests": 40},
        },
    }
    change_settings(
        environment.project, "local", lambda settings: settings.update({"fleets:said": json.dumps(said)})
    )


def image_of(found: Object) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def test_a_bad_release_is_taken_back_by_itself_and_a_good_one_takes_over(
    namespace: Namespace, deploys: Deploys
) -> None:
    with deploys(PROGRAM) as environment, serving(namespace, pods_of("support")) as pages:
        say(environment, namespace, "agents:one")
        environment.up()
        namespace.wait("the fleet", lambda: namespace.ready("support"), until=DECLARED, seconds=30)
        assert namespace.replicas("support-canary") == 0

        pages.new_canary(error_rate=0.3)
        say(environment, namespace, "agents:bad")
        with (
            ready_pods(namespace, STABLE) as stable,
            ready_pods(namespace, pods_of("support")) as all_pods,
            pytest.raises(UpdateFailed, match=r"the api's error rate: 0\.3\d* .*is allowed"),
        ):
            environment.up()
        assert stable.numbers == [DECLARED], "nothing happened to what served"
        assert all_pods.most == DECLARED + 1, "the canary was one pod, and its pods were there"
        assert pages.looks["canary"] and pages.looks["stable"]
        assert image_of(namespace.get("Deployment", "support")) == "agents:one"
        assert namespace.replicas("support-canary") == 0

        # `up` said 0 for the canary's replicas, the trial said 1: the fields have changed their owner, and
        # the next `up` is refused nothing for it.
        pages.new_canary(error_rate=0.0)
        say(environment, namespace, "agents:good")
        with ready_pods(namespace, pods_of("support")) as ready:
            environment.up()
            namespace.wait(
                "the new image",
                lambda: {pod["spec"]["containers"][0]["image"] for pod in namespace.pods(STABLE)},
                until={"agents:good"},
                seconds=30,
            )
        assert ready.least >= DECLARED, ready.values
        assert ready.most >= 2 * DECLARED, "its last step was half of the pods"
        assert namespace.replicas("support-canary") == 0
        assert environment.up().changed == 0
