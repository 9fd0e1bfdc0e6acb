"""What stands for a local environment's cluster, and how it becomes another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import AutomationError, Environment, Project, simulated
from agent_infra.local import cluster, mode
from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.kubelet import wanted
from agent_infra.local.mode import KubernetesMode

FILES, SIMULATED = KubernetesMode.FILES, KubernetesMode.SIMULATED


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "Pulumi.yaml").write_text("name: mine\n")
    (tmp_path / "Pulumi.local.yaml").write_text("config: {}\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    return Project.find(tmp_path)


@pytest.fixture
def environment(project: Project) -> LocalEnvironment:
    made = LocalEnvironment(project.root / ".agent-infra" / "local")
    made.manifests_dir.mkdir(parents=True)
    return made


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the cluster and the fleets, in order."""
    calls: list[str] = []

    def kept(name: str, result: Any = None) -> Any:
        return lambda *_, **__: (calls.append(name), result)[1]

    monkeypatch.setattr(cluster, "start", kept("start"))
    monkeypatch.setattr(cluster, "destroy", kept("destroy"))
    monkeypatch.setattr(cluster, "kubeconfig", lambda _: Path("kubeconfig"))
    monkeypatch.setattr(simulated.fleets, "start", kept("fleets"))
    monkeypatch.setattr(simulated.fleets, "stop", kept("no fleets"))
    monkeypatch.setattr(wanted, "generation", lambda _: "g1")
    return calls


def prepared(environment: LocalEnvironment, wanted: KubernetesMode, *, anew: bool = False) -> simulated.Place:
    return simulated.prepare(environment, wanted, anew=anew, report=lambda *_: None)


def test_the_settings_say_it_else_it_stays_as_it_is_else_it_is_files(
    project: Project, environment: LocalEnvironment
) -> None:
    assert simulated.chosen(project, "local", environment) is FILES
    mode.remember(environment, SIMULATED)
    assert simulated.chosen(project, "local", environment) is SIMULATED
    (project.root / "Pulumi.local.yaml").write_text("config: {'mine:kubernetes': files}\n")
    assert simulated.chosen(project, "local", environment) is FILES
    (project.root / "Pulumi.local.yaml").write_text("config: {'mine:kubernetes': kind}\n")
    with pytest.raises(AutomationError, match="is 'kind'; allowed: files, simulated"):
        simulated.chosen(project, "local", environment)


def test_a_cluster_is_not_simulated_for_what_is_in_the_cloud(project: Project) -> None:
    with pytest.raises(AutomationError, match="leave --kubernetes out, or add --rehearse"):
        Environment.open("dev", project=project, kubernetes="simulated")
    assert (
        Environment.open("dev", project=project, rehearse=True, kubernetes="simulated").kubernetes
        is SIMULATED
    )


def test_pods_have_who_runs_them_before_the_engine_waits_for_them(
    environment: LocalEnvironment, done: list[str]
) -> None:
    place = prepared(environment, SIMULATED)
    assert done == ["start", "fleets"]
    assert (place.kubeconfig, place.generation) == (Path("kubeconfig"), "g1")
    assert prepared(environment, SIMULATED) == place
    assert "destroy" not in done


def test_another_mode_leaves_nothing_of_the_one_before(
    environment: LocalEnvironment, done: list[str]
) -> None:
    prepared(environment, FILES)
    (environment.manifests_dir / "old.yaml").touch()
    prepared(environment, SIMULATED)
    assert done == ["no fleets", "destroy", "start", "fleets"]
    assert not list(environment.manifests_dir.iterdir())
    done.clear()
    assert prepared(environment, FILES) == simulated.Place()
    assert done == ["no fleets", "destroy"]


def test_a_cluster_with_objects_that_no_state_knows_begins_anew(
    environment: LocalEnvironment, done: list[str]
) -> None:
    prepared(environment, SIMULATED, anew=True)
    assert "destroy" not in done, "one that somebody has just started is taken as it is"
    prepared(environment, SIMULATED, anew=True)
    assert "destroy" in done


def test_what_has_ended_is_forgotten(environment: LocalEnvironment, done: list[str]) -> None:
    prepared(environment, SIMULATED)
    assert simulated.kubeconfig(environment) == Path("kubeconfig")
    simulated.end(environment)
    assert simulated.kubeconfig(environment) is None
    assert mode.remembered(environment) is None
