"""What every kind of fleet makes is what Kubernetes takes, in its last three minor versions."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it ships no types
import pytest
from kubernetes_validate import utils

from agent_infra.fleet.args import AgentFleetArgs
from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.kubernetes import KubernetesStandin
from agent_infra.local.standins.kubernetes.custom import has_schema
from agent_infra.local.standins.kubernetes.kinds import parse
from tests.unit.fleet_examples import FLEETS, objects
from tests.unit.fleet_objects import Object

MINORS = [minor for minor, _ in groupby(utils.all_versions(), utils.major_minor)][-3:]


@pytest.fixture(autouse=True)
def schemas_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "schema_contents", _schema_contents)


@functools.cache
def _schema_contents(filename: str, version: str) -> Any:
    return _READ(filename, version)


_READ = utils.schema_contents


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KubernetesStandin:
    monkeypatch.delenv("AGENT_INFRA_KUBECONFIG", raising=False)
    made = KubernetesStandin(LocalEnvironment(tmp_path / "env"))
    made.configure({"kubeconfig": "the simulated cluster's"})
    return made


def custom(made: Object) -> bool:
    return not parse(_token(made)).built_in


def _token(made: Object) -> str:
    version = made["apiVersion"]
    return f"kubernetes:{version if '/' in version else f'core/{version}'}:{made['kind']}"


@pytest.mark.parametrize("name", FLEETS)
def test_kubernetes_takes_every_object(name: str, standin: KubernetesStandin) -> None:
    made = objects(name)
    assert {each["kind"] for each in made} >= {"Deployment", "Service", "ServiceAccount"}
    for each in made:
        where = f"{each['kind']} {each['metadata']['name']}"
        if custom(each):
            group, _, _ = each["apiVersion"].partition("/")
            assert has_schema(group, each["kind"]), f"nothing checks the fields of {where}"
        else:
            for minor in MINORS:
                assert kubernetes_validate.validate(each, minor, strict=True) == minor, where
        # Names, labels, selectors and quantities, and the custom kinds' own schemas.
        assert standin.check(_token(each), name, {}, each)


def test_the_check_finds_what_kubernetes_refuses() -> None:
    (deployment,) = [each for each in objects("minimal") if each["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["nodeSelektor"] = {}
    with pytest.raises(utils.ValidationError, match="nodeSelektor"):
        kubernetes_validate.validate(deployment, MINORS[-1], strict=True)


def _said(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{at}{key}"
            yield from _said(item, f"{at}{key}.")


#: What makes no difference to the kinds and fields of objects, or is checked by what it is merged into.
_NOT_SHOWN = {
    "image",
    "fleet_name",
    "namespace",
    "part_of",
    "environment_name",
    "tags",
    "extra_policy_statements",
    "require_digest",
    "image_platforms",
    "llm_secret_kms_key_arn",
    "api_keys_secret_kms_key_arn",
}


def test_every_option_is_shown_by_one_of_the_fleets() -> None:
    shown = {option for fleet in FLEETS.values() for option in _said(fleet)}
    missing = set(AgentFleetArgs.model_fields) - shown - _NOT_SHOWN
    assert not missing, f"add a fleet with {sorted(missing)} to tests/unit/fleet_examples.py"
