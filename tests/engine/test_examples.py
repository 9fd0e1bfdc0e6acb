"""Every program of examples/: its whole life on the local cloud, as a reader would run it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_infra.automation import Environment, Project
from tests.engine.conftest import ROOT, Steps, end_all

pytestmark = pytest.mark.engine

EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/Pulumi.yaml"))


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    copy = tmp_path / request.param
    shutil.copytree(
        ROOT / "examples" / request.param, copy, ignore=shutil.ignore_patterns("__pycache__", ".agent-infra")
    )
    project = Project.find(copy)
    try:
        yield project
    finally:
        end_all(project)


@pytest.mark.parametrize("example", EXAMPLES, indirect=True)
def test_an_example_lives_its_whole_life(example: Project) -> None:
    environment = Environment.open("local", project=example)
    assert environment.up().changed > 0
    steps = Steps()
    again = environment.up(listener=steps)
    assert again.changed == 0, steps.types()
    refreshed = environment.refresh(listener=steps)
    assert refreshed.changed == 0, steps.types()
    assert again.outputs, "an example shows what its component gives"
    environment.destroy()
    assert environment.outputs() == {}
