"""`agent-infra cluster`, with a cluster whose supervisor has written down how it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner, Result

from agent_infra.cli.main import app
from agent_infra.local import cluster
from agent_infra.local.cluster import ClusterOptions, ClusterStatus, PartState, PartStatus, states
from agent_infra.local.cluster.options import Places
from agent_infra.local.environment import LocalEnvironment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: agents\nruntime: python\n")
    for name in ("local", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config:\n  aws:region: eu-central-1\n")
    return tmp_path


@pytest.fixture
def asked(project: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(app, ["cluster", *words, "--project", str(project)])


def runs(root: Path) -> ClusterStatus:
    """As a supervisor writes it; this process stands for it."""
    process = psutil.Process(os.getpid())
    own = PartStatus("etcd", PartState.RUNNING, process.pid, process.create_time(), 4001)
    ended = PartStatus("kwok", PartState.FAILING, restarts=4, detail="It ended with exit code 2.")
    status = ClusterStatus(
        process.pid, process.create_time(), server="https://127.0.0.1:4000", parts=[own, ended]
    )
    places = Places(LocalEnvironment(root).cluster_dir)
    states.write(places.status, status)
    places.kubeconfig.write_text("{}")
    return status


def test_an_environment_without_a_cluster_says_how_to_get_one(asked: Callable[..., Result]) -> None:
    shown = asked("status")
    assert (shown.exit_code, "agent-infra cluster start" in shown.output) == (0, True)
    refused = asked("kubeconfig")
    assert refused.exit_code == 1
    assert "agent-infra cluster start" in refused.output


@pytest.mark.parametrize("command", ["start", "stop", "status", "kubeconfig"])
def test_an_environment_in_the_cloud_has_its_cluster_there(
    asked: Callable[..., Result], command: str
) -> None:
    refused = asked(command, "--stack", "prod")
    assert refused.exit_code == 1
    assert "--rehearse" in refused.output


def test_status_shows_each_part_and_the_last_words_of_one_that_fails(
    asked: Callable[..., Result], project: Path
) -> None:
    runs(project / ".agent-infra" / "local")
    shown = asked("status").output
    assert "not ready" in shown
    assert "kwok: It ended with exit code 2." in shown
    content = json.loads(asked("status", "--json").output)
    assert content["environment"] == "local"
    parts = {part["name"]: part for part in content["parts"]}
    assert (parts["kwok"]["state"], parts["kwok"]["restarts"]) == ("failing", 4)
    assert parts["etcd"]["memory_bytes"] > 0


def test_the_kubeconfig_is_a_path_alone_as_export_wants_it(
    asked: Callable[..., Result], project: Path
) -> None:
    root = project / ".agent-infra" / "prod.rehearsal"
    runs(root)
    shown = asked("kubeconfig", "--stack", "prod", "--rehearse")
    assert shown.output == f"{root / 'cluster' / 'kubeconfig'}\n"


def test_start_says_what_was_asked_for_and_leaves_the_rest_as_last_time(
    asked: Callable[..., Result], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[Any] = []

    def started(environment: LocalEnvironment, report: Any, options: Any) -> ClusterStatus:
        report("Starting the control plane", 10)
        wanted.append(options)
        return runs(environment.root)

    monkeypatch.setattr(cluster, "start", started)
    monkeypatch.setattr(cluster, "last_options", lambda environment: ClusterOptions(nodes=7))
    assert "export KUBECONFIG=" in asked("start").output
    asked("start", "--hpa-sync", "2", "--argo")
    assert wanted == [None, ClusterOptions(nodes=7, hpa_sync_seconds=2, argo=True)]
