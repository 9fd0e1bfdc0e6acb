"""How the kubernetes stand-in waits: against a small API server whose controller is the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.engine import Call, Engine, answering
from agent_infra.local.standins.kubernetes import KubernetesStandin
from agent_infra.local.standins.server import Partial
from tests.unit.api_server import ApiServer, running

JOB = "kubernetes:batch/v1:Job"
PATH = "/apis/batch/v1/namespaces/default/jobs/work"
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {
    "conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "slow"}]
}


class Statuses(Engine):
    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[str] = []
        self.warned: list[str] = []

    def log(self, urn: str, severity: str, message: str, *, ephemeral: bool) -> None:
        (self.said if ephemeral else self.warned).append(message)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", str(tmp_path / "kubeconfig"))
    with running(tmp_path / "kubeconfig") as made:
        yield made


@pytest.fixture
def standin(server: ApiServer, tmp_path: Path) -> KubernetesStandin:
    made = KubernetesStandin(LocalEnvironment(tmp_path / "env"))
    made.configure({})
    return made


@pytest.fixture
def later() -> Iterator[Callable[[threading.Event, Callable[[], object]], None]]:
    """Does something in another thread once an event is set."""
    threads: list[threading.Thread] = []

    def start(event: threading.Event, action: Callable[[], object]) -> None:
        def run() -> None:
            event.wait(10)
            action()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def job(standin: KubernetesStandin, **annotations: str) -> dict[str, Any]:
    container = {"name": "work", "image": "work:1"}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    named = {f"pulumi.com/{name}": value for name, value in annotations.items()}
    inputs: dict[str, Any] = {"metadata": {"name": "work", "annotations": named}, "spec": spec}
    return standin.check(JOB, "work", {}, inputs)


def now(server: ApiServer, status: dict[str, Any]) -> None:
    server.put(PATH, {**server.objects[PATH], "status": status})


def test_what_is_made_is_waited_for_and_its_progress_is_shown(
    standin: KubernetesStandin, server: ApiServer, later: Any
) -> None:
    later(server.watched, lambda: now(server, COMPLETE))
    engine = Statuses()
    with answering(Call(engine)):
        id, state = standin.create(JOB, "work", job(standin), preview=False)
    assert (id, state["status"], state["kind"]) == ("default/work", COMPLETE, "Job")
    assert "[1/2] waiting for the Job to start" in engine.said
    assert engine.said[-1] == ""


def test_what_fails_is_kept_with_the_reasons(
    standin: KubernetesStandin, server: ApiServer, later: Any
) -> None:
    later(server.watched, lambda: now(server, FAILED))
    with pytest.raises(
        Partial, match="Job 'work' is not ready: the Job has failed: DeadlineExceeded"
    ) as told:
        standin.create(JOB, "work", job(standin), preview=False)
    assert told.value.id == "default/work"
    assert told.value.state["status"] == FAILED
    assert told.value.state["__fieldManager"]


def test_the_update_after_it_waits_again(standin: KubernetesStandin, server: ApiServer, later: Any) -> None:
    inputs = job(standin, timeoutSeconds="0")
    with pytest.raises(Partial) as told:
        standin.create(JOB, "work", inputs, preview=False)
    server.watched.clear()
    later(server.watched, lambda: now(server, COMPLETE))
    state = standin.update(JOB, told.value.id, inputs, told.value.state, job(standin), preview=False)
    assert state["status"] == COMPLETE


def test_a_wait_ends_with_its_time(standin: KubernetesStandin, server: ApiServer) -> None:
    server.objects["/api/v1/namespaces/default/events/e"] = {
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Job", "name": "work", "uid": "uid-1"},
        "reason": "FailedCreate",
        "message": "quota",
        "lastTimestamp": "2999-01-01T00:00:00Z",
    }
    with (
        pytest.raises(Partial, match="is not ready after 1 s: waiting for the Job to start") as told,
        answering(Call(timeout=0.6)),
    ):
        standin.create(JOB, "work", job(standin, timeoutSeconds="600"), preview=False)
    assert told.value.reasons == ["event of job work: FailedCreate: quota"]


def test_a_wait_ends_at_once_when_the_user_ends_the_run(
    standin: KubernetesStandin, server: ApiServer, later: Any
) -> None:
    call = Call()
    later(server.watched, call.cancelled.set)
    began = time.monotonic()
    with pytest.raises(Partial, match="when the run was cancelled"), answering(call):
        standin.create(JOB, "work", job(standin), preview=False)
    assert time.monotonic() - began < 5


def test_one_that_is_deleted_meanwhile_is_told(
    standin: KubernetesStandin, server: ApiServer, later: Any
) -> None:
    later(server.watched, lambda: server.put(PATH, server.objects[PATH], "DELETED"))
    with pytest.raises(Partial, match="it was deleted while it was waited for"):
        standin.create(JOB, "work", job(standin), preview=False)


def test_a_wait_that_is_not_wanted_is_left_out(standin: KubernetesStandin, server: ApiServer) -> None:
    assert standin.create(JOB, "work", job(standin, skipAwait="true"), preview=False)[0] == "default/work"
    assert not server.watched.is_set()


def test_what_an_annotation_waits_for_is_in_place_of_the_kinds_own(
    standin: KubernetesStandin, server: ApiServer, later: Any
) -> None:
    later(server.watched, lambda: now(server, {"active": 1}))
    inputs = job(standin, waitFor="jsonpath={.status.active}=1")
    assert standin.create(JOB, "work", inputs, preview=False)[1]["status"] == {"active": 1}


def test_a_refresh_finds_what_is_not_ready(standin: KubernetesStandin, server: ApiServer, later: Any) -> None:
    later(server.watched, lambda: now(server, COMPLETE))
    inputs = job(standin)
    id, state = standin.create(JOB, "work", inputs, preview=False)
    assert standin.read(JOB, id, inputs, state) is not None
    now(server, FAILED)
    with pytest.raises(Partial, match="is there and is not ready: the Job has failed") as told:
        standin.read(JOB, id, inputs, state)
    assert told.value.inputs == inputs
    assert standin.read(JOB, id, {}, {}) is not None


def test_an_end_is_waited_for(standin: KubernetesStandin, server: ApiServer, later: Any) -> None:
    inputs = job(standin, timeoutSeconds="30")
    skipped = job(standin, skipAwait="true")
    id, state = standin.create(JOB, "work", skipped, preview=False)
    server.keeps_deleted = True
    standin.delete(JOB, id, skipped, state)
    later(server.watched, lambda: server.put(PATH, server.objects[PATH], "DELETED"))
    standin.delete(JOB, id, inputs, state)
    assert PATH not in server.objects


def test_in_a_local_environments_own_cluster_no_load_balancer_is_waited_for(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingress = "kubernetes:networking.k8s.io/v1:Ingress"
    engine = Statuses()

    def create(environment: LocalEnvironment) -> None:
        standin = KubernetesStandin(environment)
        standin.configure({})
        spec = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
        inputs = standin.check(ingress, "web", {}, {"metadata": {"name": "web"}, "spec": spec})
        with answering(Call(engine, timeout=0.3)):
            standin.create(ingress, "web", inputs, preview=False)

    create(LocalEnvironment(tmp_path))
    assert engine.warned == ["nothing on this machine makes load balancers: it gets no address"]
    server.objects.clear()
    with pytest.raises(Partial, match="waiting for the Ingress controller's address"):
        create(LocalEnvironment(tmp_path / "another"))
