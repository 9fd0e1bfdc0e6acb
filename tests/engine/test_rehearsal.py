"""dev and prod, their settings unchanged, live their whole life on this machine."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import psutil
import pytest

from agent_infra.automation import Environment, UpdateFailed, api_key
from agent_infra.local import fleets
from tests.engine.conftest import Steps, call, change_settings, copy_project, end_all

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

PLANTED = "planted-0f4b7c-not-a-key"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("dev", marks=pytest.mark.xdist_group("dev")),
        pytest.param("prod", marks=pytest.mark.xdist_group("prod")),
    ],
)
def test_an_environments_settings_live_their_whole_life_here(name: str, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    environment = Environment.open(name, project=project, rehearse=True)
    assert environment.local is not None
    settings = project.settings_file(name).read_bytes()
    try:
        first = environment.up()
        assert set(first.changes) == {"create"}
        running = fleets.status(environment.local).fleets
        assert running
        assert all(fleet.ready == fleet.desired for fleet in running.values())
        key = api_key(environment)
        for address in first.endpoints.values():
            with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                call(f"{address}/v1/chat", {"message": "Hello"})
            refused.value.close()
            assert call(f"{address}/v1/chat", {"message": "Hello"}, key=key)["reply"]
        local = environment.local
        written = [
            file
            for place in (local.state_dir, local.logs_dir, local.manifests_dir)
            for file in place.rglob("*")
        ]
        assert not [file for file in written if file.is_file() and key.encode() in file.read_bytes()]
        steps = Steps()
        assert environment.up(listener=steps).changed == 0, steps.types()
        assert environment.refresh(listener=steps).changed == 0, steps.types()
        assert api_key(environment) == key
        environment.destroy()
        assert project.settings_file(name).read_bytes() == settings
        assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(p.info["cmdline"])]
    finally:
        end_all(project)


@pytest.mark.xdist_group("prod")
def test_two_environments_at_once_share_nothing_and_tell_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", PLANTED)
    project = copy_project(tmp_path)
    (tmp_path / "Pulumi.local-b.yaml").write_text((tmp_path / "Pulumi.local.yaml").read_text())
    first, second = (Environment.open(name, project=project) for name in ("local", "local-b"))
    assert first.local is not None and second.local is not None
    said: list[str] = []
    try:
        first.up(listener=lambda event: said.append(str(event)))
        second.up(listener=lambda event: said.append(str(event)))
        addresses = {
            service.address
            for local in (first.local, second.local)
            for service in fleets.status(local).services.values()
        }
        assert len(addresses) == 2
        second.destroy()
        assert all(fleet.ready == fleet.desired for fleet in fleets.status(first.local).fleets.values())
        assert PLANTED not in "".join(said)
        for file in (first.local.root).rglob("*"):
            telling = file.suffix in {".log", ".json", ".attrs", ".bak"} or "state" in file.parts
            if file.is_file() and telling:
                assert PLANTED not in file.read_text(errors="replace"), file
    finally:
        end_all(project)


@pytest.mark.xdist_group("dev")
def test_a_wrong_setting_names_its_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    project = copy_project(tmp_path)

    def misspell(config: dict[str, object]) -> None:
        config["agent-infra:network"] = {"zoness": 2}

    change_settings(project, "local", misspell)
    environment = Environment.open("local", project=project)
    try:
        with pytest.raises(UpdateFailed, match=r"agent-infra:network\.zoness.*zones") as told:
            environment.up()
        assert "Pulumi.local.yaml" in str(told.value)
        assert "Traceback" not in str(told.value)
    finally:
        end_all(project)
