"""Every option of a fleet is admitted by the real API server, strictly, with `restricted` enforced."""

from __future__ import annotations

import pytest

from tests.cluster.api import Api, Namespace, Object, Refused
from tests.cluster.conftest import fleet
from tests.unit import fleet_examples

#: Which one of the examples names.
AGENTS = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "agents"},
    "value": 1000,
}


def pods(made: Object, namespace: Namespace) -> list[Object]:
    """A pod such as a Deployment or a Rollout makes; none of all else."""
    template = made.get("spec", {}).get("template")
    if not template:
        return []
    metadata = {**template["metadata"], "name": made["metadata"]["name"], "namespace": namespace.name}
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}]


def refusals(api: Api, made: list[Object]) -> list[str]:
    found = []
    for each in made:
        try:
            api.apply(each, dry_run=True, strict=True)
        except Refused as refused:
            found.append(f"{each['kind']} {each['metadata']['name']}: {refused}")
    return found


@pytest.mark.parametrize("name", fleet_examples.FLEETS)
def test_every_option_of_a_fleet_is_admitted(name: str, namespace: Namespace) -> None:
    made = fleet_examples.objects(name)
    for each in made:
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = namespace.name
    assert refusals(namespace.api, made) == []
    # Security is a matter of pods alone, and those are admitted under accounts and classes that are there.
    namespace.apply(AGENTS, *(each for each in made if each["kind"] == "ServiceAccount"))
    assert refusals(namespace.api, [pod for each in made for pod in pods(each, namespace)]) == []


def test_a_pod_that_is_not_restricted_is_refused_with_the_reason(namespace: Namespace) -> None:
    made = fleet(namespace, extra_pod_spec={"hostNetwork": True})
    namespace.apply(*made)

    def reasons() -> list[str]:
        return [
            each["message"]
            for each in namespace.all("Event")
            if each["involvedObject"]["kind"] == "ReplicaSet" and each["reason"] == "FailedCreate"
        ]

    (first, *_) = namespace.wait("the refusal", reasons, seconds=20)
    assert 'violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)' in first


def test_a_quota_bounds_a_fleet_and_says_so(namespace: Namespace) -> None:
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "all", "namespace": namespace.name},
            "spec": {"hard": {"pods": "2"}},
        },
        *fleet(namespace, replicas={"min": 3, "max": 3}),
    )
    namespace.wait("two pods", lambda: namespace.ready("support"), until=2, seconds=20)
    namespace.wait(
        "the reason",
        lambda: [
            each["message"]
            for each in namespace.get("Deployment", "support")["status"]["conditions"]
            if each["type"] == "ReplicaFailure"
        ],
        until=lambda told: any("exceeded quota: all" in each for each in told),
        seconds=20,
    )
