"""What else decides how many pods run: CPU, memory, a schedule, requests in flight, the age of a task."""

from __future__ import annotations

import datetime
import time

from tests.cluster import queues
from tests.cluster.api import Namespace
from tests.cluster.conftest import Cluster, fleet, pods_of
from tests.cluster.measures import cloud_watch, prometheus
from tests.cluster.watching import asked_for

AT_ONCE = {"down_percent": 100, "down_seconds": 1, "down_window": 0}


def scaled(namespace: Namespace, deployment: str, number: int, *, seconds: float) -> None:
    namespace.wait(
        f"{number} of {deployment}", lambda: namespace.replicas(deployment), until=number, seconds=seconds
    )


def use(namespace: Namespace, name: str, resource: str, amount: str) -> None:
    """Has the pods that a fleet has now use so much; ones that come later use next to nothing."""
    for pod in namespace.pods(pods_of(name)):
        change = {"metadata": {"annotations": {f"kwok.x-k8s.io/usage-{resource}": amount}}}
        namespace.merge("Pod", pod["metadata"]["name"], change)


def test_cpu_and_memory_move_the_replicas_by_what_metrics_server_measures(namespace: Namespace) -> None:
    resources = {"cpu": "500m", "memory": "512Mi"}
    bounds = {"min": 2, "max": 6, "speed": AT_ONCE}
    for name, decides in (
        ("by-cpu", {"target_cpu": 70}),
        ("by-memory", {"target_cpu": None, "target_memory": 80}),
    ):
        namespace.apply(
            *fleet(namespace, fleet_name=name, resources=resources, replicas={**bounds, **decides})
        )
    for name in ("by-cpu", "by-memory"):
        namespace.wait("two pods", lambda name=name: namespace.ready(name), until=2, seconds=30)
    # Of 500m and of 512Mi: 140 % and 160 %, twice what is aimed at.
    use(namespace, "by-cpu", "cpu", "700m")
    use(namespace, "by-memory", "memory", "819Mi")
    scaled(namespace, "by-cpu", 4, seconds=60)
    scaled(namespace, "by-memory", 4, seconds=60)
    use(namespace, "by-cpu", "cpu", "5m")
    use(namespace, "by-memory", "memory", "5Mi")
    scaled(namespace, "by-cpu", 2, seconds=60)
    scaled(namespace, "by-memory", 2, seconds=60)


def test_a_schedule_holds_so_many_for_its_time(namespace: Namespace) -> None:
    now = datetime.datetime.now(datetime.UTC)

    def hour(ahead: int) -> str:
        then = now + datetime.timedelta(hours=ahead)
        return f"{then.minute} {then.hour} * * *"

    def apply(start: int, end: int) -> None:
        schedule = {"start": hour(start), "end": hour(end), "replicas": 4}
        replicas = {"min": 1, "max": 6, "target_cpu": None, "schedules": [schedule], "speed": AT_ONCE}
        namespace.apply(*fleet(namespace, keda={}, replicas=replicas))

    apply(-1, 2)
    scaled(namespace, "support", 4, seconds=30)
    # As it is once its end has passed.
    apply(2, 4)
    scaled(namespace, "support", 1, seconds=30)


def test_requests_in_flight_move_the_api_and_silence_moves_nothing(namespace: Namespace) -> None:
    replicas = {"min": 1, "max": 6, "target_cpu": None, "concurrency": 10, "speed": AT_ONCE}
    with prometheus() as known:
        namespace.apply(*fleet(namespace, keda={"prometheus": {"url": known.url}}, replicas=replicas))
        known.answer = 37
        scaled(namespace, "support", 4, seconds=30)
        (query,) = set(known.asked)
        assert f'namespace="{namespace.name}"' in query
        # An empty answer is no reason to end pods that may be at work.
        known.answer = None
        with asked_for(namespace, "support") as asked:
            time.sleep(5)
        assert asked.numbers == [4]
        known.answer = 3
        scaled(namespace, "support", 1, seconds=30)


def test_a_task_that_waits_too_long_brings_more_workers(cluster: Cluster, namespace: Namespace) -> None:
    queue = queues.made(cluster)
    # A task takes a minute at most and may wait for another.
    replicas = {"max": 4, "target_cpu": None, "queue_depth": None, "queue_age": 60, "poll_seconds": 5}
    made = fleet(
        namespace,
        task_timeout=60,
        queue=queue.connection,
        keda={},
        replicas={"min": 1, "max": 1},
        worker={"replicas": {"min": 1, **replicas, "speed": AT_ONCE}},
    )
    with cloud_watch() as known:
        known.age = 240
        for each in made:
            if each["kind"] == "ScaledObject":
                each["spec"]["triggers"][0]["metadata"]["awsEndpoint"] = known.url
        namespace.apply(*made)
        # Twice what is aimed at, and again: an age is no average, so it goes on until the age is down.
        scaled(namespace, "support-worker", 4, seconds=40)
        for told in (b"ApproximateAgeOfOldestMessage", b"QueueName", queue.name.encode()):
            assert told in known.asked[-1]
        known.age = 30
        scaled(namespace, "support-worker", 1, seconds=40)
