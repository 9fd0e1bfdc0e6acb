"""Which files of a directory a builder is sent, and what stands for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_infra.build_context import ContextError, Ignored, digest, stages


def of(source: Path) -> str:
    return digest(source, source / "Dockerfile", {})


def test_a_copy_elsewhere_has_the_same_digest(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "src").mkdir(parents=True)
    for name in ("Dockerfile", "src/main.py"):
        (copy / name).write_text((source / name).read_text())
    assert of(source) == of(copy)


@pytest.mark.parametrize(
    ("rules", "file", "ignored"),
    [
        ("*.log", "a.log", True),
        ("*.log", "src/a.log", False),
        ("**/*.log", "src/deep/a.log", True),
        ("# *.log", "a.log", False),
        ("/out", "out/a/b", True),
        ("out/", "out/a/b", True),
        ("out\n!out/keep", "out/keep", False),
        ("out\n!out/keep", "out/other", True),
        ("**\n!src", "b", True),
        ("a?c", "abc", True),
        ("a[0-9]", "a5", True),
        ("src/**", "src/x/y", True),
    ],
)
def test_what_the_builder_is_not_sent_changes_no_digest(
    source: Path, rules: str, file: str, ignored: bool
) -> None:
    (source / ".dockerignore").write_text(rules + "\n!.dockerignore\n")
    (source / file).parent.mkdir(parents=True, exist_ok=True)
    before = of(source)
    (source / file).write_text("something")
    assert (of(source) == before) is ignored


#: As moby/patternmatcher v0.6.0 answers; of 59,706 random pairs one differed, whose rule climbs out by `..`.
ANSWERS = [
    ("**b", "ab", True),
    ("**b", "x/ab/c", True),
    ("**/b", "ab", False),
    ("**/b", "b", True),
    ("a**", "a/x/y", True),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/*", "a", False),
    ("a/*", "a/b/c", True),
    ("a\\*", "a*", True),
    ("a\\*", "ab", False),
    ("[^a]", "b", True),
    ("[^a]", "a", False),
    ("a.b", "axb", False),
    ("c+", "c+", True),
    ("./a/../b", "b/x", True),
    ("*\n!a/b", "a/b/c", False),
    ("*\n!a/b\na/b/c", "a/b/c", True),
    ("!a\na", "a", True),
    ("# a\n a ", "a", True),
    (".", "a", False),
]


@pytest.mark.parametrize(("rules", "path", "ignored"), ANSWERS)
def test_rules_mean_what_they_mean_to_docker(rules: str, path: str, ignored: bool) -> None:
    assert Ignored(rules.splitlines())(path) is ignored


def test_a_dockerfiles_own_ignore_file_comes_first(source: Path) -> None:
    (source / ".dockerignore").write_text("src\n")
    (source / "Dockerfile.dockerignore").write_text("other\n")
    before = of(source)
    (source / "src" / "main.py").write_text("print(2)\n")
    assert of(source) != before


def test_the_dockerfile_counts_though_it_is_ignored(source: Path) -> None:
    (source / ".dockerignore").write_text("Dockerfile\n")
    before = of(source)
    (source / "Dockerfile").write_text("FROM busybox\n")
    assert of(source) != before


def test_modes_links_and_the_recipe_make_another_image(source: Path) -> None:
    seen = {of(source), digest(source, source / "Dockerfile", {"args": {"A": "1"}})}
    (source / "link").symlink_to("nowhere")
    seen.add(of(source))
    (source / "src" / "main.py").chmod(0o755)
    seen.add(of(source))
    (source / "src" / "main.py").chmod(0o640)
    seen.add(of(source))
    assert len(seen) == 5


def test_the_local_environments_own_directory_is_left_out(source: Path) -> None:
    before = of(source)
    (source / ".agent-infra" / "local").mkdir(parents=True)
    (source / ".agent-infra" / "local" / "state.json").write_text(json.dumps({}))
    assert of(source) == before


def test_what_cannot_be_read_is_named_with_the_way_out(source: Path) -> None:
    with pytest.raises(ContextError, match=r"nowhere: the build context cannot be read .*\.dockerignore"):
        digest(source, source / "nowhere", {})


def test_stages_are_found_by_their_names() -> None:
    text = """# syntax=docker/dockerfile:1
ARG BASE=python:3.11
FROM ${BASE} AS deps
# FROM nothing AS commented
RUN <<EOF
FROM here AS document
EOF
from --platform=linux/amd64 deps \\
  as Build
RUN echo FROM x AS y
FROM scratch
"""
    assert stages(text) == ["deps", "Build", None]


def test_a_dockerfile_may_escape_by_a_backtick() -> None:
    assert stages("# escape=`\nFROM a `\n AS one\nRUN dir C:\\\nFROM b AS two\n") == ["one", "two"]
