"""Deleting a protected environment deletes nothing, and says how to lift the protection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment, ProtectedEnvironment
from tests.engine.conftest import aws, change_settings, local_program

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi
from agent_infra import ArtifactStore, Registry

protect = pulumi.Config().require_bool("protect")
store = ArtifactStore("files", {"deletion_protection": protect})
Registry("images", {"deletion_protection": False})
pulumi.export("bucket", store.bucket)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with local_program(tmp_path, "shop", PROGRAM, protect="true") as made:
        yield made


def test_a_protected_environment_is_deleted_only_after_its_protection_was_lifted(
    environment: Environment,
) -> None:
    bucket = environment.up().outputs["bucket"]
    with pytest.raises(ProtectedEnvironment) as told:
        environment.destroy()
    assert told.value.protected == ("files",)
    for part in ("nothing was deleted", "files", "shop:protect: false", "Pulumi.local.yaml", "run `up`"):
        assert part in str(told.value)
    assert environment.up().changed == 0, "nothing was deleted"

    def lift(config: dict[str, Any]) -> None:
        config["shop:protect"] = "false"

    change_settings(environment.project, "local", lift)
    environment.up()
    assert bucket in [item["Name"] for item in aws(environment, "s3").list_buckets()["Buckets"]]
    environment.destroy()
    assert environment.outputs() == {}
