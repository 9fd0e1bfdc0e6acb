"""A pod's files and logs, what it uses, whose pods kwok leaves alone, and what the two operators do."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets.status import FleetState
from agent_infra.local.kubelet import Usage, fleets, logfiles, stages, usage, volumes
from agent_infra.local.kubelet.api import Api
from agent_infra.local.kubelet.kubelet import LABELS, Kubelet
from agent_infra.local.kubelet.operators import Operators
from agent_infra.local.kubelet.usage import CPU, MEMORY, Meter
from agent_infra.local.kubelet.wanted import _renew
from tests.unit.cluster_fakes import Object, pod

TMP = "/tmp"  # noqa: S108 (a pod's own)
PROJECTED: Object = {
    "name": "about",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
            {"configMap": {"name": "authority", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {
                "downwardAPI": {
                    "items": [{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]
                }
            },
        ]
    },
}
MOUNTS = [{"name": "about", "mountPath": "/var/run/about"}, {"name": "scratch", "mountPath": TMP}]


class Calls:
    """An API server with a few objects by their path; keeps what is changed."""

    def __init__(self, objects: dict[str, Object] | None = None) -> None:
        self.objects = objects or {}
        self.patched: list[tuple[str, Object]] = []

    async def get(self, path: str, **query: str) -> Object | None:
        return copy.deepcopy(self.objects.get(path))

    async def patch(self, path: str, body: Object, *, kind: str = "merge") -> Object:
        self.patched.append((path, body))
        return body

    @property
    def api(self) -> Api:
        return cast("Api", self)


def test_a_pods_volumes_are_private_files_that_its_variables_lead_to(tmp_path: Path) -> None:
    container = {"volumeMounts": MOUNTS}
    made = pod(volumes=[PROJECTED, {"name": "scratch", "emptyDir": {}}], container=container)
    authority = {"data": {"ca.crt": "CA", "other": "no"}}
    volumes.write(made, tmp_path, lambda *_: authority, tokens={"token": "secret"})
    found = {file.name: file.read_text() for file in (tmp_path / "about").iterdir()}
    assert found == {"token": "secret", "ca.crt": "CA", "name": "web-1", "app": "web"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "about").iterdir())
    assert (tmp_path / "about").stat().st_mode & 0o077 == 0
    assert volumes.moved("/var/run/about/token", made, container, tmp_path) == f"{tmp_path}/about/token"
    for other in ("/var/run/about-it", "https://x/var/run/about", f"{TMP}/a"):
        assert volumes.moved(other, made, container, tmp_path) == other
    assert volumes.temporary(container, tmp_path) == {"TMPDIR": f"{tmp_path}/scratch"}
    (said,) = volumes.tokens(made)
    volumes.rewrite(made, tmp_path, said, "newer")
    assert (tmp_path / "about" / "token").read_text() == "newer"
    assert set(volumes.references(made)) == {("ConfigMap", "authority")}


def test_a_log_is_copied_line_by_line_as_kubelets_keep_it(tmp_path: Path) -> None:
    source = tmp_path / "log"
    source.write_text("of an earlier one\n")
    copied = logfiles.Copy(source, tmp_path / "pods" / "agent.log")
    with source.open("a") as file:
        file.write("first\nsec")
    copied.catch_up()
    with source.open("a") as file:
        file.write("ond\nlast words")
    copied.catch_up()
    copied.catch_up(whole=True)
    lines = [line.split(" ", 3) for line in (tmp_path / "pods" / "agent.log").read_text().splitlines()]
    assert [line[1:] for line in lines] == [
        ["stdout", "F", "first"],
        ["stdout", "F", "second"],
        ["stdout", "F", "last words"],
    ]


def test_only_the_newest_logs_of_pods_that_are_gone_are_kept(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"fleet-web-{number:02}.log").touch()
    (tmp_path / "moto.log").touch()
    logfiles.prune(tmp_path, living={"web-00"})
    left = {file.name for file in tmp_path.iterdir()}
    assert len(left) == 22
    assert {"moto.log", "fleet-web-00.log"} <= left


async def test_what_a_pod_uses_is_told_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, now=100.0)
    monkeypatch.setattr(usage, "time", clock)
    used = [Usage(1.0, 50 * 2**20)]
    life = SimpleNamespace(pod=pod(), running=SimpleNamespace(usage=lambda: used[-1]))
    calls = Calls()
    meter = Meter(calls.api, cast("Kubelet", SimpleNamespace(lives={"uid-web-1": life})), seconds=10)
    await meter.read()
    for seconds, cpu in ((10, 3.5), (10, 6.0), (10, 0.5)):  # at last it was started anew
        clock.now += seconds
        used.append(Usage(cpu, 60 * 2**20))
        await meter.read()
    told = [body["metadata"]["annotations"] for _, body in calls.patched]
    assert [(each[CPU], each[MEMORY]) for each in told] == [
        ("1m", "50Mi"),
        ("250m", "60Mi"),
        ("50m", "60Mi"),
    ]


async def test_kwok_leaves_fleets_pods_alone_and_gets_them_back() -> None:
    def stage(name: str, kind: str, *keys: str) -> Object:
        said = [{"key": key, "operator": "DoesNotExist"} for key in keys]
        spec = {"resourceRef": {"kind": kind}, "selector": {"matchExpressions": said}}
        return {"metadata": {"name": name}, "spec": spec}

    path = "/apis/kwok.x-k8s.io/v1alpha1/stages"
    items = [stage("pod-ready", "Pod", ".status.podIP"), stage("node-ready", "Node", ".status")]
    calls = Calls({path: {"items": items}})
    await stages.narrow(calls.api, LABELS)
    ((where, body),) = calls.patched
    assert where == f"{path}/pod-ready"
    selected = body["spec"]["selector"]["matchExpressions"]
    assert [each["key"] for each in selected] == [
        ".status.podIP",
        '.metadata.labels["agent-infra/kind"]',
        '.metadata.labels["agent-infra/evaluation"]',
    ]
    items[0]["spec"]["selector"]["matchExpressions"] = selected
    await stages.narrow(calls.api, LABELS)
    assert len(calls.patched) == 1, "twice is once"
    await stages.widen(calls.api, LABELS)
    assert [e["key"] for e in calls.patched[1][1]["spec"]["selector"]["matchExpressions"]] == [
        ".status.podIP"
    ]


def deployment(**status: Any) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "agents", "uid": "1", "generation": 2},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"name": "agent", "command": ["agentd"]}]}},
        },
        "status": {
            "observedGeneration": 2,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": 2,
            **status,
        },
    }


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, FleetState.RUNNING),
        ({"readyReplicas": 1}, FleetState.PROGRESSING),
        ({"replicas": 3}, FleetState.PROGRESSING),
        ({"observedGeneration": 1}, FleetState.PROGRESSING),
        (
            {"conditions": [{"type": "Progressing", "status": "False", "message": "too slow"}]},
            FleetState.DEGRADED,
        ),
        (
            {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]},
            FleetState.DEGRADED,
        ),
    ],
)
def test_a_fleet_runs_when_all_of_its_newest_pods_are_ready(
    status: dict[str, Any], state: FleetState
) -> None:
    found = fleets.status(deployment(**status), [], ["web-1: CrashLoopBackOff"])
    assert found.state is state
    assert ("CrashLoopBackOff" in found.message) == (state is not FleetState.RUNNING)


def test_the_digest_changes_with_what_is_wanted_and_not_with_how_it_is() -> None:
    wanted = deployment()
    before = fleets.digest([wanted])
    wanted["status"]["readyReplicas"] = 0
    assert fleets.digest([wanted]) == before
    wanted["metadata"]["generation"] = 3
    assert fleets.digest([wanted]) != before


async def test_pods_are_replaced_when_the_code_behind_them_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = ["a" * 64]
    monkeypatch.setattr("agent_infra.local.kubelet.wanted.source", lambda container: code[0])
    calls, known = Calls(), deployment()
    await _renew(calls.api, known)
    (first,) = calls.patched
    known["metadata"]["annotations"] = first[1]["metadata"]["annotations"]
    await _renew(calls.api, known)
    assert len(calls.patched) == 1, "the first look only takes note"
    code[0] = "b" * 64
    await _renew(calls.api, known)
    assert [list(body) for _, body in calls.patched[1:]] == [["metadata"], ["spec"]]


async def test_a_watched_secret_that_changes_replaces_the_pods(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/agents/secrets/keys"
    calls = Calls({path: {"data": {"a": "MQ=="}}})
    watching = deployment()
    watching["metadata"]["annotations"] = {"secret.reloader.stakater.com/reload": "keys"}
    watched = SimpleNamespace(objects={("agents", "web"): watching})
    operators = Operators(LocalEnvironment(tmp_path), calls.api, cast("Any", watched))
    await operators.look()
    await operators.look()
    assert calls.patched == []
    calls.objects[path] = {"data": {"a": "Mg=="}}
    await operators.look()
    await operators.look()
    ((where, body),) = calls.patched
    assert where == "/apis/apps/v1/namespaces/agents/deployments/web"
    assert "Mg==" not in json.dumps(body), "what replaces them does not tell the secret"
