"""The kubernetes stand-in against an API server: a small one on loopback that knows server-side apply."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.engine import Call, Engine, answering
from agent_infra.local.standins.kubernetes import KubernetesStandin, api_client
from agent_infra.local.standins.server import StandinError
from tests.unit.api_server import TOKEN, ApiServer, running

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(api_client, "_DISCOVERY_WAIT", 0.5)
    monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", str(tmp_path / "kubeconfig"))
    with running(tmp_path / "kubeconfig") as made:
        yield made


@pytest.fixture
def standin(server: ApiServer, tmp_path: Path) -> KubernetesStandin:
    made = KubernetesStandin(LocalEnvironment(tmp_path / "env"))
    made.configure({})
    return made


def _inputs(standin: KubernetesStandin, **annotations: str) -> dict[str, Any]:
    metadata = {"name": "settings", **({"annotations": annotations} if annotations else {})}
    return standin.check(CONFIG_MAP, "settings", {}, {"metadata": metadata, "data": {"a": "1"}})


_PATH = "/api/v1/namespaces/default/configmaps/settings"


def test_an_object_is_made_under_the_makers_name(standin: KubernetesStandin, server: ApiServer) -> None:
    inputs = _inputs(standin)
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    assert id == "default/settings"
    assert state["status"] == {"seen": True}
    assert state["metadata"]["uid"]
    assert "managedFields" not in state["metadata"]
    query = {"fieldManager": "pulumi-kubernetes"}
    assert server.calls == [("POST", _PATH.rpartition("/")[0], query, "application/json", inputs)]


def test_a_change_is_applied_under_the_resources_own_name(
    standin: KubernetesStandin, server: ApiServer
) -> None:
    inputs = _inputs(standin)
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    own = state["__fieldManager"]
    assert own.startswith("pulumi-kubernetes-")
    after = standin.update(CONFIG_MAP, id, inputs, state, inputs, preview=False)
    assert after["__fieldManager"] == own
    handed_over, applied = server.of("PATCH")
    assert handed_over[4][0]["value"] == [
        {"manager": own, "operation": "Apply", "fieldsV1": {"f:data": {}}},
    ]
    assert (applied[2], applied[3]) == (
        {"fieldManager": own, "force": "false"},
        "application/apply-patch+yaml",
    )


def test_the_name_that_an_annotation_gives_is_used(standin: KubernetesStandin, server: ApiServer) -> None:
    inputs = _inputs(standin, **{"pulumi.com/patchFieldManager": "me"})
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    standin.update(CONFIG_MAP, id, inputs, state, inputs, preview=False)
    assert server.of("PATCH")[-1][2]["fieldManager"] == "me"


def test_an_object_that_is_there_already_is_refused_or_taken_over(
    standin: KubernetesStandin, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)
    with pytest.raises(StandinError, match=r"already exists.*upsertExistingObjects"):
        standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=True)[0] == ""
    standin.configure({"upsertExistingObjects": "true"})
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)[0]
    monkeypatch.setenv("PULUMI_K8S_UPSERT_EXISTING_OBJECTS", "true")
    standin.configure({})
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)[0]


def test_what_the_api_server_warns_of_is_told_once_with_the_resource(
    standin: KubernetesStandin, server: ApiServer
) -> None:
    inputs = _inputs(standin)
    server.warnings = ['say \\"b\\" for a', "it goes away"]
    heard = _Heard()
    with answering(Call(heard, urn="urn:x")):
        id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
        standin.update(CONFIG_MAP, id, inputs, state, inputs, preview=False)
    assert heard.told == [
        ("urn:x", "warning", 'the API server warns: say "b" for a'),
        ("urn:x", "warning", "the API server warns: it goes away"),
    ]


class _Heard(Engine):
    """Keeps what the user would be told to the end."""

    def __init__(self) -> None:
        super().__init__(None)
        self.told: list[tuple[str, str, str]] = []

    def log(self, urn: str, severity: str, message: str, *, ephemeral: bool) -> None:
        if not ephemeral:
            self.told.append((urn, severity, message))


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
    standin.configure({"upsertExistingObjects": "true"})
    server.refusals = [(422, "field is immutable")]
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=True)[0] == ""
    server.refusals = [(422, "field is immutable")]
    with pytest.raises(StandinError, match="field is immutable"):
        standin.update(CONFIG_MAP, "default/settings", {}, {}, _inputs(standin), preview=True)


def test_a_conflict_tells_the_owner_and_the_way_out(standin: KubernetesStandin, server: ApiServer) -> None:
    server.refusals = [(409, 'Apply failed with 1 conflict: conflict with "kubectl": .data.a')]
    with pytest.raises(StandinError, match=r'conflict with "kubectl": .data.a.*pulumi.com/patchForce'):
        standin.update(CONFIG_MAP, "default/settings", {}, {}, _inputs(standin), preview=False)


def test_the_annotation_or_the_provider_forces(standin: KubernetesStandin, server: ApiServer) -> None:
    def update(**annotations: str) -> None:
        inputs = _inputs(standin, **annotations)
        standin.update(CONFIG_MAP, "default/settings", {}, {}, inputs, preview=False)

    update(**{"pulumi.com/patchForce": "true"})
    standin.configure({"enablePatchForce": "true"})
    update()
    update(**{"pulumi.com/patchForce": "false"})
    applied = [call for call in server.of("PATCH") if "apply" in call[3]]
    assert [call[2]["force"] for call in applied] == ["true", "true", "false"]


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
    server: ApiServer, standin: KubernetesStandin
) -> None:
    inputs = _inputs(standin, **{"pulumi.com/timeoutSeconds": "1"})
    id, state = standin.create(CONFIG_MAP, "settings", inputs, preview=False)
    server.keeps_deleted = True
    server.objects[_PATH]["metadata"]["finalizers"] = ["acme.dev/hold"]
    with pytest.raises(StandinError, match=r"acme\.dev/hold"), answering(Call(timeout=0.1)):
        standin.delete(CONFIG_MAP, id, inputs, state)


def test_a_busy_server_is_asked_again(standin: KubernetesStandin, server: ApiServer) -> None:
    server.refusals = [(503, "starting"), (429, "slow down")]
    assert standin.create(CONFIG_MAP, "settings", _inputs(standin), preview=False)[0]
    assert len(server.of("POST")) == 3


@pytest.mark.parametrize(("status", "told"), [(403, "user needs that right"), (422, "is invalid")])
def test_a_refusal_is_passed_on(
    standin: KubernetesStandin, server: ApiServer, status: int, told: str
) -> None:
    server.refusals = [(status, "configmaps is invalid: the user cannot create it")]
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
    monkeypatch.setattr(api_client, "_TRIES", 1)
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
