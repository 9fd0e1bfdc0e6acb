"""A whole environment on a cluster of its own: what people type, and what they then see."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent_infra.automation import Environment, Project
from agent_infra.fleet.canary.kubernetes_api import KubernetesCluster
from agent_infra.local import cluster as control_plane
from agent_infra.local import fleets, services, workspace
from agent_infra.local.cluster import ClusterOptions
from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets import FleetStatus
from tests.cluster.api import Api
from tests.engine.conftest import call, change_settings, copy_project

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

#: Takes its time over each task, as one that waits for a model does.
AGENT = """
import asyncio
from pydantic_ai import Agent
agent = Agent()
@agent.instructions
async def slowly() -> str:
    await asyncio.sleep(2)
    return "Take your time."
"""
#: Autoscalers look every second, and need not believe for long that there is less to do.
COMPRESSED = ClusterOptions(nodes=1, hpa_sync_seconds=1, metrics_seconds=10)
WORKER = {
    "concurrency": 2,
    "replicas": {
        "min": 1,
        "max": 4,
        "queue_depth": 5,
        "speed": {"down_window": 0, "down_percent": 100, "down_seconds": 1},
    },
}


class Place:
    """An environment, and what a test looks at."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.environment = Environment.open("local", project=project)
        assert self.environment.local is not None
        self.local: LocalEnvironment = self.environment.local

    def fleet(self, name: str = "support") -> FleetStatus:
        return fleets.status(self.local).fleets[name]

    def ask(self, path: str, body: Any = None) -> Any:
        return call(f"{fleets.status(self.local).services['support'].address}{path}", body)

    def say(self, change: Callable[[dict[str, Any]], None]) -> None:
        change_settings(
            self.project,
            "local",
            lambda config: change(config["agent-infra:fleets"]["support"]),
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """`up` with `kubernetes: simulated`, as anybody would have it."""
    root = tmp_path_factory.mktemp("environment")
    (root / "code").mkdir()
    (root / "code" / "slow_agent.py").write_text(AGENT)
    project = copy_project(root)

    def settings(config: dict[str, Any]) -> None:
        config["agent-infra:kubernetes"] = "simulated"
        config["agent-infra:cluster"] = {"keda": {}}
        config["agent-infra:fleets"]["support"] |= {
            "agents": {"slow": {"agent": "slow_agent:agent"}},
            "environment": {"PYTHONPATH": str(root / "code")},
            "worker": WORKER,
        }

    change_settings(project, "local", settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_INFRA_IMAGE_BUILDER", "none")
        made = Place(project)
        try:
            workspace.prepare(made.local)
            control_plane.start(made.local, options=COMPRESSED)
            made.environment.up()
            yield made
        finally:
            fleets.stop(made.local)
            control_plane.destroy(made.local)
            services.stop(made.local)


def eventually(true: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_pods_are_processes_that_answer(place: Place) -> None:
    assert place.fleet().ready == 2
    assert {pod.name.startswith("support-") for pod in place.fleet().replicas} == {True}
    assert place.ask("/v1/chat", {"message": "Hello", "agent": "slow"})["reply"]
    (worker,) = place.fleet("support-worker").replicas
    assert (place.local.logs_dir / f"fleet-{worker.name}.log").stat().st_size


def test_a_canary_asks_the_pods_and_runs_its_evaluation_beside_them(place: Place) -> None:
    cluster = KubernetesCluster.by_file("agents", control_plane.kubeconfig(place.local))
    pages = cluster.metrics("support", port=8000)
    assert set(pages) == {pod.name for pod in place.fleet().replicas}
    assert all("agent_app_" in page for page in pages.values())
    told = "import os; print(os.environ['SAID'], 'AGENT_APP_DATABASE_URL' in os.environ); raise SystemExit(3)"
    ended = cluster.run("support", [sys.executable, "-c", told], variables={"SAID": "hello"}, seconds=120)
    assert (ended.status, ended.last_line) == (1, "hello True")


def test_replicas_follow_the_queue_up_and_down_and_no_task_is_lost(place: Place) -> None:
    tasks: list[str] = []

    def fed() -> bool:
        """Work for more than one worker until there is a second one, however slow this machine is."""
        found = place.ask("/v1/tasks?limit=1000")["tasks"]
        missing = 30 - sum(task["status"] != "succeeded" for task in found)
        tasks.extend(
            place.ask("/v1/tasks", {"agent": "slow", "input": f"number {number}"})["task_id"]
            for number in range(missing)
        )
        return place.fleet("support-worker").ready >= 2

    eventually(fed, seconds=180)
    assert place.fleet("support-worker").desired == 4
    eventually(
        lambda: all(task["status"] == "succeeded" for task in place.ask("/v1/tasks?limit=1000")["tasks"]),
        seconds=180,
    )
    done = {task["task_id"]: task["attempts"] for task in place.ask("/v1/tasks?limit=1000")["tasks"]}
    assert {done[task] for task in tasks} == {1}, "none was begun twice"
    eventually(lambda: len(place.fleet("support-worker").replicas) == 1, seconds=120)
    assert place.fleet("support-worker").desired == 1


def test_a_killed_process_is_started_again_in_its_pod(place: Place) -> None:
    before = place.fleet().replicas[0]
    os.kill(before.pid, signal.SIGKILL)

    def again() -> bool:
        found = [pod for pod in place.fleet().replicas if pod.name == before.name]
        return bool(found) and found[0].restarts == 1 and found[0].pid != before.pid

    eventually(again)
    eventually(lambda: place.fleet().ready == 2)


def test_a_killed_pod_comes_back_as_another(place: Place) -> None:
    before = place.fleet().replicas[0]
    path = f"/api/v1/namespaces/agents/pods/{before.name}"
    Api(control_plane.kubeconfig(place.local)).call("DELETE", path)
    eventually(lambda: before.name not in {pod.name for pod in place.fleet().replicas})
    assert not psutil.pid_exists(before.pid)
    eventually(lambda: place.fleet().ready == 2 and len(place.fleet().replicas) == 2)


def test_a_new_version_takes_over_without_a_gap(place: Place) -> None:
    before = {pod.name for pod in place.fleet().replicas}
    failures: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.2):
            try:
                place.ask("/healthz")
            except OSError as error:
                failures.append(str(error))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        place.say(lambda fleet: fleet["environment"].update({"VERSION": "2"}))
        place.environment.up()
    finally:
        over.set()
        asking.join()
    assert failures == []
    assert not before & {pod.name for pod in place.fleet().replicas if pod.ready}
    assert place.fleet().ready == 2


def test_nothing_is_left_after_its_end(place: Place) -> None:
    pods = [pod.pid for fleet in ("support", "support-worker") for pod in place.fleet(fleet).replicas]
    assert place.environment.destroy().changes
    assert not any(map(psutil.pid_exists, pods))
    assert _living(place.project.root) == []
    assert not place.local.cluster_dir.exists()
    assert not place.local.pods_dir.exists()


def _living(root: Path) -> list[str]:
    """What runs in a directory, or was told of it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        told = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        if process.pid != os.getpid() and any(str(root) in each for each in told):
            found.append(" ".join(told))
    return found
