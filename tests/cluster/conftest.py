"""One cluster of real controllers for all tests, and a namespace of it for each."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from agent_infra.automation import Environment
from agent_infra.local import cluster as control_plane
from agent_infra.local import services, workspace
from agent_infra.local.environment import LocalEnvironment
from tests.cluster.api import Api, Namespace, Object, Refused
from tests.engine.conftest import local_program
from tests.unit.fleet_objects import objects

#: The directory of an environment whose cluster and services run already: saves their start to whoever
#: writes tests. Neither is ended then.
RUNNING = "AGENT_INFRA_TEST_ENVIRONMENT"
#: They start control planes of their own, beside the one for all others: with two workers one has each.
OWN_CLUSTERS = {"test_control_plane.py", "test_environment.py", "test_rehearsal.py"}
#: Hours of an autoscaler's life in minutes: a second here stands for fifteen of Kubernetes' defaults.
COMPRESSED = {
    "hpa_sync_seconds": 1,
    "hpa_cpu_initialization_seconds": 0,
    "hpa_readiness_seconds": 0,
    "metrics_seconds": 10,
}


@dataclass(frozen=True)
class Cluster:
    """What runs for the whole session."""

    api: Api
    environment: LocalEnvironment
    """Whose services there are, moto's among them, which KEDA asks for what AWS knows."""

    @property
    def kubeconfig(self) -> Path:
        return self.api.kubeconfig


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            own = item.path.name in OWN_CLUSTERS
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.xdist_group("own clusters" if own else "one cluster"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    running = os.environ.get(RUNNING)
    environment = LocalEnvironment(Path(running) if running else tmp_path_factory.mktemp("cluster") / "local")
    try:
        if not running:
            workspace.prepare(environment)
            services.start(environment)
            control_plane.start(environment, options=control_plane.ClusterOptions(**COMPRESSED, argo=True))
        yield Cluster(Api(control_plane.kubeconfig(environment)), environment)
    finally:
        if not running:
            control_plane.stop(environment)
            services.stop(environment)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """The test's own, with pods held to `restricted` as the fleets' namespaces are."""
    short = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    name = f"{short}-{uuid.uuid4().hex[:6]}"
    cluster.api.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        }
    )
    made = Namespace(cluster.api, name)
    made.wait("its ServiceAccount", lambda: _account(made), seconds=20)
    try:
        yield made
    finally:
        # Not waited for: the next test has another one.
        cluster.api.call("DELETE", f"/api/v1/namespaces/{name}")


def _account(namespace: Namespace) -> bool:
    try:
        namespace.api.call("GET", f"/api/v1/namespaces/{namespace.name}/serviceaccounts/default")
    except Refused:
        return False
    return True


class Deploys(Protocol):
    def __call__(self, program: str, **config: str) -> AbstractContextManager[Environment]: ...


@pytest.fixture
def deploys(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deploys:
    """Runs a program with the real engine, whose Kubernetes objects go to the cluster."""
    monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setenv("AGENT_INFRA_IMAGE_BUILDER", "none")

    def deployed(program: str, **config: str) -> AbstractContextManager[Environment]:
        return local_program(tmp_path, "fleets", program, **config)

    return deployed


def pods_of(fleet: str, kind: str = "api") -> dict[str, str]:
    """The labels of a fleet's pods, canaries too."""
    return {"app.kubernetes.io/name": fleet, "agent-infra/kind": kind}


def fleet(namespace: Namespace, **args: Any) -> list[Object]:
    """The objects of the fleet `support`, as `up` would send them: without the engine, for speed."""
    return objects(namespace=namespace.name, **args)
