"""The kubernetes stand-in against an API server: a small one on loopback that knows server-side apply."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.kubernetes import KubernetesStandin, api_store
from agent_infra.local.standins.kubernetes.kinds import parse
from agent_infra.local.standins.server import StandinError

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
TOKEN = "a-token"


class ApiServer(ThreadingHTTPServer):
    """Keeps objects by path, and every request that changes something."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str, dict[str, str], str, Any]] = []
        self.served = {
            "/api/v1": [("configmaps", "ConfigMap", True), ("secrets", "Secret", True)],
            "/apis/apps/v1": [("deployments", "Deployment", True), ("deployments/scale", "Scale", True)],
        }
        #: Answers that are given before anything else, in order: status and message.
        self.refusals: list[tuple[int, str]] = []
        self.keeps_deleted = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"kind": "Status", "code": status, "message": message})

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refuse(401, "Unauthorized")
        if url.path in self.server.served:
            resources = [
                {"name": name, "kind": kind, "namespaced": scoped}
                for name, kind, scoped in self.server.served[url.path]
            ]
            return self._answer(200, {"kind": "APIResourceList", "resources": resources})
        content = self.headers.get("Content-Type", "")
        self.server.calls.append((self.command, url.path, query, content, body))
        if self.server.refusals:
            return self._refuse(*self.server.refusals.pop(0))
        return self._object(url.path, query, body)

    def _object(self, path: str, query: dict[str, str], body: Any) -> None:
        objects = self.server.objects
        if self.command == "PATCH":
            uid = objects.get(path, {}).get("metadata", {}).get("uid", "uid-1")
            made = {**body, "status": {"seen": True}}
            made["metadata"] = {**body["metadata"], "uid": uid, "managedFields": [{"manager": "x"}]}
            if "stringData" in made:
                made["data"] = {"key": "dmFsdWU="}
                del made["stringData"]
            if query.get("dryRun") != "All":
                objects[path] = made
            return self._answer(200, made)
        if path not in objects:
            return self._refuse(404, f'"{path.rsplit("/", 1)[-1]}" not found')
        if self.command == "DELETE" and not self.server.keeps_deleted:
            return self._answer(200, objects.pop(path))
        return self._answer(200, objects[path])

    do_GET = do_PATCH = do_DELETE = _handle  # noqa: N815 (the names are http.server's)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(api_store, "_DISCOVERY_WAIT", 0.5)
    with ApiServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": made.url}}],
            "users": [{"name": "me", "user": {"token": TOKEN}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def standin(server: ApiServer, tmp_path: Path) -> KubernetesStandin:
    made = KubernetesStandin(LocalEnvironment(tmp_path / "env"))
    made.configure({})
    return made


def _inputs(standin: KubernetesStandin, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "settings", **({"annotations": annotations} if annotations else {})}
    return standin.check(CONFIG_MAP, "settings", {}, {"metadata": metadata, "data": {"a": "1"}})


_PATH = "/api/v1/namespaces/default/configmaps/settings"


def test_an_object_is_applied_by_the_server(standin: KubernetesStandin, server: ApiServer) -> None:
    inputs = _inputs(standin)
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    assert id == "default/settings"
    assert state["status"] == {"seen": True}
    assert state["metadata"]["uid"] == "uid-1"
    assert "managedFields" not in state["metadata"]
    assert server.calls == [
        (
            "PATCH",
            _PATH,
            {"fieldManager": "pulumi-kubernetes", "force": "false"},
            "application/apply-patch+yaml",
            inputs,
        )
    ]


def test_a_preview_is_a_dry_run_and_changes_nothing(standin: KubernetesStandin, server: ApiServer) -> None:
    id, state = standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=True)
    assert id == ""
    assert "uid" not in state["metadata"]
    assert server.calls[0][2]["dryRun"] == "All"
    assert server.objects == {}


def test_a_preview_leaves_to_the_update_what_comes_with_it(
    standin: KubernetesStandin, server: ApiServer
) -> None:
    server.refusals = [(404, 'namespaces "agents" not found')]
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=True)[0] == ""
    standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)
    server.refusals = [(422, "field is immutable")]
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=True)[0] == ""
    server.refusals = [(422, "field is immutable")]
    with pytest.raises(StandinError, match="field is immutable"):
        standin.update(CONFIG_MAP, "default/settings", {}, {}, _inputs(standin), preview=True)


def test_a_conflict_tells_the_owner_and_the_way_out(standin: KubernetesStandin, server: ApiServer) -> None:
    server.refusals = [(409, 'Apply failed with 1 conflict: conflict with "kubectl": .data.a')]
    with pytest.raises(StandinError, match=r'conflict with "kubectl": .data.a.*pulumi.com/patchForce'):
        standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)


def test_the_annotation_or_the_provider_forces(standin: KubernetesStandin, server: ApiServer) -> None:
    standin.create(CONFIG_MAP, "s", _inputs(standin, **{"pulumi.com/patchForce": "true"}), preview=False)
    standin.configure({"enablePatchForce": "true"})
    standin.create(CONFIG_MAP, "s", _inputs(standin), preview=False)
    standin.create(CONFIG_MAP, "s", _inputs(standin, **{"pulumi.com/patchForce": "false"}), preview=False)
    assert [call[2]["force"] for call in server.calls] == ["true", "true", "false"]


def test_a_changed_live_object_is_found_and_what_others_added_is_not(
    standin: KubernetesStandin, server: ApiServer
) -> None:
    inputs = _inputs(standin)
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    server.objects[_PATH]["data"] = {"a": "2", "theirs": "x"}
    found = standin.read(CONFIG_MAP, id, inputs, state)
    assert found is not None
    assert found.inputs["data"] == {"a": "2"}
    assert found.state["data"] == {"a": "2", "theirs": "x"}
    imported = standin.read(CONFIG_MAP, id, {}, {})
    assert imported is not None
    assert imported.inputs == {**inputs, "data": {"a": "2", "theirs": "x"}}


def test_a_missing_object_is_none(standin: KubernetesStandin) -> None:
    assert standin.read(CONFIG_MAP, "default/none", {}, {}) is None


def test_the_text_of_a_secret_is_compared_with_the_servers_data(
    standin: KubernetesStandin, server: ApiServer
) -> None:
    type = "kubernetes:core/v1:Secret"
    inputs = standin.check(type, "s", {}, {"metadata": {"name": "s"}, "stringData": {"key": "value"}})
    id, state = standin.create(type, "s", inputs, preview=False)
    found = standin.read(type, id, inputs, state)
    assert found is not None
    assert found.inputs == inputs
    assert found.state["data"] == {"key": "dmFsdWU="}


def test_deletion_is_in_the_foreground_and_waited_for(standin: KubernetesStandin, server: ApiServer) -> None:
    inputs = _inputs(standin)
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    standin.delete(CONFIG_MAP, id, inputs, state)
    standin.delete(CONFIG_MAP, id, inputs, state)
    (call,) = [call for call in server.calls if call[0] == "DELETE"]
    assert call[4] == {"propagationPolicy": "Foreground"}


def test_an_object_that_does_not_go_is_told_with_its_finalizers(
    server: ApiServer, tmp_path: Path, standin: KubernetesStandin
) -> None:
    standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)
    server.keeps_deleted = True
    server.objects[_PATH]["metadata"]["finalizers"] = ["acme.dev/hold"]
    store = api_store.ApiStore(tmp_path / "kubeconfig", delete_timeout=0.1)
    kind = parse(CONFIG_MAP)
    with pytest.raises(StandinError, match=r"acme\.dev/hold"):
        store.delete(kind, "default", "settings", propagation="Foreground")


def test_a_busy_server_is_asked_again(standin: KubernetesStandin, server: ApiServer) -> None:
    server.refusals = [(503, "starting"), (429, "slow down")]
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)[0]
    assert len(server.calls) == 3


@pytest.mark.parametrize(("status", "told"), [(403, "user needs that right"), (422, "is invalid")])
def test_a_refusal_is_passed_on(
    standin: KubernetesStandin, server: ApiServer, status: int, told: str
) -> None:
    server.refusals = [(status, "configmaps is invalid")]
    with pytest.raises(StandinError, match=told):
        standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)


def test_a_kind_is_waited_for_after_its_definition_and_then_told_as_missing(
    standin: KubernetesStandin, server: ApiServer
) -> None:
    type = "kubernetes:keda.sh/v1alpha1:ScaledObject"
    spec = {
        "scaleTargetRef": {"name": "web"},
        "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}],
    }
    inputs = standin.check(type, "web", {}, {"metadata": {"name": "web"}, "spec": spec})
    with pytest.raises(StandinError, match=r"serves no keda\.sh/v1alpha1 ScaledObject"):
        standin.create(type, "web", inputs, preview=False)
    assert standin.create(type, "web", inputs, preview=True)[0] == ""

    def serve() -> None:
        server.served["/apis/keda.sh/v1alpha1"] = [("scaledobjects", "ScaledObject", True)]

    timer = threading.Timer(0.2, serve)
    timer.start()
    assert standin.create(type, "web", inputs, preview=False)[0] == "default/web"
    timer.join()


def test_a_server_that_is_not_there_is_told_with_its_kubeconfig(
    standin: KubernetesStandin, server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_store, "_TRIES", 1)
    text = (tmp_path / "kubeconfig").read_text().replace(str(server.server_port), "1")
    (tmp_path / "kubeconfig").write_text(text)
    standin.configure({})
    with pytest.raises(StandinError, match=r"cannot be reached .* unset AGENT_INFRA_KUBECONFIG") as caught:
        standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)
    assert str(tmp_path / "kubeconfig") in str(caught.value)


def test_wrong_credentials_are_told_without_showing_them(standin: KubernetesStandin, tmp_path: Path) -> None:
    text = (tmp_path / "kubeconfig").read_text().replace(TOKEN, "another-token")
    (tmp_path / "kubeconfig").write_text(text)
    standin.configure({})
    with pytest.raises(StandinError, match="credentials are not accepted") as caught:
        standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)
    assert "another-token" not in str(caught.value)
