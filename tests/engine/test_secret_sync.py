"""A secret that changes behind Pulumi's back reaches the running pods of a fleet."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent_infra.automation import Environment, Project
from agent_infra.local import fleets
from agent_infra.local.fleets.status import FleetState
from tests.engine.conftest import ROOT, aws, end_all

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    copy = tmp_path / "secret_sync"
    shutil.copytree(
        ROOT / "examples" / "secret_sync",
        copy,
        ignore=shutil.ignore_patterns("__pycache__", ".agent-infra"),
    )
    program = copy / "__main__.py"
    program.write_text(program.read_text().replace('"refresh_seconds": 60', '"refresh_seconds": 10'))
    made = Project.find(copy)
    try:
        yield made
    finally:
        end_all(made)


def test_a_rotated_secret_reaches_the_running_pods(project: Project) -> None:
    environment = Environment.open("local", project=project)
    arn = environment.up().outputs["secret_arn"]
    assert environment.local is not None
    assert _keys(environment) == {"sk-placeholder"}
    manager = aws(environment, "secretsmanager")
    manager.put_secret_value(SecretId=arn, SecretString=json.dumps({"OPENAI_API_KEY": "sk-rotated"}))
    until = time.monotonic() + 90
    while _keys(environment) != {"sk-rotated"} and time.monotonic() < until:
        time.sleep(0.5)
    assert _keys(environment) == {"sk-rotated"}
    assert environment.up().changed == 0
    environment.destroy()


def _keys(environment: Environment) -> set[str]:
    """The key that each ready process of the fleet was started with; none while they are being replaced."""
    assert environment.local is not None
    fleet = fleets.status(environment.local).fleets["support"]
    if fleet.state is not FleetState.RUNNING:
        return set()
    try:
        return {psutil.Process(replica.pid).environ()["OPENAI_API_KEY"] for replica in fleet.replicas}
    except psutil.Error:
        return set()
