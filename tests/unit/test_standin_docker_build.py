"""The docker-build stand-in, with builders that are scripts on PATH."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.docker_build import IMAGE, DockerBuildStandin
from agent_infra.local.standins.server import UNKNOWN, Refused, StandinError
from tests.unit.image_builders import ID, MANIFEST, Install


@pytest.fixture
def standin(tmp_path: Path) -> DockerBuildStandin:
    return DockerBuildStandin(LocalEnvironment(tmp_path / "env"))


def _inputs(source: Path, **more: Any) -> dict[str, Any]:
    return {
        "tags": ["registry.test/team/app:1"],
        "context": {"location": str(source)},
        "dockerfile": {"location": str(source / "Dockerfile")},
        "push": False,
        "buildOnPreview": False,
        **more,
    }


def _create(standin: DockerBuildStandin, news: dict[str, Any]) -> dict[str, Any]:
    return standin.create(IMAGE, "app", standin.check(IMAGE, "app", {}, news), preview=False)[1]


def test_without_a_builder_the_digest_is_the_sources(
    install: Install, source: Path, standin: DockerBuildStandin
) -> None:
    state = _create(standin, _inputs(source))
    assert state["digest"] == f"sha256:{state['contextHash']}"
    assert state["ref"] == f"registry.test/team/app:1@{state['digest']}"
    assert any(note.property == "context" for note in standin.not_simulated())


def test_a_preview_builds_nothing_even_if_asked_to(
    install: Install, source: Path, standin: DockerBuildStandin
) -> None:
    log = install("docker")
    inputs = standin.check(IMAGE, "app", {}, _inputs(source, buildOnPreview=True))
    id, state = standin.create(IMAGE, "app", inputs, preview=True)
    again = standin.update(IMAGE, "x", inputs, state, inputs, preview=True)
    assert (id, state["digest"], again["digest"]) == ("", UNKNOWN, UNKNOWN)
    assert not log.exists()


def test_a_secret_reaches_the_build_and_neither_its_command_line_nor_the_outputs(
    install: Install, source: Path, standin: DockerBuildStandin, tmp_path: Path
) -> None:
    log = install("docker")
    state = _create(standin, _inputs(source, secrets={"pip.conf": "s3cret"}))
    lines = log.read_text().splitlines()
    assert "secret s3cret" in lines
    assert not [line for line in lines if line.startswith("docker ") and "s3cret" in line]
    assert any("--secret id=pip.conf,src=" in line for line in lines)
    assert "s3cret" not in str(state)
    assert not [
        file for file in (tmp_path / "env").rglob("*") if file.is_file() and b"s3cret" in file.read_bytes()
    ]


def test_of_several_platforms_the_machines_own_is_built_and_this_is_told(
    install: Install, source: Path, standin: DockerBuildStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install("docker")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    _create(standin, _inputs(source, platforms=["linux/amd64", "linux/arm64"], target="final"))
    assert "--platform linux/arm64" in log.read_text()
    assert "linux/amd64" not in log.read_text()
    assert "--target final" in log.read_text()
    told = {note.property: note.reason for note in standin.not_simulated()}
    assert "this machine's own" in told["platforms"]
    assert {"cacheTo", "exec"} <= set(told)


def test_a_push_takes_the_login_of_its_registry(
    install: Install, source: Path, standin: DockerBuildStandin
) -> None:
    log = install("docker")
    logins = [
        {"address": "other.test", "username": "x", "password": "y"},
        {"address": "registry.test", "username": "me", "password": "s3cret"},
    ]
    state = _create(standin, _inputs(source, push=True, registries=logins))
    assert state["digest"] == MANIFEST != ID
    assert "registry.test" in log.read_text()
    assert "s3cret" not in log.read_text()


def test_sources_make_a_new_image_and_passwords_and_ignored_secrets_do_not(
    install: Install, source: Path, standin: DockerBuildStandin
) -> None:
    def said(password: str, secret: str) -> dict[str, Any]:
        inputs = _inputs(
            source,
            registries=[{"address": "a", "username": "u", "password": password}],
            secrets={"a": secret},
            ignoreSecretsInDiffCalculation=["a"],
        )
        return standin.check(IMAGE, "app", {}, inputs)

    before = said("one", "one")
    state = _create(standin, before)
    assert standin.diff(IMAGE, "x", before, state, said("two", "two")).changed == []
    (source / "src" / "main.py").write_text("print(2)\n")
    assert standin.diff(IMAGE, "x", before, state, said("two", "two")).changed == ["contextHash"]
    more = {**before, "platforms": ["linux/arm64"]}
    assert "platforms" in standin.diff(IMAGE, "x", before, state, more).changed


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        ({"tags": None}, "tags", "at least once"),
        ({"tags": ["Team/App"]}, "tags[0]", "no digest"),
        ({"pushes": True}, "pushes", "platforms"),
        ({"context": {"location": "nowhere"}}, "context.location", "no directory"),
        ({"dockerfile": {"location": "nowhere"}}, "dockerfile.location", "no file"),
        ({"dockerfile": {"inline": "FROM a"}}, "dockerfile.inline", "location"),
        ({"platforms": "linux/amd64"}, "platforms", "list"),
    ],
)
def test_wrong_inputs_are_refused_with_their_path(
    standin: DockerBuildStandin, source: Path, change: dict[str, Any], path: str, told: str
) -> None:
    with pytest.raises(Refused) as caught:
        standin.check(IMAGE, "app", {}, _inputs(source, **change))
    assert caught.value.failures[0][0] == path
    assert told in caught.value.failures[0][1]


def test_unknown_inputs_are_let_be_in_a_preview(standin: DockerBuildStandin, source: Path) -> None:
    inputs = standin.check(IMAGE, "app", {}, _inputs(source, tags=UNKNOWN, context=UNKNOWN))
    assert standin.create(IMAGE, "app", inputs, preview=True)[1]["digest"] is UNKNOWN


def test_other_resources_and_functions_are_refused_by_name(standin: DockerBuildStandin) -> None:
    with pytest.raises(StandinError, match="docker-build:index:Index"):
        standin.check("docker-build:index:Index", "x", {}, {})
    with pytest.raises(StandinError, match="no functions"):
        standin.invoke("docker-build:index:x", {})
