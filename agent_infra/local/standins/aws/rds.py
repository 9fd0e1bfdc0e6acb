"""RDS: clusters. Their instances are in `rds_instance.py`; the database itself is real: see `rds_data.py`."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import data, rds_data
from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.rds_data import CLUSTER
from agent_infra.local.standins.aws.rds_groups import ROWS as GROUP_ROWS
from agent_infra.local.standins.aws.rds_groups import TAGS
from agent_infra.local.standins.aws.rds_instance import INSTANCE_ROW
from agent_infra.local.standins.aws.rds_proxy import ROWS as PROXY_ROWS
from agent_infra.local.standins.aws.table import (
    MOTO_DROPS,
    NO_EFFECT,
    AutoName,
    Call,
    Input,
    Row,
    Setter,
    because,
)
from agent_infra.local.standins.aws.values import SET, camel, pascal
from agent_infra.local.standins.server import Properties


def _check_cluster(inputs: Properties) -> list[tuple[str, str]]:
    return rds_data.one_password(inputs, plain=("masterPassword", "masterPasswordWo"))


def _cluster_created(cloud: Cloud, name: str, id: str, inputs: Properties) -> None:
    rds_data.make(cloud, CLUSTER, name, id, inputs)


def _log_exports(olds: Properties, news: Properties) -> Properties:
    old, new = (set(each.get("enabledCloudwatchLogsExports") or []) for each in (olds, news))
    return {"EnableLogTypes": sorted(new - old), "DisableLogTypes": sorted(old - new)}


def _update_cluster(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    rds_data.update(cloud, CLUSTER, id, olds, news, changed)
    if "enabledCloudwatchLogsExports" in changed:
        exports = _log_exports(olds, news)
        cloud.call(
            "rds", "modify_db_cluster",
            DBClusterIdentifier=id, CloudwatchLogsExportConfiguration=exports, ApplyImmediately=True,
        )  # fmt: skip


def _cluster_parts(_cloud: Cloud, _id: str, live: Any, known: Properties) -> Properties:
    return {
        "masterUserSecrets": rds_data.secret_outputs(live),
        "engineVersionActual": known.get("engineVersion") or live.get("EngineVersion"),
        "clusterMembers": [member["DBInstanceIdentifier"] for member in live.get("DBClusterMembers", [])],
    }


def _cluster_address(cloud: Cloud, _id: str, state: Properties) -> Properties:
    if not rds_data.is_postgres(state):
        return {}
    host, port = data.postgres_address(cloud)
    return {"endpoint": host, "readerEndpoint": host, "port": port}


def _before_cluster_deleted(cloud: Cloud, id: str, known: Properties) -> None:
    if rds_data.live_object(cloud, CLUSTER, id) is not None:
        rds_data.refuse_protected(known, CLUSTER, id)


_MODIFY_CLUSTER = {
    "backupRetentionPeriod": "BackupRetentionPeriod",
    "copyTagsToSnapshot": "CopyTagsToSnapshot",
    "dbClusterParameterGroupName": "DBClusterParameterGroupName",
    "deletionProtection": "DeletionProtection",
    "engineVersion": "EngineVersion",
    "manageMasterUserPassword": "ManageMasterUserPassword",
    "masterPassword": "MasterUserPassword",
    "masterPasswordWo": "MasterUserPassword",
    "port": "Port",
    "preferredBackupWindow": "PreferredBackupWindow",
    "preferredMaintenanceWindow": "PreferredMaintenanceWindow",
    "serverlessv2ScalingConfiguration": "ServerlessV2ScalingConfiguration",
    "vpcSecurityGroupIds": "VpcSecurityGroupIds",
}

CLUSTER_ROW = Row(
    type="aws:rds/cluster:Cluster",
    service="rds",
    inputs={
        "allocatedStorage": Input("AllocatedStorage", computed=True),
        "availabilityZones": Input("AvailabilityZones", replaces=True, computed=True, form=SET),
        "backupRetentionPeriod": Input("BackupRetentionPeriod", default=1),
        "clusterIdentifier": Input("DBClusterIdentifier", replaces=True),
        "clusterIdentifierPrefix": Input(replaces=True),
        "clusterMembers": Input(live="", computed=True, form=SET),
        "copyTagsToSnapshot": Input("CopyTagsToSnapshot", default=False),
        "databaseName": Input("DatabaseName", replaces=True, computed=True),
        "dbClusterInstanceClass": Input("DBClusterInstanceClass", live=""),
        "dbClusterParameterGroupName": Input(
            "DBClusterParameterGroupName", live="DBClusterParameterGroup", computed=True
        ),
        "dbSubnetGroupName": Input("DBSubnetGroupName", live="DBSubnetGroup", replaces=True, computed=True),
        "deletionProtection": Input("DeletionProtection", reset=False),
        "enabledCloudwatchLogsExports": Input("EnableCloudwatchLogsExports", live="", form=SET),
        "engine": Input("Engine", required=True, replaces=True),
        "engineMode": Input("EngineMode", replaces=True, default="provisioned"),
        "engineVersion": Input("EngineVersion", computed=True),
        "iamDatabaseAuthenticationEnabled": Input("EnableIAMDatabaseAuthentication", live=""),
        "kmsKeyId": Input("KmsKeyId", replaces=True, computed=True),
        "manageMasterUserPassword": Input(
            "ManageMasterUserPassword", live="MasterUserSecret", back=bool, reset=False
        ),
        "masterPassword": Input("MasterUserPassword", live=""),
        "masterPasswordWo": Input("MasterUserPassword", live=""),
        "masterPasswordWoVersion": Input(),
        "masterUserSecretKmsKeyId": Input("MasterUserSecretKmsKeyId", live=""),
        "masterUsername": Input("MasterUsername", replaces=True, computed=True),
        "port": Input("Port", computed=True),
        "preferredBackupWindow": Input("PreferredBackupWindow", computed=True),
        "preferredMaintenanceWindow": Input("PreferredMaintenanceWindow", computed=True),
        "serverlessv2ScalingConfiguration": Input("ServerlessV2ScalingConfiguration", to=pascal, back=camel),
        "storageEncrypted": Input("StorageEncrypted", replaces=True, computed=True),
        "storageType": Input("StorageType", live="", computed=True),
        "vpcSecurityGroupIds": Input(
            "VpcSecurityGroupIds", live="VpcSecurityGroups", computed=True, form=SET, back=rds_data.group_ids
        ),
    },
    unsimulated={
        **because(
            MOTO_DROPS,
            "autoMinorVersionUpgrade backtrackWindow caCertificateIdentifier clusterScalabilityType "
            "databaseInsightsMode dbInstanceParameterGroupName dbSystemId deleteAutomatedBackups domain "
            "domainIamRoleName enableGlobalWriteForwarding enableHttpEndpoint enableLocalWriteForwarding "
            "engineLifecycleSupport globalClusterIdentifier iamRoles iops monitoringInterval "
            "monitoringRoleArn networkType performanceInsightsEnabled performanceInsightsKmsKeyId "
            "performanceInsightsRetentionPeriod publiclyAccessible replicationSourceIdentifier "
            "restoreToPointInTime s3Import scalingConfiguration snapshotIdentifier sourceRegion "
            "warningEventCategories",
        ),
        **because(NO_EFFECT, "allowMajorVersionUpgrade applyImmediately"),
        **because("no snapshot is made locally", "finalSnapshotIdentifier skipFinalSnapshot"),
    },
    unsimulated_replaces="dbSystemId restoreToPointInTime s3Import snapshotIdentifier sourceRegion",
    outputs={
        "arn": "DBClusterArn",
        "clusterResourceId": "DbClusterResourceId",
        "endpoint": "Endpoint",
        "readerEndpoint": "ReaderEndpoint",
        "hostedZoneId": "HostedZoneId",
    },
    more_outputs="masterUserSecrets engineVersionActual",
    create=Call("create_db_cluster"),
    id="{clusterIdentifier}",
    read=Call("describe_db_clusters", {"DBClusterIdentifier": "{id}"}, "DBClusters"),
    setters=(
        Setter(
            "modify_db_cluster", _MODIFY_CLUSTER, {"DBClusterIdentifier": "{id}", "ApplyImmediately": True}
        ),
    ),
    prepare=_check_cluster,
    after_create=_cluster_created,
    after_update=_update_cluster,
    more=_cluster_parts,
    present=_cluster_address,
    before_delete=_before_cluster_deleted,
    delete=Call("delete_db_cluster", {"DBClusterIdentifier": "{id}", "SkipFinalSnapshot": True}),
    after_delete=rds_data.drop,
    tags=TAGS,
    autoname=AutoName("clusterIdentifier", limit=63, lower=True, prefix_property="clusterIdentifierPrefix"),
)


def _member_address(cloud: Cloud, _id: str, state: Properties) -> Properties:
    if not rds_data.is_postgres(state):
        return {}
    host, port = data.postgres_address(cloud)
    return {"endpoint": host, "port": port}


def _member_parts(_cloud: Cloud, _id: str, live: Any, known: Properties) -> Properties:
    return {
        "engineVersionActual": known.get("engineVersion") or live.get("EngineVersion"),
        "writer": True,
        "port": (live.get("Endpoint") or {}).get("Port"),
    }


CLUSTER_INSTANCE = Row(
    type="aws:rds/clusterInstance:ClusterInstance",
    service="rds",
    inputs={
        "availabilityZone": Input("AvailabilityZone", replaces=True, computed=True),
        "clusterIdentifier": Input("DBClusterIdentifier", required=True, replaces=True),
        "engine": Input("Engine", required=True, replaces=True),
        "identifier": Input("DBInstanceIdentifier", replaces=True),
        "identifierPrefix": Input(replaces=True),
        "instanceClass": Input("DBInstanceClass", required=True),
        "promotionTier": Input("PromotionTier", live="", default=0),
        "publiclyAccessible": Input("PubliclyAccessible", computed=True),
    },
    unsimulated={
        **because(
            MOTO_DROPS,
            "autoMinorVersionUpgrade caCertIdentifier copyTagsToSnapshot customIamInstanceProfile "
            "dbParameterGroupName dbSubnetGroupName engineVersion monitoringInterval monitoringRoleArn "
            "performanceInsightsEnabled performanceInsightsKmsKeyId performanceInsightsRetentionPeriod "
            "preferredBackupWindow preferredMaintenanceWindow warningEventCategories",
        ),
        **because(NO_EFFECT, "applyImmediately forceDestroy"),
    },
    unsimulated_replaces="customIamInstanceProfile dbSubnetGroupName performanceInsightsKmsKeyId",
    outputs={
        "arn": "DBInstanceArn",
        "dbiResourceId": "DbiResourceId",
        "endpoint": "Endpoint.Address",
        "kmsKeyId": "KmsKeyId",
        "storageEncrypted": "StorageEncrypted",
    },
    more_outputs="engineVersionActual writer port",
    create=Call("create_db_instance"),
    id="{identifier}",
    read=Call("describe_db_instances", {"DBInstanceIdentifier": "{id}"}, "DBInstances"),
    setters=(
        Setter(
            "modify_db_instance",
            {"instanceClass": "DBInstanceClass", "publiclyAccessible": "PubliclyAccessible"},
            {"DBInstanceIdentifier": "{id}", "ApplyImmediately": True},
        ),
    ),
    more=_member_parts,
    present=_member_address,
    delete=Call("delete_db_instance", {"DBInstanceIdentifier": "{id}", "SkipFinalSnapshot": True}),
    tags=TAGS,
    autoname=AutoName("identifier", limit=63, lower=True, prefix_property="identifierPrefix"),
)


ROWS = (CLUSTER_ROW, CLUSTER_INSTANCE, INSTANCE_ROW, *GROUP_ROWS, *PROXY_ROWS)
