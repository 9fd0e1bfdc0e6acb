import base64
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_infra.local.fleets.container import CannotRun
from agent_infra.local.fleets.manifests import Manifests, read
from agent_infra.local.fleets.pod import plan

NO_IDENTITY: dict[str, str] = {}


def deployment(**container: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/managed-by": "agent-infra", "app": "web"}
    pod = {"name": "agent", "image": "web:1", "command": [sys.executable], **container}
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "agents", "labels": labels},
        "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": [pod]}}},
    }


def manifests(*objects: dict[str, Any]) -> Manifests:
    return Manifests(
        "",
        {(o["kind"], o["metadata"].get("namespace", "default"), o["metadata"]["name"]): o for o in objects},
    )


def named(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "agents"}, **rest}


CONFIG = named("ConfigMap", "settings", data={"COLOUR": "grey", "SIZE": "1"})
SECRET = named("Secret", "keys", data={"a": base64.b64encode(b"first").decode()}, stringData={"b": "second"})


def test_the_environment_is_what_a_pod_would_have() -> None:
    made = plan(
        deployment(
            envFrom=[
                {"configMapRef": {"name": "settings"}},
                {"secretRef": {"name": "none", "optional": True}},
            ],
            env=[
                {"name": "SIZE", "value": "2"},
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "b"}}},
                {"name": "C", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "c", "optional": True}}},
                {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            ],
        ),
        manifests(CONFIG, SECRET),
        identity={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    ).variables
    expected = {"COLOUR": "grey", "SIZE": "2", "A": "first", "B": "second", "NAMESPACE": "agents"}
    assert expected.items() <= made.items()
    assert "C" not in made
    assert made["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_nothing_of_the_users_own_environment_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    assert set(plan(deployment(), manifests(), identity=NO_IDENTITY).variables) == {"PATH", "LANG"}


def test_the_machines_way_to_the_internet_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "intranet")
    made = plan(deployment(), manifests(), identity=NO_IDENTITY).variables
    assert made["HTTPS_PROXY"] == "http://proxy:3128"
    assert made["no_proxy"] == made["NO_PROXY"] == "127.0.0.1,localhost,intranet"


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ("rediss://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("postgresql://h/db?sslmode=require", "postgresql://h/db?sslmode=disable"),
        ("postgresql://h/db?sslmode=verify-full&a=b", "postgresql://h/db?sslmode=disable&a=b"),
        ("https://example.com", "https://example.com"),
    ],
)
def test_addresses_lose_the_tls_that_this_machine_has_not(said: str, used: str) -> None:
    made = plan(deployment(env=[{"name": "URL", "value": said}]), manifests(), identity=NO_IDENTITY)
    assert made.variables["URL"] == used


def test_a_secret_that_changes_is_a_new_revision_that_does_not_tell_it() -> None:
    reference = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "b"}}}]
    before = plan(deployment(env=reference), manifests(SECRET), identity=NO_IDENTITY)
    other = named("Secret", "keys", stringData={"b": "third"})
    after = plan(deployment(env=reference), manifests(other), identity=NO_IDENTITY)
    assert before.revision != after.revision
    assert (
        before.revision == plan(deployment(env=reference), manifests(SECRET), identity=NO_IDENTITY).revision
    )
    assert "second" not in before.revision


def test_a_command_that_is_not_here_is_an_error_that_says_so() -> None:
    with pytest.raises(CannotRun, match="'agentd', which is neither"):
        plan(deployment(command=["agentd"]), manifests(), identity=NO_IDENTITY)


@pytest.mark.parametrize(
    ("least", "runs"), [({}, 1), ({"minReplicaCount": 0}, 1), ({"minReplicaCount": 4}, 4)]
)
def test_under_keda_the_least_runs_and_one_at_least(least: dict[str, int], runs: int) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = named("ScaledObject", "web", spec={"scaleTargetRef": target, **least})
    made = deployment()
    assert manifests(made, scaler).replicas(made) == runs
    other = named("ScaledObject", "web", spec={"scaleTargetRef": {**target, "name": "other"}, **least})
    assert manifests(made, other).replicas(made) == 1


def test_the_autoscalers_least_is_the_number_where_the_deployment_says_none(tmp_path: Path) -> None:
    scaler = named(
        "HorizontalPodAutoscaler",
        "web",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 3},
    )
    made = deployment()
    assert manifests(made, scaler).replicas(made) == 3
    assert manifests(made).replicas(made) == 1
    made["spec"]["replicas"] = 5
    assert manifests(made, scaler).replicas(made) == 5
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([made, scaler]))
    found = read(tmp_path)
    assert found.deployments() == [made]
    assert found.digest != read(tmp_path / "nowhere").digest


def test_processes_are_replaced_when_a_watched_secret_or_an_annotation_of_the_pods_changes() -> None:
    def revision(*, content: str = "1", annotation: str = "a") -> str:
        watching = deployment()
        watching["metadata"]["annotations"] = {"secret.reloader.stakater.com/reload": "keys,none"}
        watching["spec"]["template"]["metadata"]["annotations"] = {"agent-infra/secrets-hash": annotation}
        kept = named("Secret", "keys", stringData={"a": content})
        return plan(watching, manifests(kept), identity=NO_IDENTITY).revision

    assert revision() == revision()
    assert len({revision(), revision(content="2"), revision(annotation="b")}) == 3


def test_changed_code_behind_the_command_is_a_new_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "local_agent" / "__init__.py"
    code.parent.mkdir()
    info = tmp_path / "local_agent-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: local-agent\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[console_scripts]\nlocal-agent = local_agent.cli:main\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    revisions = []
    for text in ("one = 1", "one = 1", "one = 2"):
        code.write_text(text)
        made = plan(deployment(command=["local-agent", "serve"]), manifests(), identity=NO_IDENTITY)
        revisions.append(made.revision)
    assert revisions[0] == revisions[1] != revisions[2]
