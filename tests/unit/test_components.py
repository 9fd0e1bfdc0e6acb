"""What holds for every component on AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_infra import (
    ArtifactStore,
    Database,
    EksCluster,
    Network,
    RedisCache,
    Registry,
    Secrets,
    WorkQueue,
)
from tests.unit.components import PLACED, made


@pytest.mark.parametrize(
    ("component", "type", "count"),
    [
        (WorkQueue, "aws:sqs/queuePolicy:QueuePolicy", 2),
        (ArtifactStore, "aws:s3/bucketPolicy:BucketPolicy", 1),
    ],
)
def test_whoever_comes_without_tls_is_refused(component: Any, type: str, count: int) -> None:
    policies = made(component, {}).of(type)
    assert len(policies) == count
    for item in policies:
        (statement,) = json.loads(item.inputs["policy"])["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("component", "args"),
    [
        (Network, {}),
        (EksCluster, {"subnet_ids": ["a", "b"]}),
        (RedisCache, PLACED),
        (Database, PLACED),
        (WorkQueue, {}),
        (Secrets, {"values": {"llm": None}, "encryption": "own-key"}),
        (Registry, {}),
        (ArtifactStore, {}),
    ],
)
def test_every_taggable_child_carries_the_components_tags_and_is_its_child(
    component: Any, args: dict[str, Any]
) -> None:
    recorded = made(component, {**args, "tags": {"team": "support"}})
    children = [item for item in recorded.resources if item.type.startswith("aws:")]
    assert {item.parent for item in children} == {"it"}
    tagged = [item for item in children if "tags" in item.inputs]
    assert tagged
    for item in tagged:
        assert item.inputs["tags"]["team"] == "support"
        assert item.inputs["tags"]["managed-by"] == "agent-infra"


@pytest.mark.parametrize(
    ("component", "args", "types"),
    [
        (RedisCache, PLACED, ["aws:elasticache/replicationGroup:ReplicationGroup"]),
        (
            RedisCache,
            {**PLACED, "serverless": {}},
            ["aws:elasticache/serverlessCache:ServerlessCache"],
        ),
        (Database, PLACED, ["aws:rds/instance:Instance"]),
        (
            Database,
            {**PLACED, "mode": "aurora-serverless"},
            ["aws:rds/cluster:Cluster", "aws:rds/clusterInstance:ClusterInstance"],
        ),
        (ArtifactStore, {}, ["aws:s3/bucket:Bucket"]),
        (Registry, {}, ["aws:ecr/repository:Repository"]),
        (WorkQueue, {}, ["aws:sqs/queue:Queue"]),
    ],
)
def test_what_holds_data_is_protected_unless_it_was_said_otherwise(
    component: Any, args: dict[str, Any], types: list[str]
) -> None:
    for protection in (True, False):
        recorded = made(component, args if protection else {**args, "deletion_protection": False})
        assert {item.protect for type in types for item in recorded.of(type)} == {protection}
