"""The kubernetes stand-in with the real engine on real controllers: what it waits for, and what it tells."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Diagnostic, Environment, Event, Progress, Step, UpdateFailed
from tests.cluster.api import Namespace, Object
from tests.cluster.conftest import Cluster
from tests.engine.conftest import change_settings, local_program

PROGRAM = """
import json
import pulumi

before = []
for each in json.loads(pulumi.Config().require("objects")):
    group = each["apiVersion"] if "/" in each["apiVersion"] else "core/" + each["apiVersion"]
    options = pulumi.ResourceOptions(depends_on=list(before))
    token, name = f"kubernetes:{group}:{each['kind']}", each["metadata"]["name"]
    before.append(pulumi.CustomResource(token, name, each, options))
"""
LABELS = {"app": "web"}
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def environment(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """One for all tests here: each has the objects of the one before deleted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_INFRA_KUBECONFIG", str(cluster.kubeconfig))
        patch.setenv("AGENT_INFRA_IMAGE_BUILDER", "none")
        place = tmp_path_factory.mktemp("standin")
        with local_program(place, "objects", PROGRAM, objects="[]") as made:
            yield made


class Stack:
    """Deploys objects, and keeps what was told meanwhile."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.told: list[Event] = []

    def say(self, *made: Object) -> None:
        def change(config: dict[str, Any]) -> None:
            config["objects:objects"] = json.dumps(made)

        change_settings(self.environment.project, "local", change)

    def up(self, *made: Object) -> dict[str, int]:
        self.say(*made)
        self.told = []
        return self.environment.up(listener=self.told.append).changes

    def refused(self, *made: Object) -> str:
        with pytest.raises(UpdateFailed) as told:
            self.up(*made)
        return str(told.value)

    def warnings(self) -> list[str]:
        return [
            each.message
            for each in self.told
            if isinstance(each, Diagnostic) and each.severity == "warning" and each.urn
        ]

    def progress(self, name: str) -> list[str]:
        return [each.message for each in self.told if isinstance(each, Progress) and each.name == name]

    def steps(self) -> set[tuple[str, str]]:
        quiet = {"same", "read", "refresh"}
        return {
            (each.op, each.name)
            for each in self.told
            if isinstance(each, Step) and each.done and not each.failed and each.op not in quiet
        }


@pytest.fixture
def stack(environment: Environment) -> Iterator[Stack]:
    made = Stack(environment)
    yield made
    made.up()


def pod_spec(image: str = "web:1", **container: Any) -> Object:
    return {"containers": [{"name": "app", "image": image, "securityContext": SECURITY, **container}]}


def deployment(namespace: Namespace, spec: Object | None = None, *, replicas: int = 2, **more: str) -> Object:
    annotations = {"pulumi.com/timeoutSeconds": "60", **{f"pulumi.com/{key}": more[key] for key in more}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace.name, "annotations": annotations},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": spec or pod_spec()},
        },
    }


def service(namespace: Namespace) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web-service", "namespace": namespace.name},
        "spec": {"selector": LABELS, "ports": [{"port": 80}]},
    }


def test_up_returns_when_pods_are_ready_and_finds_nothing_to_do_again(
    namespace: Namespace, stack: Stack
) -> None:
    made = (deployment(namespace), service(namespace))
    stack.up(*made)
    assert namespace.ready("web") == 2
    assert stack.progress("web")[0].startswith("[")
    assert stack.progress("web")[-1] == ""
    assert stack.up(*made).keys() == {"same"}
    assert stack.environment.preview().changes.keys() == {"same"}
    # What controllers write is no difference.
    namespace.merge("Deployment", "web", {"metadata": {"annotations": {"somebody": "else"}}})
    assert stack.environment.refresh().changes.keys() == {"same"}
    assert stack.up(*made).keys() == {"same"}


def test_a_rollout_is_waited_for(namespace: Namespace, stack: Stack) -> None:
    stack.up(deployment(namespace))
    stack.up(deployment(namespace, pod_spec("web:2")))
    status = namespace.get("Deployment", "web")["status"]
    assert (status["updatedReplicas"], status["observedGeneration"]) == (2, 2)
    progressing = next(each for each in status["conditions"] if each["type"] == "Progressing")
    assert progressing["reason"] == "NewReplicaSetAvailable"


def test_what_restricted_refuses_is_warned_of_and_told_and_kept_for_the_next_up(
    namespace: Namespace, stack: Stack
) -> None:
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    namespace.api.call(
        "PATCH",
        f"/api/v1/namespaces/{namespace.name}",
        {"metadata": {"labels": labels}},
        content="application/merge-patch+json",
    )
    bad = deployment(namespace, pod_spec(securityContext={}), timeoutSeconds="6")
    told = stack.refused(bad)
    assert "web: Deployment 'web' is not ready after 6 s: 0 of 2 new pods ready" in told
    assert 'FailedCreate: pods "web-' in told
    assert 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false' in told
    (warning,) = stack.warnings()
    assert warning.startswith('the API server warns: would violate PodSecurity "restricted:latest"')
    # It was made: what follows is an update, and so is one that changes nothing.
    stack.refused(bad)
    assert stack.up(deployment(namespace)).keys() == {"same", "update"}
    assert stack.up(deployment(namespace)).keys() == {"same"}


def test_a_pod_that_finds_no_node_and_a_quota_are_named(namespace: Namespace, stack: Stack) -> None:
    huge = pod_spec(resources={"requests": {"cpu": "5000"}})
    told = stack.refused(deployment(namespace, huge, replicas=1, timeoutSeconds="4"))
    assert "pod web-" in told
    assert "Unschedulable: 0/" in told
    assert "Insufficient cpu" in told
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": namespace.name},
        "spec": {"hard": {"pods": "1"}},
    }
    stack.up(quota)
    told = stack.refused(quota, deployment(namespace, timeoutSeconds="5"))
    assert "1 of 2 new pods ready" in told
    assert "exceeded quota: small" in told


@pytest.mark.parametrize("completes", [True, False])
def test_a_job_is_waited_for_to_its_end(namespace: Namespace, stack: Stack, completes: bool) -> None:
    spec: Object = {
        "backoffLimit": 0,
        "template": {"metadata": {"labels": LABELS}, "spec": {"restartPolicy": "Never", **pod_spec()}},
    }
    if not completes:
        spec["activeDeadlineSeconds"] = 1
        spec["template"]["spec"]["nodeSelector"] = {"there-is": "none"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": namespace.name},
        "spec": spec,
    }
    if completes:
        stack.up(job)
        assert namespace.api.call("GET", f"/apis/batch/v1/namespaces/{namespace.name}/jobs/work")["status"][
            "succeeded"
        ]
    else:
        assert "Job 'work' is not ready: the Job has failed: DeadlineExceeded" in stack.refused(job)


def test_refusals_are_the_api_servers_own_words(namespace: Namespace, stack: Stack) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": namespace.name}}
    assert 'pods "bare" is forbidden: violates PodSecurity "restricted:latest"' in stack.refused(
        {**pod, "spec": pod_spec(securityContext={})}
    )
    # More than the limit is no matter of a schema.
    wrong = pod_spec(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})
    told = stack.refused(deployment(namespace, wrong))
    assert "spec.template.spec.containers[0].resources.requests: Invalid value" in told
    assert "must be less than or equal to cpu limit of 1" in told
    elsewhere = deployment(namespace)
    elsewhere["metadata"]["namespace"] = "there-is-none"
    assert 'namespaces "there-is-none" not found' in stack.refused(elsewhere)
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": namespace.name},
        "value": 1,
    }
    stack.up(priority)
    assert "may not be changed in an update" in stack.refused({**priority, "value": 2})


def test_what_is_not_the_stacks_own_is_refused(namespace: Namespace, stack: Stack) -> None:
    namespace.apply(deployment(namespace))
    told = stack.refused(deployment(namespace))
    assert 'deployments.apps "web" already exists' in told
    assert "upsertExistingObjects" in told


def test_a_field_of_somebody_else_is_a_conflict_that_can_be_forced(
    namespace: Namespace, stack: Stack
) -> None:
    stack.up(deployment(namespace))
    namespace.merge("Deployment", "web", {"spec": {"replicas": 3}})
    told = stack.refused(deployment(namespace, replicas=4))
    assert "conflict" in told
    assert ".spec.replicas" in told
    stack.up(deployment(namespace, replicas=4, patchForce="true"))
    assert namespace.replicas("web") == 4
    # From then on the field is the stack's own again.
    stack.up(deployment(namespace, replicas=1))
    assert namespace.replicas("web") == 1


def test_an_autoscalers_replicas_are_no_difference(namespace: Namespace, stack: Stack) -> None:
    scaled = deployment(namespace)
    del scaled["spec"]["replicas"]
    stack.up(scaled)
    namespace.api.call(
        "PATCH",
        namespace.path("Deployment", "web") + "/scale",
        {"spec": {"replicas": 3}},
        content="application/merge-patch+json",
    )
    namespace.wait("three pods", lambda: namespace.ready("web"), until=3, seconds=20)
    assert stack.up(scaled).keys() == {"same"}
    assert stack.environment.refresh().changes.keys() == {"same"}
    changed = deployment(namespace, pod_spec("web:2"))
    del changed["spec"]["replicas"]
    stack.up(changed)
    assert namespace.replicas("web") == 3


def test_ctrl_c_ends_the_wait_and_the_next_up_goes_on(namespace: Namespace, stack: Stack) -> None:
    stuck = deployment(namespace, pod_spec(resources={"requests": {"cpu": "5000"}}), timeoutSeconds="600")
    stack.say(stuck)
    with _command(stack.environment.project.root, "up", "--stack", "local", "--json") as running:
        assert running.stdout is not None
        for line in running.stdout:
            if "0 of 2 new pods ready" in line:
                break
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the engine gets it too
        pressed = time.monotonic()
        rest = running.stdout.read()
        running.wait(timeout=60)
    assert time.monotonic() - pressed < 30, rest
    assert running.returncode != 0
    assert stack.up(deployment(namespace)).keys() == {"same", "update"}, stack.told
    assert namespace.ready("web") == 2


@contextlib.contextmanager
def _command(place: Path, *said: str) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", "from agent_infra.cli import main; main()", *said],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        if started.stdout is not None:
            started.stdout.close()
