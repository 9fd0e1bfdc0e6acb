"""`agent-infra rollback` of a fleet on the real API server, and the `up` after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent_infra.automation import Environment, Project
from agent_infra.local import tools, workspace
from agent_infra.local.environment import LocalEnvironment
from tests.cluster.api import Namespace
from tests.cluster.conftest import Cluster, pods_of
from tests.engine.conftest import change_settings
from tests.unit.fleet_objects import QUEUE

PROGRAM = f"""
import json
import pulumi
from agent_infra import AgentFleet

said = json.loads(pulumi.Config().require("said"))
fleet = AgentFleet("support", {{
    "require_digest": False,
    "environment_name": "local",
    "queue": {QUEUE!r},
    "replicas": {{"min": 2, "max": 2}},
    "worker": {{"replicas": {{"min": 1, "max": 1}}}},
    **said,
}})
pulumi.export("fleets", {{"support": {{"namespace": fleet.namespace}}}})
pulumi.export("queue_urls", {{"support": {QUEUE["url"]!r}}})
"""


@pytest.fixture
def environment(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """`dev`, of which nothing says that it is on this machine but the stand-ins' place on PATH."""
    (tmp_path / "Pulumi.yaml").write_text("name: fleets\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(json.dumps({"config": {"aws:region": "eu-central-1"}}))
    (tmp_path / "__main__.py").write_text(PROGRAM)
    local = LocalEnvironment(tmp_path / "local")
    workspace.prepare(local)
    for name, value in workspace.variables(local, tool_dirs=tools.ensure().bin_dirs).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AGENT_INFRA_KUBECONFIG", str(cluster.kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    return Environment.open("dev", project=Project.find(tmp_path))


def say(environment: Environment, namespace: Namespace, image: str) -> None:
    said = {"image": image, "namespace": namespace.name}
    change_settings(
        environment.project, "dev", lambda settings: settings.update({"fleets:said": json.dumps(said)})
    )


def running(namespace: Namespace) -> dict[str, str]:
    """The pods that are there, and their images."""
    return {
        pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"]
        for kind in ("api", "worker")
        for pod in namespace.pods(pods_of("support", kind))
    }


def wait(namespace: Namespace, image: str) -> None:
    namespace.wait(
        f"three pods of {image}",
        lambda: sorted(running(namespace).values()),
        until=[image] * 3,
        seconds=30,
    )


def command(environment: Environment, *said: str) -> list[str]:
    """What `agent-infra` prints; a process of its own, as kubectl's kubeconfig is found when it starts."""
    done = subprocess.run(
        [sys.executable, "-c", "from agent_infra.cli import main; main()", *said],
        cwd=environment.project.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_fleet_goes_back_at_once_and_up_takes_it_on_from_there(
    namespace: Namespace, environment: Environment
) -> None:
    say(environment, namespace, "agents:one")
    environment.up()
    wait(namespace, "agents:one")
    say(environment, namespace, "agents:two")
    environment.up()
    wait(namespace, "agents:two")

    told = command(environment, "rollback", "support", "--stack", "dev", "--json")
    keys = ("deployment", "from_image", "to_image", "done")
    done = [each for each in map(json.loads, told) if each["kind"] == "rolled-back"]
    assert [tuple(each[key] for key in keys) for each in done] == [
        ("support", "agents:two", "agents:one", True),
        ("support-worker", "agents:two", "agents:one", True),
    ]
    wait(namespace, "agents:one")
    back = running(namespace)

    # As the command tells: the image is set back, what is there is read, and nothing is left to do.
    say(environment, namespace, "agents:one")
    environment.refresh()
    assert environment.up().changed == 0
    assert running(namespace) == back

    # The fields of who went back are no hindrance to the next release.
    say(environment, namespace, "agents:three")
    environment.up()
    wait(namespace, "agents:three")
