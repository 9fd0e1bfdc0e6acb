"""tools/debian-packages, with stand-ins for Debian's own commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "debian-packages"
DPKG_QUERY = """#!/bin/sh
for package; do :; done
case " $INSTALLED " in *" $package "*) printf installed ;; *) exit 1 ;; esac
"""
APT_GET = '#!/bin/sh\necho "$@" >> "$APT_LOG"\nexit "${APT_STATUS:-0}"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A directory of commands, as PATH has them."""
    commands = {"dpkg-query": DPKG_QUERY, "apt-get": APT_GET, "id": '#!/bin/sh\necho "${USER_ID:-0}"\n'}
    for name, text in commands.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "apt.log").touch()
    return tmp_path


def install(machine: Path, *lanes: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine), "APT_LOG": str(machine / "apt.log"), **variables}
    command = ["/bin/sh", str(SCRIPT), *lanes]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def asked(machine: Path) -> list[str]:
    return (machine / "apt.log").read_text().splitlines()


def test_root_gets_what_is_missing_of_all_lanes_and_nothing_else(machine: Path) -> None:
    done = install(machine, "image", "web", INSTALLED="debootstrap chromium")
    assert done.returncode == 0, done.stderr
    update, installed = asked(machine)
    assert update.startswith("update")
    assert installed.split()[-3:] == ["buildah", "debian-archive-keyring", "chromium-driver"]
    assert "--no-install-recommends" in installed


def test_with_everything_there_nothing_is_asked_of_anyone(machine: Path) -> None:
    done = install(machine, "web", INSTALLED="chromium chromium-driver", USER_ID="1000")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert asked(machine) == []


def test_others_are_told_what_is_missing_and_how_root_installs_it(machine: Path) -> None:
    done = install(machine, "image", INSTALLED="buildah", USER_ID="1000")
    assert done.returncode == 1
    assert "missing: debootstrap debian-archive-keyring." in done.stderr
    assert "apt-get install" in done.stderr
    assert asked(machine) == []


def test_a_failing_apt_is_a_failure(machine: Path) -> None:
    done = install(machine, "web", APT_STATUS="100")
    assert done.returncode == 1
    assert "apt-get update failed" in done.stderr


def test_another_distribution_is_told_what_the_lane_needs(machine: Path) -> None:
    (machine / "apt-get").unlink()
    done = install(machine, "web")
    assert done.returncode == 1
    assert "chromium chromium-driver" in done.stderr


@pytest.mark.parametrize("lanes", [(), ("imgae",)])
def test_a_wrong_lane_names_the_right_ones(machine: Path, lanes: tuple[str, ...]) -> None:
    done = install(machine, *lanes)
    assert done.returncode == 1
    assert "image or web" in done.stderr
