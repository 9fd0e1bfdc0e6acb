"""`Database`: encrypted, backed up, over TLS alone."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from agent_infra import (
    ArgsError,
    Database,
)
from tests.unit.components import KEY, PLACED
from tests.unit.recording import Recorded, record

INSTANCE, CLUSTER = "aws:rds/instance:Instance", "aws:rds/cluster:Cluster"
GROUP = "aws:rds/parameterGroup:ParameterGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


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


def test_the_master_password_is_awss_to_make_and_rotate_and_iam_users_may_log_in() -> None:
    for mode, type in ((("instance"), INSTANCE), ("aurora-serverless", CLUSTER)):
        inputs = database(mode=mode).one(type).inputs
        assert inputs["manageMasterUserPassword"] is True
        assert inputs["iamDatabaseAuthenticationEnabled"] is True


def test_what_it_waits_for_and_its_machine_are_recorded() -> None:
    recorded = database()
    inputs = recorded.one(INSTANCE).inputs
    assert (inputs["performanceInsightsEnabled"], inputs["performanceInsightsRetentionPeriod"]) == (True, 7)
    assert inputs["monitoringInterval"] == 60
    attached = recorded.one("aws:iam/rolePolicyAttachment:RolePolicyAttachment").inputs
    assert attached["policyArn"].endswith("service-role/AmazonRDSEnhancedMonitoringRole")
    assert "rds.amazonaws.com" in recorded.one("aws:iam/role:Role").inputs["assumeRolePolicy"]
    assert inputs["enabledCloudwatchLogsExports"] == ["postgresql", "upgrade"]
    silent = database(performance_insights_days=None, monitoring_seconds=0)
    assert silent.one(INSTANCE).inputs["performanceInsightsEnabled"] is False
    assert silent.of("aws:iam/role:Role") == []


def test_backups_are_kept_and_a_protected_one_leaves_them_and_a_last_snapshot_behind() -> None:
    instance = database().one(INSTANCE)
    assert instance.inputs["backupRetentionPeriod"] == 14
    assert instance.inputs["copyTagsToSnapshot"] is True
    assert instance.inputs["deleteAutomatedBackups"] is False
    assert instance.inputs["autoMinorVersionUpgrade"] is True
    assert instance.protect is True


def test_it_is_in_the_subnets_that_were_said_and_never_public() -> None:
    recorded = database()
    assert recorded.one("aws:rds/subnetGroup:SubnetGroup").inputs["subnetIds"] == PLACED["subnet_ids"]
    assert recorded.one(INSTANCE).inputs["publiclyAccessible"] is False


def test_aurora_has_a_reader_in_another_zone_where_it_was_asked_for() -> None:
    recorded = database(mode="aurora-serverless", readers=1)
    servers = recorded.of("aws:rds/clusterInstance:ClusterInstance")
    assert {item.name for item in servers} == {"it-0", "it-1"}
    assert all(item.inputs["performanceInsightsEnabled"] is True for item in servers)


@pytest.mark.parametrize(
    ("mode", "restore", "key", "value"),
    [
        ("instance", {"snapshot": "friday"}, "snapshotIdentifier", "friday"),
        (
            "instance",
            {"source": "old", "at": "2026-11-20T08:30:00Z"},
            "restoreToPointInTime",
            {"sourceDbInstanceIdentifier": "old", "restoreTime": "2026-11-20T08:30:00Z"},
        ),
        (
            "aurora-serverless",
            {"source": "old"},
            "restoreToPointInTime",
            {"sourceClusterIdentifier": "old", "useLatestRestorableTime": True},
        ),
    ],
)
def test_a_new_database_starts_with_what_it_is_restored_from(
    mode: str, restore: dict[str, str], key: str, value: Any
) -> None:
    server = database(mode=mode, restore=restore).one(INSTANCE if mode == "instance" else CLUSTER)
    assert server.inputs[key] == value
    assert set(server.ignore_changes) == {"snapshotIdentifier", "restoreToPointInTime"}


def test_static_parameters_wait_for_the_next_restart_and_others_do_not() -> None:
    parameters = database(parameters={"max_connections": "200", "work_mem": "65536"}).one(GROUP)
    assert parameters.inputs["parameters"] == [
        {"name": "max_connections", "value": "200", "applyMethod": "pending-reboot"},
        {"name": "rds.force_ssl", "value": "1"},
        {"name": "work_mem", "value": "65536"},
    ]


def test_a_proxy_stands_between_the_clients_and_the_database_over_tls() -> None:
    recorded = database(proxy={})
    proxy = recorded.one("aws:rds/proxy:Proxy").inputs
    assert (proxy["requireTls"], proxy["engineFamily"]) == (True, "POSTGRESQL")
    assert proxy["auths"][0]["secretArn"].endswith("-master")
    target = recorded.one("aws:rds/proxyTarget:ProxyTarget").inputs
    assert target["dbInstanceIdentifier"] == "it-identifier"
    assert recorded.result[0] == "postgresql://it-proxy.endpoint:5432/agents?sslmode=require"
    (statement,) = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    assert statement["Action"] == ["secretsmanager:GetSecretValue"]
    assert statement["Resource"].endswith("-master")
    rules = recorded.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert {rule.name for rule in rules} == {"it-from-cluster", "it-proxy-from-cluster", "it-proxy-in"}


def test_keys_of_ones_own_encrypt_the_data_and_the_password() -> None:
    inputs = database(kms_key_arn=KEY, secret_kms_key_arn=f"{KEY}2").one(INSTANCE).inputs
    assert (inputs["kmsKeyId"], inputs["masterUserSecretKmsKeyId"]) == (KEY, f"{KEY}2")


@pytest.mark.parametrize(
    ("mode", "metrics"),
    [
        ("instance", {"FreeStorageSpace", "FreeableMemory"}),
        ("aurora-serverless", {"ACUUtilization", "AuroraReplicaLagMaximum"}),
    ],
)
def test_alarms_watch_what_ends_a_database(mode: str, metrics: set[str]) -> None:
    more = {"readers": 1} if mode == "aurora-serverless" else {}
    alarms = database(mode=mode, alarms={"notify": ["arn:topic"]}, **more).of(ALARM)
    always = {"CPUUtilization", "DatabaseConnections", "MaximumUsedTransactionIDs"}
    assert {item.inputs["metricName"] for item in alarms} == metrics | always
    assert all(item.inputs["alarmActions"] == ["arn:topic"] for item in alarms)
    assert database().of(ALARM) == []


def test_each_process_keeps_as_many_connections_as_fit() -> None:
    def pool(**args: Any) -> Any:
        return record(lambda: Database("it", {**PLACED, **args}).pool_size).result

    small = {"instance_class": "db.t4g.micro"}
    assert pool(**small, fleets={"support": 9}) == 8
    assert pool(**small, fleets={"support": 9}, pool_size=3) == 3
    assert pool(instance_class="db.m7g.large", fleets={"support": 20}) == 10
    assert pool(mode="aurora-serverless", min_capacity=0, fleets={"support": 20}) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"min_capacity": 8, "max_capacity": 4}, "min_capacity 8 is above max_capacity 4"),
        ({"storage_gib": 100, "max_storage_gib": 105}, "say 110 or more"),
        ({"mode": "aurora"}, "mode: 'aurora' is wrong: input should be 'aurora-serverless' or 'instance'"),
        ({"engine_version": "sixteen"}, 'such as "16"'),
        ({"engine_version": "12"}, "engine_version 12 is no longer offered; say 13 or later"),
        ({"vpc_id": 3}, "vpc_id: 3 is wrong: input should be a valid string"),
        ({"subnet_ids": ["a"]}, "RDS wants subnets in two zones or more, and 1 was said"),
        ({"instance_class": "t4g.micro"}, "say an instance class, such as db.t4g.medium"),
        ({"instance_class": "db.m7g.small"}, "say a class of the families t3, t4g, m5"),
        ({"readers": 1}, "readers 1 are aurora-serverless's; an instance has `multi_az`"),
        ({"iops": 5000}, "iops 5000 is not possible with gp3 and 20 GiB: leave it out below 400 GiB"),
        ({"storage_type": "io2"}, "storage_gib 20 is too little for io2; say 100 or more"),
        (
            {"storage_type": "io2", "storage_gib": 100},
            "iops None is not possible with io2; say 1000 to 100000",
        ),
        ({"performance_insights_days": 30}, "say 7 (free), a multiple of 31 up to 713, or 731"),
        ({"monitoring_seconds": 20}, "say one of 0, 1, 5, 10, 15, 30, 60"),
        ({"restore": {}}, "say either `snapshot` or `source`"),
        ({"restore": {"snapshot": "a", "at": "2026-11-20T08:30:00Z"}}, "a `snapshot` is of one moment only"),
        (
            {"restore": {"source": "a", "at": "friday"}},
            "say a moment such as 2026-11-23T08:30:00Z",
        ),
        ({"parameters": {"rds.force_ssl": "0"}}, "nobody connects without TLS"),
        (
            {"mode": "aurora-serverless", "engine_version": "16.2"},
            "min_capacity 0 needs Postgres 16.3 or later, and engine_version is 16.2",
        ),
        (
            {"mode": "aurora-serverless", "proxy": {}},
            "a proxy keeps the database awake; say min_capa",
        ),
        (
            {"backup_window": "04:00-05:00", "maintenance_window": "sun:04:30-sun:05:30"},
            "backup_window 04:00-05:00 overlaps maintenance_window sun:04:30-sun:05:30",
        ),
        (
            {"instance_class": "db.t4g.micro", "fleets": {"support": 60}},
            "60 processes (support 60) with 2 connections each need 120, and the database takes 94, 15 of",
        ),
        ({"fleets": {"support": 0}}, "has a fleet without processes; say 1 or more"),
    ],
)
def test_an_impossible_database_is_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        database(**args)
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["1st", "a--b", "a-", "a_b", "a" * 46])
def test_a_name_that_rds_refuses_is_told(name: str) -> None:
    with pytest.raises(ArgsError, match="RDS takes letters, digits and single dashes"):
        record(lambda: Database(name, PLACED) and None)


def test_the_last_snapshots_name_is_one_that_rds_takes_whatever_the_stack_is_called() -> None:
    recorded = record(lambda: Database("it", PLACED) and None, stack="eu_prod.1")
    assert recorded.one(INSTANCE).inputs["finalSnapshotIdentifier"] == "it-eu-prod-1-final"


def test_the_master_user_is_not_called_by_the_default_name() -> None:
    assert database().one(INSTANCE).inputs["username"] == "agents_admin"
    assert database(mode="aurora-serverless").one(CLUSTER).inputs["masterUsername"] == "agents_admin"


def test_an_aurora_cluster_is_encrypted_too() -> None:
    recorded = database(mode="aurora-serverless")
    cluster = recorded.one(CLUSTER).inputs
    assert cluster["storageEncrypted"] is True
    assert cluster["enabledCloudwatchLogsExports"] == ["postgresql"]
    server = recorded.one("aws:rds/clusterInstance:ClusterInstance").inputs
    assert server["autoMinorVersionUpgrade"] is True
