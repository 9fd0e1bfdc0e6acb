"""A fleet that gets KEDA later: from a plain HPA to KEDA's, without a replica less on the way."""

from __future__ import annotations

import json

from agent_infra.automation import Environment
from tests.cluster import queues
from tests.cluster.api import Namespace
from tests.cluster.conftest import Cluster, Deploys, pods_of
from tests.cluster.watching import asked_for
from tests.engine.conftest import change_settings

PROGRAM = """
import json
import pulumi
from agent_infra import AgentFleet

AgentFleet("support", json.loads(pulumi.Config().require("said")))
"""
WORKERS = "support-worker"


def say(environment: Environment, namespace: Namespace, queue: queues.Queue, **more: object) -> None:
    said = {
        "image": "agents:one",
        "require_digest": False,
        "namespace": namespace.name,
        "environment_name": "local",
        "queue": queue.connection,
        "replicas": {"min": 1, "max": 1},
        "resources": {"cpu": "500m"},
        "worker": {"replicas": {"min": 1, "max": 8}, "concurrency": 4, "resources": {"cpu": "500m"}},
        **more,
    }
    change_settings(
        environment.project, "local", lambda settings: settings.update({"fleets:said": json.dumps(said)})
    )


def test_a_fleet_that_gets_keda_keeps_the_replicas_that_it_has(
    cluster: Cluster, namespace: Namespace, deploys: Deploys
) -> None:
    queue = queues.made(cluster)
    with deploys(PROGRAM) as environment:
        say(environment, namespace, queue)
        environment.up()
        namespace.wait("a worker", lambda: namespace.ready(WORKERS), until=1, seconds=30)
        (worker,) = namespace.pods(pods_of("support", "worker"))
        busy = {"metadata": {"annotations": {"kwok.x-k8s.io/usage-cpu": "1400m"}}}
        namespace.merge("Pod", worker["metadata"]["name"], busy)
        # 280 % of what it asked for, where 70 % is aimed at.
        namespace.wait("four workers", lambda: namespace.replicas(WORKERS), until=4, seconds=60)

        # As much to do as four workers do at once.
        queue.send(16)
        say(environment, namespace, queue, keda={})
        with asked_for(namespace, WORKERS) as asked:
            environment.up()
            hpas = namespace.wait(
                "KEDA's autoscaler alone, and at work",
                lambda: [
                    (each["metadata"]["name"], each.get("status", {}).get("desiredReplicas"))
                    for each in namespace.all("HorizontalPodAutoscaler")
                ],
                until=[(f"keda-hpa-{WORKERS}", 4)],
                seconds=40,
            )
        assert hpas and asked.numbers == [4], asked.values
        queue.send(16)
        namespace.wait("more by the queue", lambda: namespace.replicas(WORKERS), until=8, seconds=30)
