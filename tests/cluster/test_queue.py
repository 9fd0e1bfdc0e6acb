"""Workers by their queue: KEDA's operator and adapter, the HPA controller, and SQS as moto serves it."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from typing import Any

import pytest

from tests.cluster import queues
from tests.cluster.api import Namespace, Object
from tests.cluster.conftest import Cluster, fleet
from tests.cluster.queues import Queue
from tests.cluster.watching import asked_for

WORKERS = "support-worker"
CONCURRENCY = 4
MOST = 6
#: A second here stands for so many of Kubernetes' defaults: the HPA looks every 15, and here every one.
COMPRESSION = 15
#: Kubernetes' defaults and the library's, so much shorter.
SPEED = {
    "up_seconds": 15 // COMPRESSION,
    "down_seconds": 60 // COMPRESSION,
    "down_window": 300 // COMPRESSION,
}
AT_ONCE = {"down_percent": 100, "down_seconds": 1, "down_window": 0}


@pytest.fixture
def queue(cluster: Cluster) -> Queue:
    return queues.made(cluster)


def workers(namespace: Namespace, queue: Queue, **replicas: Any) -> list[Object]:
    """A fleet whose workers are scaled by that queue alone."""
    return fleet(
        namespace,
        queue=queue.connection,
        keda={},
        replicas={"min": 1, "max": 1},
        worker={"concurrency": CONCURRENCY, "replicas": {"max": MOST, "target_cpu": None, **replicas}},
    )


def scaled(namespace: Namespace, number: int, *, seconds: float = 30) -> None:
    namespace.wait(
        f"{number} workers",
        lambda: (namespace.replicas(WORKERS), namespace.ready(WORKERS)),
        until=(number, number),
        seconds=seconds,
    )


def test_replicas_follow_the_backlog_up_to_the_ceiling_and_down_and_tasks_in_hand_count(
    namespace: Namespace, queue: Queue
) -> None:
    namespace.apply(*workers(namespace, queue, min=1, speed=AT_ONCE))
    scaled(namespace, 1)
    queue.send(3 * CONCURRENCY)
    scaled(namespace, 3)
    # More than the most that may run could have in hand.
    queue.send(20 * CONCURRENCY)
    scaled(namespace, MOST)

    # All are in hand and none waits: whoever has them is still needed.
    queue.take(1000)
    queue.finish(len(queue.in_hand) - 4 * CONCURRENCY)
    assert queue.counts() == (0, 4 * CONCURRENCY)
    scaled(namespace, 4)
    with asked_for(namespace, WORKERS) as asked:
        time.sleep(5)
    assert asked.numbers == [4]

    queue.finish(len(queue.in_hand))
    scaled(namespace, 1)


def test_workers_go_to_none_and_the_first_task_starts_one(namespace: Namespace, queue: Queue) -> None:
    made = workers(namespace, queue, min=0, speed=AT_ONCE, poll_seconds=5)
    for each in made:
        if each["kind"] == "ScaledObject":
            # The least that a fleet may say is a minute: for so long SQS may not know of a message.
            each["spec"]["cooldownPeriod"] = 3
    namespace.apply(*made)
    scaled(namespace, 0)
    queue.send(1)
    scaled(namespace, 1)
    # In hand, and the only one.
    queue.take(1)
    with asked_for(namespace, WORKERS) as asked:
        time.sleep(10)
    assert asked.numbers == [1]
    queue.finish(1)
    scaled(namespace, 0)


def trace(*, minutes: int, seed: int) -> list[int]:
    """Tasks for each minute: single ones all the time, and a burst of up to a hundred every six minutes."""
    drawn = random.Random(seed)  # noqa: S311 - a trace, no secret
    return [
        drawn.randint(0, 2) + (drawn.randint(60, 100) if minute % 6 == 2 else 0) for minute in range(minutes)
    ]


@pytest.mark.timeout(240)
def test_half_an_hour_of_bursts_moves_the_replicas_up_and_down_once_for_each(
    namespace: Namespace, queue: Queue
) -> None:
    minutes, minute = 30, 60 / COMPRESSION
    arrivals = trace(minutes=minutes, seed=7)
    bursts = sum(number >= 60 for number in arrivals)
    namespace.apply(*workers(namespace, queue, min=1, max=20, speed=SPEED))
    scaled(namespace, 1)
    began = time.monotonic()
    with (
        asked_for(namespace, WORKERS) as asked,
        # A task takes 45 seconds.
        queues.worked_on(
            queue,
            workers=lambda: namespace.ready(WORKERS),
            concurrency=CONCURRENCY,
            seconds=45 / COMPRESSION,
        ) as seen,
    ):
        for index, number in enumerate(arrivals):
            queue.send(number)
            time.sleep(max(0.0, began + (index + 1) * minute - time.monotonic()))
        namespace.wait("all done", queue.counts, until=(0, 0), seconds=30)
    # A burst makes them rise once and fall once. What comes between bursts is less than what one replica has
    # in hand, so nothing else has a reason to move them; the window before they fall outlasts a burst's tail.
    assert 1 < asked.turns <= 2 * bursts, asked.values
    assert asked.most > 2 * MOST
    # None went that was needed: what there was to do in the seconds before fitted into those that were left.
    for (_, before), (when, after) in pairwise(asked.values):
        if after < before:
            least = min(tasks for at, tasks in seen if when - 3 < at <= when)
            assert least <= after * CONCURRENCY, (when, before, after, least)
