"""Workers tell how busy they are: what the admission policy lets them, and which pod goes first by it."""

from __future__ import annotations

from typing import Any

import pytest

from agent_infra.fleet.deletion_cost import ANNOTATION
from tests.cluster.api import Api, Namespace, Object, Refused
from tests.cluster.conftest import fleet, pods_of
from tests.unit.fleet_objects import QUEUE

WORKERS = pods_of("support", "worker")
_MERGE = "application/merge-patch+json"


@pytest.fixture
def workers(namespace: Namespace) -> list[Object]:
    """Four pods of workers, and no autoscaler: a test says itself how many there are to be."""
    made = fleet(
        namespace,
        queue=QUEUE,
        keda={},
        replicas={"min": 1, "max": 1},
        worker={"replicas": {"min": 1, "max": 8}},
    )
    namespace.apply(*(each for each in made if each["kind"] != "ScaledObject"))
    scale(namespace, 4)
    return namespace.pods(WORKERS)


def scale(namespace: Namespace, number: int) -> None:
    namespace.merge("Deployment", "support-worker", {"spec": {"replicas": number}})
    namespace.wait(
        f"{number} workers",
        lambda: (namespace.ready("support-worker"), len(namespace.pods(WORKERS))),
        until=(number, number),
        seconds=30,
    )


def as_pod(namespace: Namespace, pod: Object | None) -> Api:
    """With a token such as the kubelet gives a pod of the fleet; without one, bound to none."""
    spec: Object = {"expirationSeconds": 3600}
    if pod is not None:
        about = pod["metadata"]
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": about["name"],
            "uid": about["uid"],
        }
    made = namespace.api.call(
        "POST",
        f"/api/v1/namespaces/{namespace.name}/serviceaccounts/support/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec},
    )
    return namespace.api.as_bearer(made["status"]["token"])


def patch(namespace: Namespace, api: Api, pod: Object, change: Any, **query: str) -> str:
    """What the API server says to it; nothing where it takes it."""
    try:
        api.call("PATCH", namespace.path("Pod", pod["metadata"]["name"]), change, content=_MERGE, **query)
    except Refused as refused:
        return str(refused)
    return ""


def cost(value: str | None) -> Object:
    return {"metadata": {"annotations": {ANNOTATION: value}}}


def test_a_worker_may_say_its_own_pods_load_and_nothing_else(
    namespace: Namespace, workers: list[Object]
) -> None:
    own, other, *_ = workers
    pod = as_pod(namespace, own)
    label = {"metadata": {"labels": {"other": "label"}}}
    # A policy is in force a moment after it is there; until then nothing is to be changed by it.
    namespace.wait(
        "the policy",
        lambda: patch(namespace, pod, own, label, dryRun="All"),
        until=lambda said: "nothing else of it" in said,
        seconds=20,
    )
    assert patch(namespace, pod, own, cost("3")) == ""
    assert namespace.get("Pod", own["metadata"]["name"])["metadata"]["annotations"][ANNOTATION] == "3"

    assert "its own pod and no other" in patch(namespace, pod, other, cost("3"))
    assert "its own pod and no other" in patch(namespace, as_pod(namespace, None), own, cost("3"))
    another = {"metadata": {"annotations": {ANNOTATION: "3", "example.com/other": "1"}}}
    assert "no other annotation" in patch(namespace, pod, own, another)
    image = {"spec": {"containers": [{**own["spec"]["containers"][0], "image": "somebody/elses"}]}}
    assert "nothing else of it" in patch(namespace, pod, own, image)
    deadline = {"spec": {"activeDeadlineSeconds": 1}}
    assert "nothing else of it" in patch(namespace, pod, own, deadline)
    assert "number of its tasks" in patch(namespace, pod, own, cost("-5"))
    assert "number of its tasks" in patch(namespace, pod, own, cost(None))

    for method, path in (
        ("GET", namespace.path("Pod", own["metadata"]["name"])),
        ("DELETE", namespace.path("Pod", own["metadata"]["name"])),
        ("GET", namespace.path("Secret")),
    ):
        with pytest.raises(Refused, match="403"):
            pod.call(method, path)


def test_idle_workers_go_before_busy_ones(namespace: Namespace, workers: list[Object]) -> None:
    names = [pod["metadata"]["name"] for pod in workers]
    for name, tasks in zip(names, ("4", "0", "3", "1"), strict=True):
        namespace.merge("Pod", name, cost(tasks))
    scale(namespace, 3)
    assert {pod["metadata"]["name"] for pod in namespace.pods(WORKERS)} == set(names) - {names[1]}
    scale(namespace, 2)
    assert {pod["metadata"]["name"] for pod in namespace.pods(WORKERS)} == {names[0], names[2]}
