"""The locks and steps that the service's image is built from; tests/image builds it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
import uvloop
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
APP = ROOT / "agent_app"
DECLARED = tomllib.loads((APP / "pyproject.toml").read_text())
LOCKS = [ROOT / "requirements.lock", APP / "requirements.lock", APP / "build-requirements.lock"]
REMAKE = "the lock is not of this pyproject.toml: run `make lock`"


@dataclass(frozen=True)
class Pin:
    requirement: Requirement
    hashes: int

    @property
    def version(self) -> str:
        (only,) = self.requirement.specifier
        return only.version


def pins(lock: Path) -> dict[str, Pin]:
    """What a lock names that applies to this machine."""
    found = {}
    text = "\n".join(line for line in lock.read_text().splitlines() if not line.strip().startswith("#"))
    for entry in re.split(r"\n(?=\S)", text.replace("\\\n", " ")):
        if not entry.strip() or entry.startswith("-"):
            continue
        requirement = Requirement(entry.partition(" --hash")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = Pin(requirement, entry.count("--hash=sha256:"))
    return found


def wanted(declared: list[str]) -> list[Requirement]:
    """The requirements, and what their extras bring."""
    found = [Requirement(text) for text in declared]
    for requirement in list(found):
        for extra in requirement.extras:
            inner = [Requirement(text) for text in metadata.requires(requirement.name) or []]
            chosen = [one for one in inner if one.marker is not None and _is_of(one.marker, extra)]
            assert chosen, f"{requirement.name} has no extra {extra!r}"
            found += chosen
    return found


def _is_of(marker: Marker, extra: str) -> bool:
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def satisfied(lock: Path, declared: list[str]) -> None:
    locked = pins(lock)
    for requirement in wanted(declared):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{name} is missing from {lock.name}: {REMAKE}"
        version = locked[name].version
        assert requirement.specifier.contains(version, prereleases=True), f"{name} {version}: {REMAKE}"


def test_the_images_lock_satisfies_what_the_service_declares() -> None:
    satisfied(APP / "requirements.lock", DECLARED["project"]["dependencies"])


def test_the_build_lock_satisfies_the_build_system() -> None:
    satisfied(APP / "build-requirements.lock", DECLARED["build-system"]["requires"])


def test_the_image_holds_the_versions_that_the_tests_ran_with() -> None:
    image, tests = pins(APP / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert {name: pin.version for name, pin in image.items()} == {
        name: tests[name].version for name in image if name in tests
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_a_lock_has_hashes_for_all_and_names_no_index(lock: Path) -> None:
    found = pins(lock)
    assert found
    assert [name for name, pin in found.items() if not pin.hashes] == []
    assert "://" not in lock.read_text()


def instructions() -> list[str]:
    """The Dockerfile's, continued lines joined, comments gone."""
    lines = [line for line in (APP / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def test_the_base_is_an_argument_without_a_registry_host() -> None:
    arguments = [line for line in instructions() if line.startswith("ARG BASE_IMAGE")]
    assert arguments == ["ARG BASE_IMAGE=python:3.11-slim"]
    assert {line.split()[1] for line in instructions() if line.startswith("FROM")} == {
        "${BASE_IMAGE}",
        "dependencies",
    }


def test_every_installation_is_from_a_lock_or_without_an_index() -> None:
    installs = re.findall(
        r"pip (?:--python \S+ )?(?:install|wheel).*?(?=&&|$)", "\n".join(instructions()), re.MULTILINE
    )
    assert len(installs) == 4
    for install in installs:
        assert ("--require-hashes" in install and "-r " in install) or "--no-index --no-deps" in install


def test_health_is_left_to_kubernetes_probes() -> None:
    """An image in OCI's format would drop a HEALTHCHECK without a word."""
    assert not [line for line in instructions() if line.startswith("HEALTHCHECK")]


def test_a_stripped_library_is_shorter_and_still_loads(tmp_path: Path) -> None:
    package = Path(uvloop.__file__).parent
    copy = tmp_path / "uvloop"
    shutil.copytree(package, copy)
    (library,) = copy.glob("loop.*.so")
    before = library.stat().st_size
    run = [sys.executable, "-I"]
    subprocess.run([*run, APP / "strip_libraries.py", tmp_path], check=True, capture_output=True)
    assert library.stat().st_size < before / 2
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import asyncio, uvloop; "
    program += "uvloop.run(asyncio.sleep(0)); print(uvloop.__file__)"
    told = subprocess.run([*run, "-c", program], check=True, capture_output=True, text=True).stdout
    assert told.strip().startswith(str(copy))


def test_what_is_no_library_stays_as_it_is(tmp_path: Path) -> None:
    for name, content in (("a.so", b"text"), ("b.so", b"\x7fELF\x02\x01" + bytes(10) + b"\x02\x00")):
        (tmp_path / name).write_bytes(content)
        subprocess.run(
            [sys.executable, APP / "strip_libraries.py", tmp_path], check=True, capture_output=True
        )
        assert (tmp_path / name).read_bytes() == content
