"""When objects of each kind are ready, and what is told of those that are not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agent_infra.local.standins.kubernetes.awaiting import asked, events, rules
from agent_infra.local.standins.kubernetes.awaiting.verdicts import Failed, Ready, Scene, Verdict, Waiting
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import StandinError


def judged(kind: Kind, object: dict[str, Any], **more: Any) -> Verdict:
    rule = rules.of(kind)
    assert rule is not None
    return rule.judge(Scene({"metadata": {"name": "web"}, **object}, **more))


def conditions(**statuses: str) -> dict[str, Any]:
    return {"conditions": [{"type": type, "status": status} for type, status in statuses.items()]}


# Deployments

DEPLOYMENT = Kind("apps", "v1", "Deployment")
REVISION = "deployment.kubernetes.io/revision"


def deployment(revision: str = "1", *, generation: int = 1, seen: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "web",
            "uid": "d",
            "generation": generation,
            "annotations": {REVISION: revision},
        },
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": seen, **(status or conditions(Available="True"))},
    }


def replica_set(revision: str = "1", *, ready: int = 3, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"web-{revision}",
            "uid": f"r{revision}",
            "annotations": {REVISION: revision},
            "ownerReferences": [{"uid": "d"}],
        },
        "spec": {"replicas": 3},
        "status": {"readyReplicas": ready, **status},
    }


def pod(name: str = "web-1-a", owner: str = "r1", **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": name, "ownerReferences": [{"uid": owner}]}
    return {"metadata": metadata, "spec": {}, "status": status}


def test_a_new_deployment_is_ready_with_the_pods_of_its_first_revision() -> None:
    sets = {"ReplicaSet": [replica_set()]}
    assert judged(DEPLOYMENT, deployment(), related=sets) == Ready()
    waiting = judged(DEPLOYMENT, deployment(), related={"ReplicaSet": [replica_set(ready=2)]})
    assert waiting == Waiting("[2/2] 2 of 3 new pods ready")


def test_a_deployment_whose_change_the_controller_has_not_seen_is_not_ready() -> None:
    found = deployment(generation=2, seen=1)
    verdict = judged(DEPLOYMENT, found, related={"ReplicaSet": [replica_set()]})
    assert verdict == Waiting("[1/2] waiting for the controller to see the change")


def test_a_rollout_waits_for_the_new_revision_and_not_for_the_end_of_old_pods() -> None:
    rolling = deployment("2", **conditions(Available="True", Progressing="True"))
    sets = {"ReplicaSet": [replica_set("1"), replica_set("2")]}
    assert isinstance(judged(DEPLOYMENT, rolling, related=sets), Waiting)
    rolling["status"]["conditions"][1]["reason"] = "NewReplicaSetAvailable"
    assert judged(DEPLOYMENT, rolling, related=sets) == Ready()
    assert isinstance(judged(DEPLOYMENT, rolling, related={"ReplicaSet": [replica_set("1")]}), Waiting)


def test_the_replicas_that_an_autoscaler_asks_for_are_the_replica_sets_own() -> None:
    found = deployment()
    del found["spec"]["replicas"]
    assert isinstance(judged(DEPLOYMENT, found, related={"ReplicaSet": [replica_set(ready=1)]}), Waiting)
    none = replica_set(ready=0)
    none["spec"]["replicas"] = 0
    assert judged(DEPLOYMENT, found, related={"ReplicaSet": [none]}) == Ready()


def test_a_deployment_waits_for_the_claims_of_its_pods() -> None:
    claim = {"metadata": {"name": "data"}, "status": {"phase": "Pending"}}
    verdict = judged(
        DEPLOYMENT,
        deployment(),
        related={"ReplicaSet": [replica_set()], "PersistentVolumeClaim": [claim]},
    )
    assert isinstance(verdict, Waiting)
    assert verdict.problems == ("claim data is Pending",)


def test_the_failing_pod_its_container_and_the_reason_are_named() -> None:
    pulling = {
        "name": "app",
        "ready": False,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "app:9"'}},
    }
    crashing = {
        "name": "app",
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    }
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    starting = {"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pods = [
        pod("a", containerStatuses=[pulling]),
        pod("b", containerStatuses=[crashing]),
        pod("c", conditions=[unscheduled]),
        pod("d", containerStatuses=[starting]),
        pod("e", owner="another", containerStatuses=[pulling]),
    ]
    verdict = judged(DEPLOYMENT, deployment(), related={"ReplicaSet": [replica_set(ready=0)], "Pod": pods})
    assert isinstance(verdict, Waiting)
    assert verdict.problems == (
        'pod a: container app: ImagePullBackOff: Back-off pulling image "app:9"',
        "pod b: container app: CrashLoopBackOff: back-off 10s",
        "pod b: container app ended with exit code 3 (Error)",
        "pod c: Unschedulable: no node",
    )


def test_of_many_failing_pods_a_few_are_named() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}
    pods = [pod(f"p{number}", conditions=[unscheduled]) for number in range(9)]
    verdict = judged(DEPLOYMENT, deployment(), related={"ReplicaSet": [replica_set(ready=0)], "Pod": pods})
    assert isinstance(verdict, Waiting)
    assert [problem.partition(":")[0] for problem in verdict.problems] == [
        "pod p0",
        "pod p1",
        "pod p2",
        "6 more pods are not ready",
    ]


def test_pods_that_admission_refuses_are_told_with_the_reason() -> None:
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": 'pods "web-1-x" is forbidden: exceeded quota: small',
    }
    missed = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "web-1" has timed out progressing.',
    }
    sets = {"ReplicaSet": [replica_set(ready=0, conditions=[failure])]}
    verdict = judged(DEPLOYMENT, deployment(conditions=[missed]), related=sets)
    assert isinstance(verdict, Waiting)
    assert verdict.problems == (
        'ReplicaSet web-1: FailedCreate: pods "web-1-x" is forbidden: exceeded quota: small',
        'ProgressDeadlineExceeded: ReplicaSet "web-1" has timed out progressing.',
    )


# Other workloads


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"phase": "Succeeded"}, Ready()),
        (conditions(PodScheduled="True", Initialized="True", Ready="True"), Ready()),
        ({}, Waiting("[1/3] waiting to be given a node")),
        (
            conditions(PodScheduled="True", Initialized="True"),
            Waiting("[3/3] waiting for its containers to be ready"),
        ),
    ],
)
def test_a_pod_is_scheduled_initialized_and_ready_or_has_ended_well(
    status: dict[str, Any], verdict: Verdict
) -> None:
    assert judged(Kind("", "v1", "Pod"), {"status": status}) == verdict


def test_a_pod_that_failed_for_good_is_not_waited_for() -> None:
    ended = {"name": "app", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}
    verdict = judged(
        Kind("", "v1", "Pod"),
        {"spec": {"restartPolicy": "Never"}, "status": {"phase": "Failed", "containerStatuses": [ended]}},
    )
    assert isinstance(verdict, Failed)
    assert verdict.problems == ("pod web: container app ended with exit code 2 (Error)",)


def test_a_stateful_set_is_ready_with_every_pod_of_the_revision_asked_for() -> None:
    kind = Kind("apps", "v1", "StatefulSet")
    status = {
        "observedGeneration": 1,
        "replicas": 2,
        "readyReplicas": 2,
        "currentReplicas": 2,
        "updatedReplicas": 1,
        "currentRevision": "a",
        "updateRevision": "a",
    }
    found = {"spec": {"replicas": 2}, "status": status}
    assert judged(kind, found) == Ready()
    status["updateRevision"] = "b"
    assert judged(kind, found) == Waiting("[2/2] 1 of 2 pods ready")


def test_a_daemon_set_is_ready_on_every_node() -> None:
    kind = Kind("apps", "v1", "DaemonSet")
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    status = {"observedGeneration": 1, "numberReady": 3, **dict.fromkeys(counts, 3)}
    assert judged(kind, {"status": status}) == Ready()
    assert isinstance(judged(kind, {"status": {**status, "updatedNumberScheduled": 1}}), Waiting)


def test_a_job_is_done_or_has_failed() -> None:
    kind = Kind("batch", "v1", "Job")
    assert judged(kind, {"status": conditions(Complete="True")}) == Ready()
    status = {"startTime": "now", "active": 1, "failed": 2}
    waiting = judged(kind, {"spec": {"completions": 4}, "status": status})
    assert waiting == Waiting("[2/2] 0 of 4 pods succeeded, 1 at work, 2 failed")
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
    verdict = judged(kind, {"status": {"conditions": [failed]}})
    assert verdict == Failed("the Job has failed: BackoffLimitExceeded: too often")


# Services and others

SERVICE = Kind("", "v1", "Service")


def endpoints(*ready: bool | None, **more: Any) -> dict[str, Any]:
    found = [{"conditions": {"ready": each, **more}} for each in ready]
    return {"EndpointSlice": [{"metadata": {"name": "web-1"}, "endpoints": found}]}


def test_a_service_is_ready_when_every_endpoint_is_and_none_has_changed_lately() -> None:
    found = {"spec": {"selector": {"app": "web"}}}
    assert judged(SERVICE, found, related=endpoints(True, True)) == Ready()
    assert judged(SERVICE, found, related=endpoints()) == Ready()
    assert isinstance(judged(SERVICE, found, related=endpoints(True), quiet=0.1), Waiting)
    assert isinstance(judged(SERVICE, found), Waiting)
    assert judged(SERVICE, found, related=endpoints(True, False)) == Waiting("[1/2] 1 of 2 endpoints ready")
    assert judged(SERVICE, found, related=endpoints(False, terminating=True)) == Ready()


@pytest.mark.parametrize(
    "spec",
    [{"type": "ExternalName"}, {"selector": {"app": "web"}, "clusterIP": "None"}, {"clusterIP": "10.0.0.1"}],
)
def test_a_service_that_leads_to_no_pods_of_its_own_is_ready_at_once(spec: dict[str, Any]) -> None:
    assert judged(SERVICE, {"spec": spec}) == Ready()


def test_a_load_balancer_needs_its_address() -> None:
    found: dict[str, Any] = {
        "kind": "Service",
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}},
        "status": {},
    }
    verdict = judged(SERVICE, found, related=endpoints(True))
    assert isinstance(verdict, Waiting)
    assert "does a controller" in verdict.problems[0]
    assert judged(SERVICE, found, related=endpoints(True), balancers=False) == Ready()
    found["status"] = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
    assert judged(SERVICE, found, related=endpoints(True)) == Ready()


def test_an_ingress_needs_its_services_and_an_address() -> None:
    kind = Kind("networking.k8s.io", "v1", "Ingress")
    path = {"backend": {"service": {"name": "web"}}}
    found = {"kind": "Ingress", "spec": {"rules": [{"http": {"paths": [path]}}]}, "status": {}}
    assert judged(kind, found) == Waiting("[1/2] waiting for the Service web")
    there = {"Service": [{"metadata": {"name": "web"}}]}
    assert isinstance(judged(kind, found, related=there), Waiting)
    assert judged(kind, found, related=there, balancers=False) == Ready()
    found["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb"}]}}
    assert judged(kind, found, related=there) == Ready()


def test_a_claim_is_bound_or_waits_for_its_first_pod() -> None:
    kind = Kind("", "v1", "PersistentVolumeClaim")
    later = {"StorageClass": [{"volumeBindingMode": "WaitForFirstConsumer"}]}
    assert judged(kind, {"status": {"phase": "Bound"}}) == Ready()
    assert judged(kind, {"status": {"phase": "Pending"}}, related=later) == Ready()
    assert isinstance(judged(kind, {"status": {"phase": "Pending"}}), Waiting)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (Kind("", "v1", "Namespace"), {}, {"status": {"phase": "Active"}}),
        (Kind("", "v1", "PersistentVolume"), {}, {"status": {"phase": "Available"}}),
        (
            Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            {},
            {"status": conditions(Established="True")},
        ),
        (
            Kind("", "v1", "ResourceQuota"),
            {"spec": {"hard": {"pods": "1"}}},
            {"spec": {"hard": {"pods": "1"}}, "status": {"hard": {"pods": "1"}}},
        ),
        (
            Kind("", "v1", "Secret"),
            {"type": "kubernetes.io/service-account-token"},
            {"type": "kubernetes.io/service-account-token", "data": {"token": "eA=="}},
        ),
    ],
)
def test_what_a_controller_completes_is_waited_for(
    kind: Kind, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert isinstance(judged(kind, before), Waiting)
    assert judged(kind, after) == Ready()


def test_a_kind_that_no_controller_completes_is_ready_at_once() -> None:
    assert rules.of(Kind("", "v1", "ConfigMap")) is None


# What annotations ask for


def annotated(**annotations: str) -> dict[str, Any]:
    named = {f"pulumi.com/{name}": value for name, value in annotations.items()}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w", "annotations": named}}


def test_the_longest_wait_is_the_resources_the_annotations_or_the_kinds() -> None:
    assert asked.seconds(annotated(), timeout=0, default=600) == 600
    assert asked.seconds(annotated(timeoutSeconds="90"), timeout=0, default=600) == 90
    assert asked.seconds(annotated(timeoutSeconds="soon"), timeout=0, default=600) == 600
    assert asked.seconds(annotated(timeoutSeconds="90"), timeout=5, default=600) == 5


def test_the_wait_is_skipped_and_for_some_kinds_that_for_the_end_too() -> None:
    said = annotated(skipAwait="true")
    assert asked.skips(said)
    assert asked.skips_deletion(said)
    assert not asked.skips_deletion({**said, "apiVersion": "v1", "kind": "ConfigMap"})
    assert not asked.skips(annotated())


@pytest.mark.parametrize(
    ("said", "object", "met"),
    [
        ("condition=Ready", {"status": conditions(Ready="True")}, True),
        ("condition=Ready", {"status": conditions(Ready="False")}, False),
        ("condition=Reconciling=False", {"status": conditions(Reconciling="False")}, True),
        ("jsonpath={.status.phase}=Healthy", {"status": {"phase": "Healthy"}}, True),
        ("jsonpath={.status.phase}=Healthy", {"status": {"phase": "Degraded"}}, False),
        ("jsonpath={.status.phase}", {"status": {}}, False),
        ("jsonpath={.spec.on}=true", {"spec": {"on": True}}, True),
        ('jsonpath={.status.list[?(@.type=="a")].n}=2', {"status": {"list": [{"type": "a", "n": 2}]}}, True),
        ('["condition=A", "condition=B"]', {"status": conditions(A="True")}, False),
        ('["condition=A", "condition=B"]', {"status": conditions(A="True", B="True")}, True),
        (
            "condition=Ready",
            {
                "metadata": {"generation": 2},
                "status": {"observedGeneration": 1, **conditions(Ready="True")},
            },
            False,
        ),
        *(
            (
                "jsonpath={.status.phase}=Healthy",
                # As Argo Rollouts has it: a text, and 9 is less than 10.
                {"metadata": {"generation": 10}, "status": {"observedGeneration": seen, "phase": "Healthy"}},
                met,
            )
            for seen, met in (("9", False), ("10", True), ("", False))
        ),
    ],
)
def test_an_annotation_says_what_is_waited_for(said: str, object: dict[str, Any], met: bool) -> None:
    rule = asked.rule(annotated(waitFor=said))
    assert rule is not None
    assert isinstance(rule.judge(Scene({"metadata": {}, **object})), Ready if met else Waiting)


def test_what_is_there_instead_is_told_with_what_the_status_says_of_it() -> None:
    rule = asked.rule(annotated(waitFor="jsonpath={.status.phase}=Healthy"))
    assert rule is not None
    aborted = {"phase": "Degraded", "message": 'RolloutAborted: metric "error-rate" failed'}
    assert rule.judge(Scene({"metadata": {}, "status": aborted})) == Waiting(
        "waiting for jsonpath={.status.phase}=Healthy (found 'Degraded')",
        ('its status says: RolloutAborted: metric "error-rate" failed',),
    )


@pytest.mark.parametrize("said", ["Ready", "jsonpath=.status", "jsonpath={.a[}", "condition=", "[]"])
def test_an_annotation_of_another_form_is_refused(said: str) -> None:
    with pytest.raises(StandinError, match=r"waitFor.*allowed: condition="):
        asked.rule(annotated(waitFor=said))


# Events


def test_the_last_warnings_are_told_once_and_not_beside_what_says_the_same() -> None:
    def event(name: str, reason: str, message: str, minute: int) -> dict[str, Any]:
        about = {"kind": "Pod", "name": name, "uid": name}
        when = f"2026-01-01T00:{minute:02d}:00Z"
        return {"involvedObject": about, "reason": reason, "message": message, "lastTimestamp": when}

    found = [
        event("a", "Failed", "newer", 3),
        event("a", "Failed", "older", 2),
        event("a", "Unhealthy", "before the update", 0),
        event("b", "FailedCreate", "told", 3),
        event("other", "Failed", "of something else", 3),
    ]
    since = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    said = events.lines(found, {"a", "b"}, since=since, told=["ReplicaSet b: FailedCreate: told"])
    assert said == ["event of pod a: Failed: newer"]
