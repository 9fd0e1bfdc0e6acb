"""Nodes are drained and pods are lost, on the real eviction API, Deployment controller and scheduler."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.api import Namespace, Object, Refused
from tests.cluster.conftest import fleet, pods_of
from tests.cluster.stages import slow_to_start
from tests.cluster.watching import ready_pods

DECLARED = 8
#: A quarter of them, which is what the fleet's disruption budget lets go at once.
AT_ONCE = 2
PODS = pods_of("support")


@pytest.fixture
def running(namespace: Namespace) -> Namespace:
    """A fleet of eight, all of them ready."""
    namespace.apply(*fleet(namespace, replicas={"min": DECLARED, "max": DECLARED}))
    namespace.wait("the fleet", lambda: namespace.ready("support"), until=DECLARED, seconds=30)
    namespace.wait(
        "its budget",
        lambda: namespace.get("PodDisruptionBudget", "support").get("status", {}).get("disruptionsAllowed"),
        until=AT_ONCE,
        seconds=20,
    )
    return namespace


@contextmanager
def cordoned(namespace: Namespace, node: str) -> Iterator[None]:
    place = f"/api/v1/nodes/{node}"
    api, content = namespace.api, "application/merge-patch+json"
    api.call("PATCH", place, {"spec": {"unschedulable": True}}, content=content)
    try:
        yield
    finally:
        api.call("PATCH", place, {"spec": {"unschedulable": None}}, content=content)


def on(namespace: Namespace, node: str) -> list[Object]:
    return [pod for pod in namespace.pods(PODS) if pod["spec"].get("nodeName") == node]


def drain(namespace: Namespace, node: str, *, seconds: float) -> int:
    """Evicts a node's pods as `kubectl drain` does: what is refused for now is asked for again.

    Returns:
        How often the budget said no.
    """
    until, refusals = time.monotonic() + seconds, 0
    while left := on(namespace, node):
        for pod in left:
            name = pod["metadata"]["name"]
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": namespace.name},
            }
            try:
                namespace.api.call("POST", f"{namespace.path('Pod', name)}/eviction", eviction)
            except Refused as refused:
                if refused.status == 404:
                    continue
                assert refused.status == 429, refused
                assert "disruption budget" in str(refused)
                refusals += 1
        assert time.monotonic() < until, f"{len(left)} pods are left on {node}\n{namespace.as_text()}"
        time.sleep(0.1)
    return refusals


def test_a_drained_node_takes_no_more_pods_at_once_than_the_budget_lets_go(running: Namespace) -> None:
    places = [pod["spec"]["nodeName"] for pod in running.pods(PODS)]
    node = max(set(places), key=places.count)
    assert len(set(places)) > 1, places
    with slow_to_start(running, seconds=1), ready_pods(running, PODS) as ready, cordoned(running, node):
        refusals = drain(running, node, seconds=40)
        running.wait("as many as before", lambda: running.ready("support"), until=DECLARED, seconds=20)
        assert not on(running, node)
    assert ready.least >= DECLARED - AT_ONCE, ready.values
    # Without a budget nothing would have been refused.
    assert refusals > 0


def test_a_killed_pod_comes_back(running: Namespace) -> None:
    killed = running.pods(PODS)[0]["metadata"]["name"]
    running.api.call("DELETE", running.path("Pod", killed), {"gracePeriodSeconds": 0})
    running.wait(
        "another in its place",
        lambda: (running.ready("support"), running.find("Pod", killed) is None),
        until=(DECLARED, True),
        seconds=20,
    )


def test_pods_with_long_tasks_ask_for_their_nodes_to_be_left_alone(namespace: Namespace) -> None:
    namespace.apply(*fleet(namespace, task_timeout=3600, replicas={"min": 1, "max": 1}))
    (pod,) = namespace.wait("its pod", lambda: namespace.pods(PODS), seconds=20)
    assert pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
