"""A new image on the real Deployment controller: never a pod too few, and a bad one goes nowhere."""

from __future__ import annotations

import json

import pytest

from agent_infra.automation import Environment, UpdateFailed
from tests.cluster.api import Namespace, is_ready
from tests.cluster.conftest import Cluster, Deploys, pods_of
from tests.cluster.stages import never_ready
from tests.cluster.watching import ready_pods
from tests.engine.conftest import change_settings

PROGRAM = """
import json
import pulumi
from agent_infra import AgentFleet

said = json.loads(pulumi.Config().require("said"))
deadline = said.pop("deadline")


def hurried(args):
    # The shortest that the task contract allows is 41 seconds.
    if args.type_ == "kubernetes:apps/v1:Deployment":
        spec = {**args.props["spec"], "progressDeadlineSeconds": deadline}
        metadata = dict(args.props["metadata"])
        # `up` waits on for a while, as for a node that comes late.
        patience = {"pulumi.com/timeoutSeconds": str(deadline + 5)}
        metadata["annotations"] = {**metadata["annotations"], **patience}
        return pulumi.ResourceTransformResult(
            {**args.props, "spec": spec, "metadata": metadata}, args.opts
        )


AgentFleet("support", said, pulumi.ResourceOptions(transforms=[hurried]))
"""
DECLARED = 4


def say(environment: Environment, namespace: Namespace, image: str) -> None:
    said = {
        "image": image,
        "require_digest": False,
        "namespace": namespace.name,
        "environment_name": "local",
        "replicas": {"min": DECLARED, "max": DECLARED},
        "deadline": 10,
    }

    def change(settings: dict[str, str]) -> None:
        settings["fleets:said"] = json.dumps(said)

    change_settings(environment.project, "local", change)


def images(namespace: Namespace) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in namespace.pods(pods_of("support"))}


def test_a_new_image_takes_over_with_no_pod_less_and_a_bad_one_stops_at_the_deadline(
    cluster: Cluster, namespace: Namespace, deploys: Deploys
) -> None:
    with deploys(PROGRAM) as environment, never_ready(cluster.api, "agents:bad"):
        say(environment, namespace, "agents:one")
        environment.up()
        with ready_pods(namespace, pods_of("support")) as ready:
            say(environment, namespace, "agents:two")
            environment.up()
            assert images(namespace) == {"agents:two"}

            say(environment, namespace, "agents:bad")
            with pytest.raises(UpdateFailed) as failed:
                environment.up()
        assert ready.least >= DECLARED, ready.values
        # It was a roll-out of several steps, and the watch saw them.
        assert ready.most > DECLARED
        told = str(failed.value)
        assert "support" in told and "agents:bad" in told, told
        serving = [
            pod["spec"]["containers"][0]["image"]
            for pod in namespace.pods(pods_of("support"))
            if is_ready(pod)
        ]
        assert serving == ["agents:two"] * DECLARED

        say(environment, namespace, "agents:two")
        environment.up()
        assert images(namespace) == {"agents:two"}
