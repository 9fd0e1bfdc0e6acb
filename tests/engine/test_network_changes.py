"""What more settings do to a deployed network, bucket and repository: nothing is replaced or deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_infra.automation import Environment
from tests.engine.conftest import Steps, aws, local_program

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("examples")]

DEFAULTS = """
import pulumi
from agent_infra import ArtifactStore, Network, Registry

Network("net", {"zones": 2})
ArtifactStore("files", {"deletion_protection": False})
Registry("images", {"deletion_protection": False})
pulumi.export("made", True)
"""

MORE = """
import pulumi
import pulumi_aws as aws
from agent_infra import ArtifactStore, Network, Registry

key = aws.kms.Key("key", enable_key_rotation=True).arn
Network(
    "net",
    {
        "zones": 3,
        "nat": "per-zone",
        "gateway_endpoints": ["s3", "dynamodb"],
        "interface_endpoints": ["sts"],
        "cluster_name": "agents",
        "subnet_tags": {"public": {"tier": "edge"}},
        "kms_key_arn": key,
        "alarms": {},
    },
)
logs = ArtifactStore("logs", {"receives_access_logs": True, "deletion_protection": False})
ArtifactStore(
    "files",
    {
        "kms_key_arn": key,
        "transition": "glacier-ir",
        "access_log_bucket": logs.bucket,
        "deletion_protection": False,
    },
)
Registry("images", {"kms_key_arn": key, "pull_accounts": ["111122223333"], "deletion_protection": False})
pulumi.export("made", True)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with local_program(tmp_path, "growing") as made:
        yield made


def test_more_settings_replace_and_delete_nothing(environment: Environment) -> None:
    def up(program: str) -> set[tuple[str, str]]:
        (environment.project.root / "__main__.py").write_text(program)
        steps = Steps()
        environment.up(listener=steps)
        return {(op, kind.rpartition(":")[2]) for op, kind in steps.types()}

    up(DEFAULTS)
    grown = up(MORE)
    assert {op for op, _ in grown} == {"create", "update"}, grown
    updated = {kind for op, kind in grown if op == "update"}
    assert updated == {
        "BucketLifecycleConfiguration",
        "BucketServerSideEncryptionConfiguration",
        "LogGroup",
        "Route",
        "Subnet",
        "VpcEndpoint",
    }
    assert up(MORE) == set()
    (repository,) = aws(environment, "ecr").describe_repositories()["repositories"]
    assert repository["encryptionConfiguration"]["encryptionType"] == "AES256", "as it was made"
    environment.destroy()
