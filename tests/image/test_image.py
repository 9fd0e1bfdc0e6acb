"""What is in the image, and what is not."""

from __future__ import annotations

import re
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.image.builder import INDEX_MARK, SOURCE, Builder, Image

#: The first build ever makes the base and installs every package.
pytestmark = [pytest.mark.image, pytest.mark.timeout(1200)]

PACKAGES = re.compile(r"^opt/agent-app/lib/python3\.\d+/site-packages/")
#: Measured, beyond the base: 166 MB in files, 49.4 MB as the layers that are pulled; a tenth more is allowed.
OWN_MEGABYTES, OWN_PULLED_MEGABYTES = 183, 54.4


def names(image: Image) -> set[str]:
    return {member.name for _, member in image.own_members()}


def test_the_user_is_a_number_that_is_not_roots(image: Image) -> None:
    user, group = image.settings["User"].split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000


def test_the_image_says_how_it_starts_and_stops(image: Image) -> None:
    assert image.settings["Cmd"] == ["agent-app", "serve"]
    assert image.settings["StopSignal"] == "SIGTERM"
    assert image.settings["ExposedPorts"] == {"8000/tcp": {}}
    labels = image.settings["Labels"]
    assert {"org.opencontainers.image.title", "org.opencontainers.image.licenses"} <= set(labels)


def test_the_environment_holds_only_what_the_dockerfile_sets(image: Image) -> None:
    known = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "MALLOC_ARENA_MAX"}
    assert set(image.environment) == known


def test_no_layer_variable_label_or_line_of_history_tells_of_the_package_index(image: Image) -> None:
    assert INDEX_MARK not in str(image.config)
    assert "/run/secrets" not in str(image.config)
    for archive, member in image.own_members():
        assert "pip.conf" not in member.name
        assert "run/secrets" not in member.name
        if member.isfile():
            content = archive.extractfile(member)
            assert content is not None
            assert INDEX_MARK.encode() not in content.read(), member.name


def test_history_is_of_copies_and_settings_alone(image: Image) -> None:
    """A step that ran something would tell its arguments, and could leave files of its own behind."""
    own = [step["created_by"] for step in image.config["history"][1:]]
    assert own
    assert [step for step in own if not step.startswith("/bin/sh -c #(nop) ")] == []


def test_no_file_of_the_image_gives_or_takes_rights(image: Image) -> None:
    for _, member in image.own_members():
        assert (member.uid, member.gid) == (0, 0), member.name
        assert not member.mode & 0o6000, f"{member.name} is setuid or setgid"
        assert member.issym() or not member.mode & 0o002, f"{member.name} is writable for all"
        assert member.isfile() or member.isdir() or member.issym() or member.islnk(), member.name


def test_installers_tests_and_sources_stay_behind(image: Image) -> None:
    files = names(image)
    installed = {PACKAGES.sub("", name).partition("/")[0] for name in files if PACKAGES.match(name)}
    assert installed.isdisjoint({"pip", "setuptools", "wheel", "hatchling"})
    assert not [name for name in files if "/tests/" in name]
    assert not [name for name in files if name.startswith(("src", "opt/build", "root", "tmp"))]
    commands = {name.rpartition("/")[2] for name in files if re.match(r"opt/agent-app/bin/.", name)}
    assert {command for command in commands if not command.startswith("python")} == {"agent-app"}


def test_every_module_comes_with_bytecode_that_needs_no_check(image: Image) -> None:
    compiled: set[str] = set()
    sources: set[str] = set()
    for archive, member in image.own_members():
        if member.name.endswith(".pyc"):
            content = archive.extractfile(member)
            assert content is not None
            # After the magic number: 1 is "has a hash", 2 would be "compare it with the source".
            assert int.from_bytes(content.read(8)[4:], "little") == 1, member.name
            compiled.add(re.sub(r"__pycache__/([^/]+)\.cpython-\d+\.pyc$", r"\1.py", member.name))
        elif member.name.endswith(".py") and PACKAGES.match(member.name):
            sources.add(member.name)
    assert any(name.endswith("/agent_app/__main__.py") for name in sources)
    assert sources - compiled == set()


def test_the_image_is_small(image: Image) -> None:
    files = sum(member.size for _, member in image.own_members()) / 1e6
    pulled = sum(layer.stat().st_size for layer in image.layers[1:]) / 1e6
    assert files < OWN_MEGABYTES
    assert pulled < OWN_PULLED_MEGABYTES


def test_a_change_of_code_makes_one_small_layer_anew(builder: Builder, image: Image, tmp_path: Path) -> None:
    context = tmp_path / "agent_app"
    shutil.copytree(SOURCE, context, ignore=shutil.ignore_patterns("__pycache__"))
    with (context / "agent_app" / "__init__.py").open("a") as module:
        module.write("\nCHANGED = True\n")
    name = "localhost/agent-app:changed"
    builder.build(context, name)
    changed = builder.export(name, tmp_path / "layout")
    assert changed.diff_ids[:-1] == image.diff_ids[:-1]
    assert changed.diff_ids[-1] != image.diff_ids[-1]
    assert changed.layers[-1].stat().st_size < 1_000_000
    with tarfile.open(changed.layers[-1]) as layer:
        (module_name,) = [name for name in layer.getnames() if name.endswith("/agent_app/__init__.py")]
        content = layer.extractfile(module_name)
        assert content is not None
        assert b"CHANGED" in content.read()
