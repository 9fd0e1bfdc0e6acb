"""An environment's images, as its settings say them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_infra import AgentPlatform, AgentPlatformArgs, ArgsError, Settings, SettingsError, secret_variables
from tests.unit.components import as_text
from tests.unit.recording import Recorded, record

ROOT = Path(__file__).parents[2]
IMAGE = "docker:index/image:Image"
BUILT = "docker-build:index:Image"
REPOSITORY = "aws:ecr/repository:Repository"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
PINNED = f"registry.example/agents@sha256:{'1' * 64}"


def settings(**said: Any) -> Settings:
    values = {"aws:region": "eu-central-1", **{f"agent-infra:{key}": value for key, value in said.items()}}
    return Settings.load({key: as_text(value) for key, value in values.items()}, "prod")


def platform(variables: Mapping[str, str] | None = None, **said: Any) -> Recorded:
    loaded = settings(**said)

    def program() -> Any:
        args = AgentPlatformArgs(
            settings=loaded, project_dir=str(ROOT), variables=secret_variables(loaded, variables or {})
        )
        return AgentPlatform("agents", args).outputs["fleets"]

    return record(program)


def pods_images(recorded: Recorded) -> dict[str, str]:
    return {
        item.name: item.inputs["spec"]["template"]["spec"]["containers"][0]["image"]
        for item in recorded.of(DEPLOYMENT)
    }


def test_fleets_that_name_an_image_share_one_build_and_one_repository() -> None:
    recorded = platform(
        images={"agent": {"context": "agent_app"}},
        fleets={name: {"image": "agent"} for name in ("a", "b", "c")},
    )
    assert recorded.one(IMAGE).name == "agents-agent-image"
    assert recorded.one(REPOSITORY).name == "agents-agent-images"
    images = pods_images(recorded)
    assert set(images) == {"a", "b", "c"}
    (digest,) = set(images.values())
    assert "/agents-agent-images@sha256:" in digest
    assert {fleet["image"] for fleet in recorded.result.values()} == {digest}


def test_pods_of_a_shared_image_go_to_the_nodes_that_it_is_built_for() -> None:
    build = {"context": "agent_app", "platforms": ["linux/arm64"]}
    recorded = platform(images={"agent": build}, fleets={"a": {"image": "agent"}, "b": {"image": PINNED}})
    of_a, of_b = (
        recorded.one(DEPLOYMENT, name).inputs["spec"]["template"]["spec"].get("nodeSelector", {})
        for name in "ab"
    )
    assert of_a["kubernetes.io/arch"] == "arm64"
    assert "kubernetes.io/arch" not in of_b


def test_an_image_that_no_fleet_names_is_not_built() -> None:
    recorded = platform(images={"agent": {"context": "agent_app"}}, fleets={"a": {"image": PINNED}})
    assert recorded.of(IMAGE) == []
    assert recorded.of(REPOSITORY) == []
    assert pods_images(recorded) == {"a": PINNED}


def test_docker_build_by_settings_has_its_secrets_and_a_cache_that_may_move() -> None:
    build = {
        "context": "agent_app",
        "builder": "docker-build",
        "platforms": ["linux/amd64", "linux/arm64"],
        "secrets": {"pip.conf": "PIP_CONF"},
    }
    recorded = platform({"PIP_CONF": "s3cret"}, images={"agent": build}, fleets={"a": {"image": "agent"}})
    image = recorded.one(BUILT)
    assert image.inputs["secrets"] == {"pip.conf": "s3cret"}
    assert "secrets" in image.secrets
    assert image.inputs["platforms"] == ["linux/amd64", "linux/arm64"]
    repository = recorded.one(REPOSITORY).inputs
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert repository["imageTagMutabilityExclusionFilters"] == [{"filter": "cache", "filterType": "WILDCARD"}]


def test_without_a_cache_no_tag_ever_moves() -> None:
    build = {"context": "agent_app", "builder": "docker-build", "cache": False}
    recorded = platform(images={"agent": build}, fleets={"a": {"image": "agent"}})
    repository = recorded.one(REPOSITORY).inputs
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert "imageTagMutabilityExclusionFilters" not in repository


def test_all_that_cannot_be_built_is_told_at_once() -> None:
    builds = {
        "one": {"context": "agnt_app"},
        "two": {"context": "agent_app", "target": "prod"},
        "three": {"context": "agent_app", "builder": "docker-build", "secrets": {"pip.conf": "PIP_CONF"}},
    }
    with pytest.raises(ArgsError) as raised:
        platform(images=builds, fleets={"a": {"image": "one"}, "b": {"image": {"context": "agent_ap"}}})
    told = str(raised.value)
    assert "images.one.context: " in told
    assert "images.two.target: " in told and "it has dependencies, service" in told
    assert "images.three.secrets.pip.conf: the environment variable PIP_CONF is not set" in told
    assert "fleets.b.image.context: " in told


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"fleets": {"a": {"image": "agents:latest"}, "b": {"image": "agents"}}},
            r"(?s)fleets\.a\.image: agents:latest has a tag and no digest.*crane digest agents:latest.*"
            r"fleets\.b\.image: agents has no tag.*`protect: false` takes tags",
        ),
        (
            {"images": {"agent": {"context": "agent_app"}}, "fleets": {"a": {"image": "agnt"}}},
            r"fleets\.a\.image: 'agnt' is not known; did you mean 'agent'\?",
        ),
        (
            {
                "images": {"a": {"context": "agent_app"}},
                "fleets": {"a": {"image": {"context": "agent_app"}}},
            },
            r"fleets\.a\.image: it is built into the repository that images\.a has; rename one",
        ),
        (
            {
                "images": {"agent": {"context": "agent_app", "platforms": ["linux/arm64"]}},
                "fleets": {"a": {"image": "agent", "placement": {"architecture": "amd64"}}},
            },
            r"fleets\.a\.placement: .*is amd64, and the image is built for arm64; build it for linux/amd64",
        ),
        ({"fleets": {"a": {"image": "Agents:1"}}}, r"fleets\.a\.image: 'Agents:1' is wrong: .*lower case"),
        (
            {"images": {"a": {"context": "x", "platforms": ["linux/amd64", "linux/arm64"]}}},
            r"images\.a: several platforms .*`builder: docker-build`",
        ),
        (
            {"images": {"a": {"context": "x", "arguments": {"API_KEY": "hidden"}}}},
            r"images\.a: arguments API_KEY look secret",
        ),
        (
            {"images": {"a": {"context": "x", "builder": "docker-build", "secrets": {"k": "not-a-name"}}}},
            r"images\.a\.secrets\.k: is wrong: say letters, digits and underscores",
        ),
    ],
)
def test_wrong_images_are_told_with_their_keys(said: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as raised:
        settings(**said)
    assert "hidden" not in str(raised.value)


def test_an_environment_without_protection_takes_tags() -> None:
    recorded = platform(protect="false", fleets={"a": {"image": "agents:1"}})
    assert pods_images(recorded) == {"a": "agents:1"}
