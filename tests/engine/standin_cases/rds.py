"""Cases of the stand-in's rds rows."""

from __future__ import annotations

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World


def _rds_cluster(world: World) -> Properties:
    group = world.make("aws:rds/subnetGroup:SubnetGroup", subnetIds=world.subnets())
    parameters = world.make(
        "aws:rds/clusterParameterGroup:ClusterParameterGroup", family="aurora-postgresql16"
    )
    return {
        "engine": "aurora-postgresql",
        "engineVersion": "16.6",
        "databaseName": "agents",
        "masterUsername": "agent",
        "manageMasterUserPassword": True,
        "dbSubnetGroupName": group["id"],
        "dbClusterParameterGroupName": parameters["id"],
        "vpcSecurityGroupIds": [world.group()],
        "storageEncrypted": True,
        "skipFinalSnapshot": True,
        "serverlessv2ScalingConfiguration": {
            "minCapacity": 0,
            "maxCapacity": 4,
            "secondsUntilAutoPause": 300,
        },
        "backupRetentionPeriod": 7,
        "deletionProtection": False,
        "port": 5432,
        "enabledCloudwatchLogsExports": ["postgresql"],
        "preferredBackupWindow": "03:00-04:00",
        **TAGS,
    }


def _cluster_member(world: World) -> Properties:
    cluster = world.make(
        "aws:rds/cluster:Cluster",
        engine="aurora-postgresql",
        masterUsername="member_admin",
        masterPassword="a-long-password",
        skipFinalSnapshot=True,
    )
    return {
        "clusterIdentifier": cluster["id"],
        "engine": "aurora-postgresql",
        "instanceClass": "db.serverless",
        **TAGS,
    }


def _rds_instance(world: World) -> Properties:
    group = world.make("aws:rds/subnetGroup:SubnetGroup", subnetIds=world.subnets())
    parameters = world.make("aws:rds/parameterGroup:ParameterGroup", family="postgres16")
    return {
        "engine": "postgres",
        "engineVersion": "16.4",
        "instanceClass": "db.t4g.micro",
        "dbName": "single",
        "username": "single_admin",
        "password": "a-long-password",
        "allocatedStorage": 20,
        "maxAllocatedStorage": 100,
        "storageType": "gp3",
        "dbSubnetGroupName": group["id"],
        "multiAz": True,
        "parameterGroupName": parameters["id"],
        "vpcSecurityGroupIds": [world.group()],
        "storageEncrypted": True,
        "skipFinalSnapshot": True,
        "backupRetentionPeriod": 7,
        "port": 5432,
        **TAGS,
    }


CASES: dict[str, Case] = {
    "aws:rds/subnetGroup:SubnetGroup": Case(
        lambda w: {"subnetIds": w.subnets(), **TAGS}, {"description": "other", **NEW_TAGS}
    ),
    "aws:rds/cluster:Cluster": Case(
        _rds_cluster,
        {
            "serverlessv2ScalingConfiguration": {"minCapacity": 0.5, "maxCapacity": 8},
            "backupRetentionPeriod": 14,
            "enabledCloudwatchLogsExports": [],
            **NEW_TAGS,
        },
        {"skipFinalSnapshot", "enabledCloudwatchLogsExports"},
    ),
    "aws:rds/clusterInstance:ClusterInstance": Case(
        _cluster_member, {"instanceClass": "db.r8g.large", **NEW_TAGS}
    ),
    "aws:rds/instance:Instance": Case(
        _rds_instance,
        {"instanceClass": "db.t4g.small", "allocatedStorage": 40, "password": "another-password", **NEW_TAGS},
        {"password", "skipFinalSnapshot", "maxAllocatedStorage"},
    ),
    "aws:rds/parameterGroup:ParameterGroup": Case(
        lambda w: {"family": "postgres16", "parameters": [{"name": "log_statement", "value": "ddl"}], **TAGS},
        {"parameters": [{"name": "log_statement", "value": "all"}]},
        {"parameters"},
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": Case(
        lambda w: {
            "family": "aurora-postgresql16",
            "parameters": [{"name": "log_statement", "value": "ddl"}],
            **TAGS,
        },
        {"parameters": [{"name": "log_statement", "value": "all"}], **NEW_TAGS},
        {"parameters"},
    ),
    "aws:rds/proxy:Proxy": Case(
        lambda w: {
            "engineFamily": "POSTGRESQL",
            "auths": [{"authScheme": "SECRETS", "iamAuth": "DISABLED", "secretArn": "arn:secret"}],
            "roleArn": w.role()["arn"],
            "requireTls": True,
            "vpcSubnetIds": w.subnets(),
            **TAGS,
        },
        {"idleClientTimeout": 600, **NEW_TAGS},
    ),
    "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup": Case(
        lambda w: {"dbProxyName": "front", "connectionPoolConfig": {"maxConnectionsPercent": 90}},
        {"connectionPoolConfig": {"maxConnectionsPercent": 50}},
    ),
    "aws:rds/proxyTarget:ProxyTarget": Case(
        lambda w: {"dbProxyName": "front", "targetGroupName": "default", "dbInstanceIdentifier": "db"},
    ),
}
