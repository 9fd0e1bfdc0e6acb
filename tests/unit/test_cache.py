"""`RedisCache`: encrypted, behind a user with a password, in more than one zone."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from agent_infra import ArgsError, RedisCache
from tests.unit.components import KEY, PLACED, made
from tests.unit.recording import Recorded, record

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
SERVERLESS = "aws:elasticache/serverlessCache:ServerlessCache"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def cache_of(**args: Any) -> Recorded:
    return made(RedisCache, {**PLACED, **args})


@pytest.fixture(scope="module")
def cache() -> Recorded:
    def program() -> Any:
        made = RedisCache("it", PLACED)
        return pulumi.Output.all(made.url, made.secret_arn, made.reader_endpoint)

    return record(program)


def test_the_cache_is_encrypted_and_outlives_a_zone(cache: Recorded) -> None:
    group = cache.one(GROUP)
    assert group.inputs["engine"] == "valkey"
    assert group.inputs["transitEncryptionEnabled"] is True
    assert group.inputs["atRestEncryptionEnabled"] is True
    assert group.inputs["multiAzEnabled"] is True
    assert group.inputs["automaticFailoverEnabled"] is True
    assert group.inputs["autoMinorVersionUpgrade"] is True
    assert group.protect is True


def test_snapshots_are_taken_daily_and_one_is_left_behind(cache: Recorded) -> None:
    inputs = cache.one(GROUP).inputs
    assert inputs["snapshotRetentionLimit"] == 7
    assert inputs["finalSnapshotIdentifier"] == "it-test-final"


def test_the_password_is_drawn_once_kept_secret_and_read_back_from_where_it_is_stored(
    cache: Recorded,
) -> None:
    version = cache.one("aws:secretsmanager/secretVersion:SecretVersion")
    assert json.loads(version.inputs["secretString"]) == {"password": "drawn-password"}
    assert version.ignore_changes == ["secretString"]
    assert "secretString" in version.secrets
    user = cache.one("aws:elasticache/user:User")
    assert user.inputs["passwords"] == ["drawn-password"]
    assert "passwords" in user.secrets
    assert cache.result[0] == "rediss://it.cache.amazonaws.com:6379/0"


def test_who_logs_in_is_a_user_with_a_password_who_may_not_administer(cache: Recorded) -> None:
    user = cache.one("aws:elasticache/user:User").inputs
    assert (user["userName"], user["userId"]) == ("default", "it-test-user")
    assert user["accessString"] == "on ~* &* +@all -@admin -@dangerous +info"
    group = cache.one("aws:elasticache/userGroup:UserGroup").inputs
    assert group["userIds"] == ["it-test-user"]
    inputs = cache.one(GROUP).inputs
    assert inputs["userGroupIds"] == [group["userGroupId"]]
    assert "authToken" not in inputs


def test_a_cache_that_had_a_token_gives_it_up_in_the_same_change(cache: Recorded) -> None:
    assert cache.one(GROUP).inputs["authTokenUpdateStrategy"] == "DELETE"


def test_only_the_clients_may_connect(cache: Recorded) -> None:
    rule = cache.one("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == ("sg-cluster", 6379, 6379)
    group = cache.one("aws:ec2/securityGroup:SecurityGroup").inputs
    assert "ingress" not in group
    assert "egress" not in group


def test_it_is_in_the_subnets_that_were_said_and_not_in_the_default_ones(cache: Recorded) -> None:
    assert cache.one("aws:elasticache/subnetGroup:SubnetGroup").inputs["subnetIds"] == PLACED["subnet_ids"]
    assert cache.one(GROUP).inputs["subnetGroupName"] == "it"


def test_parameters_are_in_a_group_of_the_engines_family() -> None:
    recorded = cache_of(parameters={"maxmemory-policy": "allkeys-lru"})
    group = recorded.one("aws:elasticache/parameterGroup:ParameterGroup")
    assert (group.name, group.inputs["family"]) == ("it-valkey8", "valkey8")
    assert group.inputs["parameters"] == [{"name": "maxmemory-policy", "value": "allkeys-lru"}]
    assert recorded.one(GROUP).inputs["parameterGroupName"] == "it-valkey8"


def test_another_version_of_the_password_is_another_password_for_secret_and_user() -> None:
    recorded = cache_of(password_version=2)
    version = recorded.one("aws:secretsmanager/secretVersion:SecretVersion")
    assert version.name == "it-password-2"
    assert recorded.one("aws:elasticache/user:User").inputs["passwords"] == ["drawn-password"]


def test_a_small_node_is_watched_by_its_own_limit_of_connections() -> None:
    def threshold(node_type: str) -> float:
        alarms = cache_of(node_type=node_type, alarms={}).of(ALARM)
        (found,) = {item.inputs["threshold"] for item in alarms if "connections" in item.name}
        return float(found)

    assert threshold("cache.t4g.small") == 16_000
    assert threshold("cache.m7g.large") == 52_000


def test_redis_can_be_chosen() -> None:
    recorded = cache_of(engine="redis", engine_version="7.1")
    assert recorded.one(GROUP).inputs["engine"] == "redis"
    assert recorded.one("aws:elasticache/user:User").inputs["engine"] == "redis"
    assert recorded.one("aws:elasticache/parameterGroup:ParameterGroup").inputs["family"] == "redis7"


def test_a_version_that_is_newer_than_this_library_is_passed_on() -> None:
    assert cache_of(engine_version="10.1").one(GROUP).inputs["engineVersion"] == "10.1"


def test_what_it_was_restored_from_is_looked_at_once() -> None:
    group = cache_of(restore_snapshot="before-the-fire").one(GROUP)
    assert group.inputs["snapshotName"] == "before-the-fire"
    assert group.ignore_changes == ["snapshotName"]


def test_logs_are_kept_where_it_was_asked_for() -> None:
    recorded = cache_of(log_retention_days=30)
    deliveries = recorded.one(GROUP).inputs["logDeliveryConfigurations"]
    assert {item["logType"] for item in deliveries} == {"engine-log", "slow-log"}
    assert {item.inputs["retentionInDays"] for item in recorded.of("aws:cloudwatch/logGroup:LogGroup")} == {
        30
    }
    assert cache_of().of("aws:cloudwatch/logGroup:LogGroup") == []


def test_a_key_of_ones_own_encrypts_it() -> None:
    assert cache_of(kms_key_arn=KEY).one(GROUP).inputs["kmsKeyId"] == KEY


def test_every_node_is_watched_and_the_alarms_tell_whom_they_should() -> None:
    alarms = cache_of(replicas=1, alarms={"notify": ["arn:topic"]}).of(ALARM)
    assert {item.inputs["metricName"] for item in alarms} == {
        "DatabaseMemoryUsagePercentage",
        "EngineCPUUtilization",
        "Evictions",
        "CurrConnections",
        "ReplicationLag",
    }
    assert {item.inputs["dimensions"]["CacheClusterId"] for item in alarms} == {"it-id-001", "it-id-002"}
    assert all(item.inputs["alarmActions"] == ["arn:topic"] for item in alarms)
    assert cache_of().of(ALARM) == []


def test_a_serverless_cache_has_no_nodes_and_the_same_user() -> None:
    def program() -> Any:
        return RedisCache("it", {**PLACED, "serverless": {"max_storage_gb": 5}, "alarms": {}}).url

    recorded = record(program)
    assert recorded.of(GROUP) == []
    inputs = recorded.one(SERVERLESS).inputs
    assert inputs["cacheUsageLimits"]["dataStorage"] == {"maximum": 5, "unit": "GB"}
    assert (inputs["majorEngineVersion"], inputs["userGroupId"]) == ("8", "it-test-users")
    assert recorded.one(SERVERLESS).protect is True
    assert {item.inputs["metricName"] for item in recorded.of(ALARM)} == {
        "BytesUsedForCache",
        "ThrottledCmds",
    }
    assert recorded.result == "rediss://it.serverless.amazonaws.com:6379/0"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"engine": "memcached"}, "engine: 'memcached' is wrong: input should be 'valkey' or 'redis'"),
        ({"engine_version": "6.0"}, "there is no valkey 6.0 in ElastiCache; say one of 7.2, 8.0"),
        ({"engine": "redis"}, "there is no redis 8.0 in ElastiCache; say one of 6.2, 7.0, 7.1"),
        ({"node_type": "t4g.small"}, "say a node type of a current generation, such as cache.t4g.small"),
        ({"node_type": "cache.m3.large"}, "say a node type of a current generation"),
        ({"subnet_ids": ["subnet-1"]}, "too few for a replica in another zone; say two subnets"),
        ({"serverless": {}, "replicas": 2}, "`serverless` has no nodes, and replicas is about nodes"),
        ({"serverless": {"max_storage_gb": 0}}, "serverless.max_storage_gb: 0 is wrong"),
        ({"serverless": {}, "subnet_ids": ["a"]}, "a serverless cache is in 2 or 3 zones, and 1 were said"),
        ({"parameters": {"cluster-enabled": "yes"}}, "one shard is all that this cache has"),
        ({"parameters": {"Max Memory": "1"}}, "'Max Memory' is no parameter"),
        ({"snapshot_window": "3-4"}, "say a time of day in UTC from and to, such as 03:00-04:00"),
        (
            {"snapshot_window": "03:00-03:30"},
            "a window of 30 minutes is not possible; say 60 to 1440 minutes",
        ),
        ({"snapshot_retention_days": 0, "snapshot_window": "03:00-04:00"}, "has no snapshots to take"),
        (
            {"snapshot_window": "03:00-05:00", "maintenance_window": "sun:04:00-sun:05:00"},
            "snapshot_window 03:00-05:00 overlaps maintenance_window sun:04:00-sun:05:00",
        ),
        (
            {"serverless": {}, "engine": "redis", "engine_version": "6.2"},
            "has no serverless cache; say redis 7.1",
        ),
        ({"access": "~* >password +@all"}, "say rules such as ~* &* +@all -@admin"),
        ({"access": "on"}, "say rules such as ~* &* +@all -@admin"),
        ({"replicas": 6}, "replicas: 6 is wrong"),
    ],
)
def test_an_impossible_cache_is_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        cache_of(**args)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["1st", "a--b", "a-", "a_b", "a" * 33])
def test_a_name_that_elasticache_refuses_is_told(name: str) -> None:
    with pytest.raises(ArgsError, match="ElastiCache takes letters, digits and single dashes"):
        record(lambda: RedisCache(name, PLACED) and None)
