"""What a changed argument does to a deployed environment: updates, replacements, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment
from tests.engine.conftest import Steps, aws, change_settings, local_program

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]

PROGRAM = """
import pulumi
from agent_infra import Network, WorkQueue

config = pulumi.Config()
cidr = config.require("cidr")
network = Network("net", {"cidr": cidr, "zones": 2, "nat": "none", "flow_log_retention_days": None})
queue = WorkQueue(
    "tasks", {"task_timeout": config.require_int("task_timeout"), "deletion_protection": False}
)
pulumi.export("vpc_id", network.vpc_id)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with local_program(tmp_path, "changes", PROGRAM, cidr="10.0.0.0/16", task_timeout="60") as made:
        yield made


def test_a_changed_argument_updates_or_replaces_just_what_it_must(environment: Environment) -> None:
    def changed(**values: str) -> set[tuple[str, str]]:
        def change(config: dict[str, Any]) -> None:
            config.update({f"changes:{name}": value for name, value in values.items()})

        change_settings(environment.project, "local", change)
        steps = Steps()
        environment.up(listener=steps)
        return {(op, kind.rpartition(":")[2]) for op, kind in steps.types()}

    before = environment.up().outputs
    assert changed(task_timeout="120") == {("update", "Queue")}
    operations = changed(cidr="10.1.0.0/16")
    assert ("create-replacement", "Vpc") in operations
    assert ("delete-replaced", "Vpc") in operations
    assert not {op for op, kind in operations if kind.startswith("Queue")}
    after = environment.up()
    assert after.changed == 0
    assert after.outputs["vpc_id"] != before["vpc_id"]
    vpcs = aws(environment, "ec2").describe_vpcs()["Vpcs"]
    assert [vpc["VpcId"] for vpc in vpcs if not vpc["IsDefault"]] == [after.outputs["vpc_id"]]
    environment.destroy()
