"""`RedisCache`: encrypted, behind a password, in more than one zone."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from agent_infra import (
    RedisCache,
)
from tests.unit.components import PLACED
from tests.unit.recording import Recorded, record


@pytest.fixture(scope="module")
def cache() -> Recorded:
    def program() -> Any:
        made = RedisCache("it", PLACED)
        return pulumi.Output.all(made.url, made.secret_arn)

    return record(program)


def test_the_cache_is_encrypted_and_outlives_a_zone(cache: Recorded) -> None:
    group = cache.one("aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["engine"] == "valkey"
    assert group.inputs["transitEncryptionEnabled"] is True
    assert group.inputs["atRestEncryptionEnabled"] is True
    assert group.inputs["multiAzEnabled"] is True
    assert group.protect is True


def test_the_password_is_drawn_once_kept_secret_and_read_back_from_where_it_is_stored(
    cache: Recorded,
) -> None:
    version = cache.one("aws:secretsmanager/secretVersion:SecretVersion")
    assert json.loads(version.inputs["secretString"]) == {"password": "drawn-password"}
    assert version.ignore_changes == ["secretString"]
    group = cache.one("aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["authToken"] == "drawn-password"
    assert "secretString" in version.secrets
    assert "authToken" in group.secrets
    assert cache.result[0] == "rediss://it.cache.amazonaws.com:6379/0"


def test_only_the_clients_may_connect(cache: Recorded) -> None:
    rule = cache.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == ("sg-cluster", 6379, 6379)
    group = cache.one("aws:ec2/securityGroup:SecurityGroup").inputs
    assert "ingress" not in group
    assert "egress" not in group
