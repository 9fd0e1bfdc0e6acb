"""The docker stand-in, with builders that are scripts on PATH."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.docker import IMAGE, DockerStandin
from agent_infra.local.standins.server import UNKNOWN, Refused, StandinError
from tests.unit.image_builders import ID, MANIFEST, Install


@pytest.fixture
def standin(tmp_path: Path) -> DockerStandin:
    return DockerStandin(LocalEnvironment(tmp_path / "env"))


def _inputs(source: Path, **more: Any) -> dict[str, Any]:
    return {
        "imageName": "registry.test/team/app:1",
        "build": {"context": str(source)},
        "skipPush": True,
        **more,
    }


def _create(
    standin: DockerStandin, news: dict[str, Any], *, preview: bool = False
) -> tuple[str, dict[str, Any]]:
    return standin.create(IMAGE, "app", standin.check(IMAGE, "app", {}, news), preview=preview)


def test_without_a_builder_the_image_runs_from_source_and_its_digest_is_the_sources(
    install: Install, source: Path, standin: DockerStandin, capfd: pytest.CaptureFixture[str]
) -> None:
    id, state = _create(standin, _inputs(source))
    assert id == "registry.test/team/app:1"
    assert state["builtBy"] == "source"
    assert state["repoDigest"].startswith("registry.test/team/app@sha256:")
    assert "fleets run from source" in capfd.readouterr().err
    assert any(note.property == "build" for note in standin.not_simulated())


def test_a_changed_source_is_an_update_and_a_changed_time_is_not(
    install: Install, source: Path, standin: DockerStandin
) -> None:
    before = standin.check(IMAGE, "app", {}, _inputs(source))
    (source / "src" / "main.py").touch()
    same = standin.check(IMAGE, "app", before, _inputs(source))
    assert standin.diff(IMAGE, "x", before, {}, same).changed == []
    (source / "src" / "main.py").write_text("print(2)\n")
    after = standin.check(IMAGE, "app", before, _inputs(source))
    difference = standin.diff(IMAGE, "x", before, {}, after)
    assert difference.changed == ["build.contextDigest"]
    assert difference.replaces == []


def test_new_registry_credentials_are_no_change(source: Path, standin: DockerStandin) -> None:
    registry = {"server": "registry.test", "username": "u", "password": "one"}
    old = standin.check(IMAGE, "app", {}, _inputs(source, registry=registry))
    new = standin.check(IMAGE, "app", {}, _inputs(source, registry={**registry, "password": "two"}))
    assert standin.diff(IMAGE, "x", old, {}, new).changed == []


@pytest.mark.parametrize(
    ("usable", "chosen"),
    [
        ({"docker": 0, "podman": 0, "buildah": 0}, "docker"),
        ({"docker": 1, "podman": 0, "buildah": 0}, "buildah"),
        ({"docker": 1, "podman": 0, "buildah": 1}, "podman"),
        ({"docker": 1, "podman": 125, "buildah": 1}, "source"),
    ],
)
def test_the_first_builder_that_answers_builds(
    install: Install, source: Path, standin: DockerStandin, usable: dict[str, int], chosen: str
) -> None:
    for name, code in usable.items():
        install(name, info=code)
    assert _create(standin, _inputs(source))[1]["builtBy"] == chosen


def test_the_builder_is_asked_once_and_gets_the_whole_recipe(
    install: Install, source: Path, standin: DockerStandin
) -> None:
    log = install("buildah")
    build = {
        "context": str(source),
        "target": "final",
        "platform": "linux/amd64",
        "args": {"TOKEN": "s3cret"},
    }
    _, state = _create(standin, _inputs(source, build=build))
    _create(standin, _inputs(source))
    assert state["repoDigest"] == f"registry.test/team/app@{ID}"
    calls = log.read_text()
    assert calls.count("buildah info") == 1
    line = next(line for line in calls.splitlines() if line.startswith("buildah bud"))
    assert "--isolation chroot" in line
    assert "--tag registry.test/team/app:1" in line
    assert f"--file {source}/Dockerfile" in line
    assert "--target final" in line
    assert "--platform linux/amd64" in line
    assert "--build-arg TOKEN" in line
    assert "s3cret" not in line
    assert "TOKEN=s3cret" in calls
    assert line.endswith(str(source))


def test_a_preview_builds_nothing_even_if_asked_to(
    install: Install, source: Path, standin: DockerStandin
) -> None:
    log = install("docker")
    inputs = standin.check(IMAGE, "app", {}, _inputs(source, buildOnPreview=True))
    id, state = standin.create(IMAGE, "app", inputs, preview=True)
    again = standin.update(IMAGE, "x", inputs, state, inputs, preview=True)
    assert (id, state["repoDigest"], again["repoDigest"]) == ("", UNKNOWN, UNKNOWN)
    assert not log.exists()


def test_a_failed_build_shows_the_last_lines_and_the_way_out(
    install: Install, source: Path, standin: DockerStandin, tmp_path: Path
) -> None:
    install("docker", code=17, message="step 3: no such file")
    with pytest.raises(StandinError) as caught:
        _create(standin, _inputs(source))
    text = str(caught.value)
    assert "docker ended with 17" in text
    assert "step 3: no such file" in text
    assert "AGENT_INFRA_IMAGE_BUILDER=none" in text
    (log,) = (tmp_path / "env" / "logs").iterdir()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize("builder", ["docker", "podman"])
def test_a_push_takes_the_given_login_and_returns_the_manifests_digest(
    install: Install, source: Path, standin: DockerStandin, builder: str
) -> None:
    log = install(builder)
    registry = {"server": "registry.test", "username": "me", "password": "s3cret"}
    _, state = _create(standin, _inputs(source, skipPush=False, registry=registry))
    assert state["repoDigest"] == f"registry.test/team/app@{MANIFEST}"
    pushes = [line for line in log.read_text().splitlines() if " push " in f"{line} "]
    assert pushes
    assert "s3cret" not in log.read_text()


def test_an_image_of_the_simulated_ecr_is_built_and_not_pushed(
    install: Install, source: Path, standin: DockerStandin
) -> None:
    log = install("docker")
    name = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:latest"
    _, state = _create(standin, _inputs(source, imageName=name, skipPush=False))
    assert state["registryServer"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    assert "push" not in log.read_text()


def test_the_environment_can_name_the_builder_or_none(
    install: Install, source: Path, standin: DockerStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("docker")
    monkeypatch.setenv("AGENT_INFRA_IMAGE_BUILDER", "none")
    assert _create(standin, _inputs(source))[1]["builtBy"] == "source"
    for value, told in (("kaniko", "docker, buildah, podman, none"), ("podman", "`podman info` does not")):
        monkeypatch.setenv("AGENT_INFRA_IMAGE_BUILDER", value)
        with pytest.raises(StandinError, match=told):
            _create(DockerStandin(LocalEnvironment(source)), _inputs(source))


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        ({"imageName": None}, "imageName", "must be given"),
        ({"imageName": "Team/App"}, "imageName", "lower case"),
        ({"imageName": "app@sha256:" + "0" * 64}, "imageName", "no digest"),
        ({"push": True}, "push", "imageName"),
        ({"build": {"dockerFile": "x"}}, "build.dockerFile", "dockerfile"),
        ({"build": {"context": "nowhere"}}, "build.context", "no directory"),
        ({"build": {"context": ".", "dockerfile": "nowhere"}}, "build.dockerfile", "no file"),
        ({"skipPush": "yes"}, "skipPush", "bool"),
    ],
)
def test_wrong_inputs_are_refused_with_their_path(
    standin: DockerStandin, source: Path, change: dict[str, Any], path: str, told: str
) -> None:
    with pytest.raises(Refused) as caught:
        standin.check(IMAGE, "app", {}, _inputs(source, **change))
    assert caught.value.failures[0][0] == path
    assert told in caught.value.failures[0][1]


def test_unknown_inputs_are_let_be_in_a_preview(standin: DockerStandin, source: Path) -> None:
    build = {"context": str(source), "args": {"URL": UNKNOWN}}
    inputs = standin.check(IMAGE, "app", {}, _inputs(source, imageName=UNKNOWN, build=build))
    _, state = standin.create(IMAGE, "app", inputs, preview=True)
    assert inputs["build"]["contextDigest"] is UNKNOWN
    assert state["registryServer"] is UNKNOWN


def test_other_resources_and_functions_are_refused_by_name(standin: DockerStandin) -> None:
    with pytest.raises(StandinError, match="docker:index/container:Container"):
        standin.check("docker:index/container:Container", "x", {}, {})
    with pytest.raises(StandinError, match="docker:index/getNetwork:getNetwork"):
        standin.invoke("docker:index/getNetwork:getNetwork", {})
