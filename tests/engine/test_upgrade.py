"""An environment that the previous release deployed is upgraded to today's, and loses nothing."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment, Project
from tests.engine.conftest import ROOT, Steps, change_settings, copy_project, end_all

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

PREVIOUS = Path(__file__).parent / "previous" / "agent_infra-0.1.0.zip"

#: What may be made anew: it holds nothing, and nobody is cut off while it is changed.
HOLDS_NOTHING = {
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    # Workers are scaled by KEDA's own autoscaler now, and the pods hold their settings themselves.
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    "kubernetes:core/v1:ConfigMap",
}

#: Workers scale by their queue now: where one of the first was, there is one of the second by the same name.
SCALED_BY = (
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    "kubernetes:keda.sh/v1alpha1:ScaledObject",
)


def previous_project(to: Path) -> Project:
    """A project whose program runs with the previous release's components and settings."""
    project = copy_project(to)
    with zipfile.ZipFile(PREVIOUS) as archive:
        archive.extractall(to / "previous")
    for name in ("dev", "prod"):
        shutil.copy(to / "previous" / f"Pulumi.{name}.yaml", to)
        # The processes are today's service, which wants API keys that the previous program did not make.
        change_settings(project, name, _without_keys)
    program = (to / "previous" / "stacks" / "__main__.py").read_text()
    first = "from __future__ import annotations\n"
    here = f"import sys\nsys.path.insert(0, {str(to / 'previous')!r})\n"
    (to / "stacks" / "__main__.py").write_text(program.replace(first, first + here))
    return project


def _without_keys(config: dict[str, Any]) -> None:
    for fleet in config["agent-infra:fleets"].values():
        fleet["environment"] = {"AGENT_APP_ENVIRONMENT": "local"}


def todays_project(to: Path) -> None:
    for name in ("Pulumi.dev.yaml", "Pulumi.prod.yaml", "stacks/__main__.py"):
        shutil.copy(ROOT / name, to / name)


def ids(environment: Environment) -> dict[tuple[str, str], str]:
    """Every resource of the state by its type and name, with its physical id."""
    assert environment.local is not None
    (state,) = (environment.local.root / "state").rglob(f"{environment.name}.json")
    resources: list[dict[str, Any]] = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
    return {
        (item["type"], item["urn"].rsplit("::", 1)[-1]): item["id"] for item in resources if item.get("id")
    }


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_an_upgrade_from_the_previous_release_replaces_nothing_that_holds_data(
    name: str, tmp_path: Path
) -> None:
    project = previous_project(tmp_path)
    environment = Environment.open(name, project=project, rehearse=True)
    try:
        environment.up()
        before = ids(environment)
        assert ("aws:s3/bucket:Bucket", "agents-storage") in before
        keys = ("aws:secretsmanager/secret:Secret", "agents-secrets-support-api-keys")
        assert keys not in before
        todays_project(tmp_path)
        steps = Steps()
        environment.up(listener=steps)
        lost = {step for step in steps.types() if step[0] not in {"create", "update"}}
        assert {kind for _op, kind in lost} <= {*HOLDS_NOTHING, SCALED_BY[0]}, sorted(lost)
        after = ids(environment)
        succeeded = {key for key in before.keys() - after.keys() if key[0] == SCALED_BY[0]}
        assert all((SCALED_BY[1], name) in after and name.endswith("-worker") for _kind, name in succeeded)
        kept = {key: id for key, id in before.items() if key[0] not in HOLDS_NOTHING and key not in succeeded}
        assert {key: after.get(key) for key in kept} == kept
        assert keys in after
        assert environment.up().changed == 0
        environment.destroy()
    finally:
        end_all(project)
