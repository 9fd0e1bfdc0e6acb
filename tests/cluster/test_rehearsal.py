"""dev and prod, their settings unchanged, on a real API server with `restricted` enforced."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_infra.automation import Diagnostic, Environment, Event, Progress, Step, simulated
from agent_infra.local import cluster, services
from tests.cluster.api import Api
from tests.engine.conftest import copy_project

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_all_of_an_environment_is_admitted_and_nothing_differs_afterwards(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_INFRA_IMAGE_BUILDER", "none")
    project = copy_project(tmp_path)
    environment = Environment.open(name, project=project, rehearse=True, kubernetes="simulated")
    assert environment.local is not None
    told: list[Event] = []
    try:
        assert set(environment.up(listener=told.append).changes) == {"create"}
        assert {each.name for each in told if isinstance(each, Progress)} >= {"support", "support-worker"}
        # The API server would warn of what `restricted` refuses, and of what it does not know.
        assert [each for each in told if isinstance(each, Diagnostic) and each.severity != "info"] == []
        api = Api(cluster.kubeconfig(environment.local))
        labels = api.call("GET", "/api/v1/namespaces/agents")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
        for run in (environment.preview, environment.up, environment.refresh, environment.up):
            told.clear()
            assert run(listener=told.append).changed == 0, [
                (each.op, each.name) for each in told if isinstance(each, Step) and each.op != "same"
            ]
        if name == "dev":
            assert set(environment.destroy().changes) == {"delete"}
    finally:
        simulated.end(environment.local)
        services.stop(environment.local)
