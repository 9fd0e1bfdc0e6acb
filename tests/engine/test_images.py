"""Fleets that share an image, on this machine: built once, by an update and by no preview."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment
from tests.engine.conftest import Steps, change_settings, copy_project, end_all

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

PLANTED = "planted-5d2c1a-not-a-key"
#: Answers as docker does, and writes down what it was asked to build.
BUILDER = """#!/bin/sh
[ "$1" = info ] && exit 0
printf '%s\\n' "$*" >> {log}
while [ $# -gt 0 ]; do
  [ "$1" = --iidfile ] && printf 'sha256:{id}' > "$2"
  shift
done
"""


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The command lines of all builds."""
    log, folder = tmp_path / "builds", tmp_path / "builders"
    folder.mkdir()
    log.touch()
    script = folder / "docker"
    script.write_text(BUILDER.format(log=log, id="7" * 64))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))
    monkeypatch.setenv("AGENT_INFRA_IMAGE_BUILDER", "docker")
    return log


def test_fleets_share_one_build_and_a_preview_builds_nothing(
    tmp_path: Path, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    project = copy_project(root)
    (root / "other").mkdir()
    (root / "other" / "Dockerfile").write_text("FROM scratch\n")

    def say(config: dict[str, Any]) -> None:
        for part in ("cache", "database", "storage", "secrets"):
            config.pop(f"agent-infra:{part}")
        config["agent-infra:images"] = {
            "agent": {"context": "agent_app"},
            "other": {
                "context": "other",
                "builder": "docker-build",
                "platforms": ["linux/amd64", "linux/arm64"],
                "secrets": {"pip.conf": "PIP_CONF"},
            },
        }
        one = {"replicas": {"min": 1, "max": 1}}
        config["agent-infra:fleets"] = {
            "a": {"image": "agent", **one},
            "b": {"image": "agent", **one},
            "c": {"image": "other", **one},
        }

    change_settings(project, "local", say)
    monkeypatch.setenv("PIP_CONF", PLANTED)
    environment = Environment.open("local", project=project)
    try:
        previewed = environment.preview()
        assert previewed.changes["create"] > 10
        assert builds.read_text() == ""
        first = environment.up()
        shared, other = sorted(builds.read_text().splitlines(), key=lambda line: "other" in line)
        assert "-agent-images-" in shared and "agent_app" in shared
        assert "--secret id=pip.conf,src=" in other and PLANTED not in other
        images = {name: fleet["image"] for name, fleet in first.outputs["fleets"].items()}
        assert images["a"] == images["b"] != images["c"]
        assert all(image.endswith(f"@sha256:{'7' * 64}") for image in images.values())
        assert all(":" not in image.partition("/")[2].partition("@")[0] for image in images.values())
        monkeypatch.setenv("PIP_CONF", "another-" + PLANTED)
        steps = Steps()
        again = environment.up(listener=steps)
        assert ("update", "docker-build:index:Image") not in steps.types()
        assert again.changed == 0, steps.types()
        assert len(builds.read_text().splitlines()) == 2
        assert environment.local is not None
        state = [file for file in environment.local.state_dir.rglob("*") if file.is_file()]
        assert state
        assert not [file for file in state if PLANTED.encode() in file.read_bytes()]
        environment.destroy()
    finally:
        end_all(project)
