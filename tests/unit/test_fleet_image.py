"""A fleet's image: a ready one by its digest, or one that is built, pushed and deployed by its digest."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_infra import AgentFleet, ArgsError, ImageBuild
from agent_infra.fleet.references import moves, reference_problem
from tests.unit.recording import Recorded, Registered, record

IMAGE = "docker:index/image:Image"
BUILT = "docker-build:index:Image"
#: The extra; requirements.lock has it.
installed = pytest.mark.skipif(
    importlib.util.find_spec("pulumi_docker_build") is None, reason="pulumi-docker-build is not installed"
)
BUILDERS = ["docker", pytest.param("docker-build", marks=installed)]
DIGEST = f"sha256:{'0' * 64}"
REPOSITORY = "registry.example/agents"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM python AS deps\nFROM deps AS Final\n")
    (tmp_path / "a.py").write_text("1")
    return tmp_path


def later(value: str) -> Any:
    """An Output, which can only be made while a program runs."""
    return lambda: pulumi.Output.from_input(value)


def _now(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _now(item) for key, item in value.items()}
    return value() if callable(value) else value


def fleet(image: Any, **args: Any) -> Recorded:
    return record(lambda: AgentFleet("support", {"image": _now(image), **args}) and None)


def pods_image(recorded: Recorded) -> str:
    spec = recorded.one("kubernetes:apps/v1:Deployment").inputs["spec"]["template"]["spec"]
    return str(spec["containers"][0]["image"])


def build(source: Path, **said: Any) -> Any:
    return lambda: ImageBuild(**{"context": str(source), "repository_url": REPOSITORY, **_now(said)})


def built(source: Path, **said: Any) -> Registered:
    """The one resource that builds."""
    recorded = fleet(build(source, **said))
    return recorded.one(BUILT if said.get("builder") == "docker-build" else IMAGE)


def tag(source: Path, **said: Any) -> str:
    return str(built(source, **said).inputs["imageName"]).rpartition(":")[2]


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_built_image_is_deployed_by_its_digest(source: Path, builder: str) -> None:
    assert pods_image(fleet(build(source, builder=builder))) == f"{REPOSITORY}@{DIGEST}"


@pytest.mark.parametrize("builder", BUILDERS)
def test_no_preview_builds(source: Path, builder: str) -> None:
    assert built(source, builder=builder).inputs["buildOnPreview"] is False


@installed
def test_an_image_that_is_no_longer_built_stays_for_a_roll_back(source: Path) -> None:
    assert built(source, builder="docker-build").retained


def test_docker_gets_the_whole_recipe(source: Path) -> None:
    image = built(
        source,
        target="final",
        platforms=["linux/arm64"],
        arguments={"BASE_IMAGE": later("python@sha256:1")},
        cache_from=[f"{REPOSITORY}:last"],
        username="AWS",
        password=later("p4ss"),
    ).inputs
    assert image["build"] == {
        "context": str(source),
        "dockerfile": f"{source}/Dockerfile",
        "target": "final",
        "platform": "linux/arm64",
        "args": {"BASE_IMAGE": "python@sha256:1", "BUILDKIT_INLINE_CACHE": "1"},
        "cacheFrom": {"images": [f"{REPOSITORY}:last"]},
    }
    assert image["registry"] == {"server": "registry.example", "username": "AWS", "password": "p4ss"}


def test_a_tag_of_ones_own_is_the_cache_of_the_next_build(source: Path) -> None:
    image = built(source, tag="main").inputs
    assert image["imageName"] == f"{REPOSITORY}:main"
    assert image["build"]["cacheFrom"] == {"images": [f"{REPOSITORY}:main"]}
    assert "cacheFrom" not in built(source, tag="main", cache=False).inputs["build"]


@installed
def test_docker_build_gets_platforms_secrets_provenance_and_a_cache(source: Path) -> None:
    image = built(
        source,
        builder="docker-build",
        platforms=["linux/amd64", "linux/arm64"],
        secrets={"pip.conf": later("s3cret")},
        provenance=True,
        username="AWS",
        password=later("p4ss"),
    )
    inputs = image.inputs
    assert inputs["platforms"] == ["linux/amd64", "linux/arm64"]
    assert inputs["secrets"] == {"pip.conf": "s3cret"}
    assert "secrets" in image.secrets
    assert "s3cret" not in str({key: value for key, value in inputs.items() if key != "secrets"})
    assert inputs["ignoreSecretsInDiffCalculation"] == ["pip.conf"]
    assert inputs["exec"] is True
    assert inputs["push"] is True
    assert inputs["cacheFrom"] == [{"registry": {"ref": f"{REPOSITORY}:cache"}}]
    (cache,) = (item["registry"] for item in inputs["cacheTo"])
    assert cache["ref"] == f"{REPOSITORY}:cache"
    assert cache["mode"] == "max"
    assert cache["imageManifest"] and cache["ociMediaTypes"] and cache["ignoreError"]
    assert inputs["registries"] == [{"address": "registry.example", "username": "AWS", "password": "p4ss"}]


def test_a_tag_changes_whenever_the_builder_would_build_again(source: Path) -> None:
    seen = {
        tag(source),
        tag(source, target="deps"),
        tag(source, platforms=["linux/arm64"]),
        tag(source, arguments={"A": "1"}),
        tag(source, arguments={"A": "2"}),
        tag(source, cache_from=["a:1"]),
        tag(source, cache=False),
    }
    assert len(seen) == 7
    (source / "a.py").write_text("2")
    assert tag(source) not in seen


def test_a_file_that_is_not_sent_to_the_builder_changes_no_tag(source: Path) -> None:
    (source / ".dockerignore").write_text("**/__pycache__\n")
    before = tag(source)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("x")
    assert tag(source) == before


def test_docker_build_is_imported_only_when_it_is_asked_for() -> None:
    program = "import sys, agent_infra.fleet; sys.exit('pulumi_docker_build' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_docker_build_that_is_not_installed_is_told(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArgsError, match=r"image\.builder: .*pip install 'agent-infra\[docker-build\]'"):
        fleet(build(source, builder="docker-build"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"platforms": ["linux/amd64", "linux/arm64"]}, r"several platforms.*say `builder: docker-build`"),
        ({"secrets": {"pip.conf": later("x")}}, "build secrets cannot be had"),
        ({"provenance": True}, "provenance cannot be had from the builder `docker`"),
        ({"platforms": []}, "`platforms` names each platform once"),
        ({"platforms": ["linux/riscv64"]}, "linux/amd64"),
        ({"arguments": {"NPM_TOKEN": "x"}}, r"arguments NPM_TOKEN look secret.*`secrets`"),
        ({"arguments": {"db_password": later("x")}}, "arguments db_password look secret"),
        ({"arguments": {"AWS_SECRET_ACCESS_KEY": "x"}}, "look secret"),
        ({"arguments": {"PIP_INDEX_URL": "https://me:p4ssw0rd@pypi.example/simple"}}, "PIP_INDEX_URL look"),
        ({"arguments": {"A": "ghp_0123456789abcdef0123"}}, "arguments A look secret"),
        ({"secrets": {"a,src=/etc/shadow": later("x")}}, "the `id` of the Dockerfile's"),
        ({"cache_from": ["https://registry.example/a"]}, "leave https:// out"),
        ({"tag": "-x"}, "letters, digits, _ . and -"),
    ],
)
def test_a_build_that_is_impossible_is_told_when_it_is_said(
    source: Path, said: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told) as raised:
        fleet(build(source, **said))
    assert "p4ssw0rd" not in str(raised.value)
    assert "0123456789abcdef" not in str(raised.value)


def test_numbers_of_tokens_and_public_addresses_are_no_secrets(source: Path) -> None:
    harmless = {
        "MAX_TOKENS": "1",
        "TOKEN_LIMIT": "2",
        "TOKENIZER": "a",
        "INDEX": "https://pypi.example:8443/s",
    }
    assert built(source, arguments=harmless).inputs["build"]["args"].items() >= harmless.items()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"context": "nowhere"}, r"image\.context: nowhere is no directory; say one"),
        ({"dockerfile": "Docker"}, r"image\.dockerfile: there is no file .*Docker; say .*: Dockerfile"),
        ({"target": "prod"}, r"image\.target: .* has no stage 'prod'; it has deps, Final"),
        ({"target": "2"}, "has no stage '2'"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_made(
    source: Path, said: dict[str, Any], told: str
) -> None:
    with pytest.raises(ArgsError, match=told):
        fleet(build(source, **said))


def test_a_stage_may_be_said_by_its_number(source: Path) -> None:
    assert built(source, target="1").inputs["build"]["target"] == "1"


def test_local_environments_are_never_sent_to_a_builder(source: Path) -> None:
    (source / ".agent-infra").mkdir()
    with pytest.raises(ArgsError, match=r"add \.agent-infra to .*\.dockerignore"):
        fleet(build(source))
    (source / ".dockerignore").write_text(".agent-infra\n")
    fleet(build(source))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("agents", "agents has no tag, which means :latest, and no digest"),
        ("registry.example:5000/agents", "crane digest registry.example:5000/agents:latest"),
        ("agents:latest", "say agents@sha256:..., as `docker buildx imagetools inspect agents:latest`"),
        ("agents:1.2.3", "agents:1.2.3 has a tag and no digest"),
        ("Agents:1", "the repository in lower case"),
        ("https://registry.example/agents", "leave https:// out"),
        ("agents@sha256:abc", "a digest is sha256: and 64 hexadecimal digits"),
        ("", "say [registry/]repository"),
    ],
)
def test_a_reference_that_is_wrong_or_moves_is_told_with_the_way_out(image: str, told: str) -> None:
    with pytest.raises(ArgsError) as raised:
        fleet(image)
    assert told in str(raised.value)


def test_a_tag_is_taken_where_it_is_asked_for() -> None:
    assert pods_image(fleet("agents:1", require_digest=False)) == "agents:1"


def test_a_reference_that_only_the_update_knows_needs_a_digest_too() -> None:
    with pytest.raises(Exception, match="agents:1 has a tag and no digest"):
        fleet(later("agents:1"))
    assert pods_image(fleet(later(f"agents@{DIGEST}"))) == f"agents@{DIGEST}"


_PARTS = st.from_regex(r"[a-z0-9]{1,9}([._-][a-z0-9]{1,9})?", fullmatch=True)


@given(
    server=st.sampled_from(["", "localhost/", "localhost:5000/", "registry.example/", "10.0.0.1:80/"]),
    path=st.lists(_PARTS, min_size=1, max_size=4),
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    digest=st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)
def test_every_reference_of_the_grammar_is_taken(
    server: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    text = server + "/".join(path) + (f":{tag}" if tag else "") + (f"@sha256:{digest}" if digest else "")
    assert reference_problem(text) is None
    assert moves(text) is (digest is None)
