"""`agent-infra rollback`, against what speaks as an API server does."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from agent_infra.automation import AutomationError, Environment, Project
from agent_infra.cli.main import app
from tests.unit.test_fleet_canary_kubernetes import kubeconfig, serving

CLUSTER = "agents-prod"
NUMBER = "deployment.kubernetes.io/revision"
DEPLOYMENTS = "/apis/apps/v1/namespaces/agents/deployments/{name}"
REPLICA_SETS = "/apis/apps/v1/namespaces/agents/replicasets"


def template(image: str, level: str) -> dict[str, Any]:
    env = [{"name": "AGENT_APP_LOG_LEVEL", "value": level}]
    containers = [{"name": "proxy", "image": "proxy:1"}, {"name": "agent", "image": image, "env": env}]
    return {"metadata": {"labels": {"app": "it"}}, "spec": {"containers": containers}}


class Kubernetes:
    """Two Deployments that are at their third revision, and the ReplicaSets of all."""

    def __init__(self) -> None:
        self.deployments = {
            name: {
                "metadata": {
                    "name": name,
                    "uid": f"uid-of-{name}",
                    "generation": 3,
                    "annotations": {NUMBER: "3", "agent-infra/revision": "bad", "kept": "yes"},
                },
                "spec": {
                    "replicas": 2,
                    "selector": {"matchLabels": {"app": "it"}},
                    "template": template("agents@3", "DEBUG"),
                },
                "status": {"observedGeneration": 3},
            }
            for name in ("support", "support-worker")
        }
        self.replica_sets = [
            replica_set(name, number) for name in ("support", "support-worker") for number in (1, 3, 2)
        ]
        self.patched: list[str] = []
        self.conflict = ""
        self.ready = True

    def app(self) -> web.Application:
        made = web.Application()
        made.add_routes(
            [
                web.get(DEPLOYMENTS, self._deployment),
                web.patch(DEPLOYMENTS, self._patch),
                web.get(REPLICA_SETS, self._replica_sets),
            ]
        )
        return made

    async def _deployment(self, request: web.Request) -> web.Response:
        found = self.deployments.get(request.match_info["name"])
        return web.json_response(found or {"reason": "NotFound"}, status=200 if found else 404)

    async def _replica_sets(self, request: web.Request) -> web.Response:
        assert request.query["labelSelector"] == "app=it"
        return web.json_response({"items": self.replica_sets})

    async def _patch(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/json-patch+json"
        name = request.match_info["name"]
        found = copy.deepcopy(self.deployments[name])
        for operation in await request.json():
            *path, last = operation["path"].removeprefix("/").split("/")
            parent: Any = found
            for part in path:
                parent = parent[part]
            last = last.replace("~1", "/")
            if operation["op"] == "replace":
                parent[last] = operation["value"]
            elif parent[last] != operation["value"] or name == self.conflict:
                return web.json_response({"message": "the test failed"}, status=422)
        self.patched.append(name)
        found["metadata"]["generation"] = 4
        if self.ready:
            counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2)
            found["status"] = {"observedGeneration": 4, **counts}
        self.deployments[name] = found
        return web.json_response(found)


def replica_set(name: str, number: int) -> dict[str, Any]:
    made = template(f"agents@{number}", "INFO")
    made["metadata"]["labels"]["pod-template-hash"] = f"hash-{number}"
    return {
        "metadata": {
            "ownerReferences": [{"uid": f"uid-of-{name}"}],
            "annotations": {
                NUMBER: str(number),
                "deployment.kubernetes.io/desired-replicas": "2",
                "agent-infra/revision": f"good-{number}",
            },
        },
        "spec": {"template": made},
    }


@pytest.fixture
def kubernetes() -> Kubernetes:
    return Kubernetes()


@pytest.fixture
def project(tmp_path: Path, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose `prod` has a fleet with workers, in a cluster that `kubectl` knows."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "Pulumi.yaml").write_text("name: mine\nruntime: python\n")
    for name in ("prod", "local"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    outputs = {
        "region": "eu-central-1",
        "cluster_name": CLUSTER,
        "fleets": {"support": {"namespace": "agents"}, "chat": {"namespace": "agents"}},
        "queue_urls": {"support": "https://sqs/q"},
    }
    monkeypatch.setattr("agent_infra.automation.exported.outputs", lambda _environment: outputs)
    monkeypatch.setattr("agent_infra.fleet.canary.kubernetes_api._PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("agent_infra.automation.rollbacks._PAUSE_SECONDS", 0.01)
    file = tmp_path / "kubeconfig"
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    with serving(kubernetes.app()) as url:
        write(file, url)
        yield tmp_path


def write(file: Path, url: str, *, cluster: str = CLUSTER) -> None:
    file.write_text(kubeconfig(url).replace('"it"', json.dumps(cluster)))


def rollback(project: Path, *more: str, stack: str = "prod") -> Result:
    words = ["rollback", "support", "--stack", stack, "--project", str(project), "--wait", "0.05", *more]
    return CliRunner().invoke(app, words)


def test_both_kinds_of_pods_go_back_with_their_settings_and_what_is_left_to_do_is_told(
    project: Path, kubernetes: Kubernetes
) -> None:
    done = rollback(project)
    assert done.exit_code == 0, done.output
    for deployment in kubernetes.deployments.values():
        assert deployment["spec"]["template"] == template("agents@2", "INFO")
        assert deployment["metadata"]["annotations"] == {
            NUMBER: "3",
            "agent-infra/revision": "good-2",
            "kept": "yes",
        }
    assert "support-worker: revision 3 -> 2\n  from agents@3\n  to   agents@2\n" in done.output
    assert "agent-infra refresh --stack prod && agent-infra up --stack prod" in done.output
    assert "very-secret-token" not in done.output


def test_pods_that_are_not_ready_in_time_are_told_with_how_to_watch_them(
    project: Path, kubernetes: Kubernetes
) -> None:
    kubernetes.ready = False
    done = rollback(project, "--json")
    assert done.exit_code == 1
    api, worker = (
        item for item in map(json.loads, done.stdout.splitlines()) if item["kind"] == "rolled-back"
    )
    assert (api["deployment"], api["done"], api["to_image"]) == ("support", False, "agents@2")
    assert worker["watch"] == "kubectl rollout status deployment/support-worker --namespace agents"


def test_no_pods_go_back_where_one_kind_has_no_earlier_revision(
    project: Path, kubernetes: Kubernetes
) -> None:
    kubernetes.replica_sets = [
        each
        for each in kubernetes.replica_sets
        if each["metadata"]["ownerReferences"][0]["uid"] == "uid-of-support"
    ]
    done = rollback(project)
    assert done.exit_code == 1
    assert "no revision before the current one of the Deployment support-worker is kept" in done.output
    assert kubernetes.patched == []


def test_a_revision_whose_settings_were_in_a_map_that_is_gone_is_not_put_back(
    project: Path, kubernetes: Kubernetes
) -> None:
    for each in kubernetes.replica_sets:
        agent = each["spec"]["template"]["spec"]["containers"][1]
        agent["envFrom"] = [{"configMapRef": {"name": "support-config"}}]
    done = rollback(project)
    assert done.exit_code == 1
    assert "kept settings in a ConfigMap" in done.output
    assert kubernetes.patched == []


def test_what_did_go_back_is_told_where_another_revision_came_meanwhile(
    project: Path, kubernetes: Kubernetes
) -> None:
    kubernetes.conflict = "support-worker"
    done = rollback(project)
    assert done.exit_code == 1
    assert "422" in done.output
    assert "support did go back" in done.output


def test_a_fleet_that_is_not_there_is_told_with_those_that_are(project: Path) -> None:
    environment = Environment.open("prod", project=Project.find(project))
    with pytest.raises(AutomationError, match="no fleet 'billing' in 'prod'; there are: chat, support"):
        environment.roll_back("billing")


def test_another_clusters_context_is_not_used_unless_it_is_named(
    project: Path, kubernetes: Kubernetes
) -> None:
    file = project / "kubeconfig"
    url = json.loads(file.read_text())["clusters"][0]["cluster"]["server"]
    write(file, url, cluster="other")
    done = rollback(project)
    assert done.exit_code == 1
    assert "context 'other' does not name the cluster 'agents-prod'" in done.output
    assert kubernetes.patched == []
    assert rollback(project, "--context", "other").exit_code == 0


def test_a_cluster_that_does_not_answer_and_a_kubeconfig_that_is_none_are_told(project: Path) -> None:
    file = project / "kubeconfig"
    write(file, "http://127.0.0.1:1")
    assert "does not answer" in rollback(project).output
    file.unlink()
    missing = rollback(project)
    assert missing.exit_code == 1
    assert "aws eks update-kubeconfig --name agents-prod --region eu-central-1" in missing.output


def test_on_this_machine_no_revisions_are_kept(project: Path) -> None:
    done = rollback(project, stack="local")
    assert done.exit_code == 1
    assert "keeps no earlier revisions" in done.output


def test_on_a_simulated_cluster_of_this_machine_it_is_as_in_the_cloud(
    project: Path, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (project / "kubeconfig").rename(project / "simulated")
    monkeypatch.setattr("agent_infra.automation.simulated.kubeconfig", lambda _environment: own)
    assert rollback(project, stack="local").exit_code == 0
    assert kubernetes.patched == ["support", "support-worker"]
