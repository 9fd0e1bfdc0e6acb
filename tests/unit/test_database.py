"""`Database`: encrypted, backed up, over TLS alone."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from agent_infra import (
    ArgsError,
    Database,
)
from tests.unit.components import PLACED
from tests.unit.recording import Recorded, record


def database(**args: Any) -> Recorded:
    def program() -> Any:
        made = Database("it", {**PLACED, **args})
        return pulumi.Output.all(made.url, made.secret_arn)

    return record(program, stack="prod")


def test_a_database_is_one_instance_with_a_standby_by_default() -> None:
    recorded = database()
    inputs = recorded.one("aws:rds/instance:Instance").inputs
    assert inputs["multiAz"] is True
    assert inputs["storageEncrypted"] is True
    assert inputs["manageMasterUserPassword"] is True
    assert inputs["publiclyAccessible"] is False
    assert inputs["deletionProtection"] is True
    assert inputs["finalSnapshotIdentifier"] == "it-prod-final"
    assert "password" not in inputs
    assert recorded.result[0] == "postgresql://it.rds.amazonaws.com:5432/agents?sslmode=require"
    assert recorded.result[1].endswith("-master")


def test_aurora_pauses_when_it_may_go_down_to_nothing() -> None:
    recorded = database(mode="aurora-serverless", min_capacity=0, max_capacity=2)
    assert recorded.one("aws:rds/cluster:Cluster").inputs["serverlessv2ScalingConfiguration"] == {
        "minCapacity": 0,
        "maxCapacity": 2,
        "secondsUntilAutoPause": 300,
    }
    assert recorded.one("aws:rds/clusterInstance:ClusterInstance").inputs["instanceClass"] == "db.serverless"
    awake = database(mode="aurora-serverless", min_capacity=0.5).one("aws:rds/cluster:Cluster").inputs
    assert "secondsUntilAutoPause" not in awake["serverlessv2ScalingConfiguration"]


@pytest.mark.parametrize(
    ("mode", "type"),
    [
        ("instance", "aws:rds/parameterGroup:ParameterGroup"),
        ("aurora-serverless", "aws:rds/clusterParameterGroup:ClusterParameterGroup"),
    ],
)
def test_every_database_refuses_connections_without_tls(mode: str, type: str) -> None:
    parameters = database(mode=mode).one(type).inputs["parameters"]
    assert parameters == [{"name": "rds.force_ssl", "value": "1"}]


def test_without_protection_nothing_outlives_the_database() -> None:
    inputs = database(deletion_protection=False).one("aws:rds/instance:Instance").inputs
    assert inputs["deletionProtection"] is False
    assert inputs["skipFinalSnapshot"] is True
    assert "finalSnapshotIdentifier" not in inputs


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"min_capacity": 8, "max_capacity": 4}, "min_capacity 8 is above max_capacity 4"),
        ({"storage_gib": 100, "max_storage_gib": 105}, "say 110 or more"),
        ({"mode": "aurora"}, "mode: 'aurora' is wrong: input should be 'aurora-serverless' or 'instance'"),
        ({"engine_version": "sixteen"}, 'such as "16"'),
        ({"vpc_id": 3}, "vpc_id: 3 is wrong: input should be a valid string"),
    ],
)
def test_an_impossible_database_is_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        database(**args)
    assert said in str(raised.value)
