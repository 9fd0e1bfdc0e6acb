"""RDS: instances. The database itself is real: see `rds_data.py`."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import data, rds_data
from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.rds_data import INSTANCE
from agent_infra.local.standins.aws.rds_groups import TAGS
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
from agent_infra.local.standins.aws.values import SET
from agent_infra.local.standins.server import Properties


def _check_instance(inputs: Properties) -> list[tuple[str, str]]:
    return rds_data.one_password(inputs, plain=("password", "passwordWo"))


def _instance_created(cloud: Cloud, name: str, id: str, inputs: Properties) -> None:
    rds_data.make(cloud, INSTANCE, name, id, inputs)


def _update_instance(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    rds_data.update(cloud, INSTANCE, id, olds, news, changed)


def _instance_parts(_cloud: Cloud, _id: str, live: Any, known: Properties) -> Properties:
    endpoint = live.get("Endpoint") or {}
    return {
        "masterUserSecrets": rds_data.secret_outputs(live),
        "engineVersionActual": known.get("engineVersion") or live.get("EngineVersion"),
        "endpoint": f"{endpoint.get('Address')}:{endpoint.get('Port')}",
    }


def _instance_address(cloud: Cloud, _id: str, state: Properties) -> Properties:
    if not rds_data.is_postgres(state):
        return {}
    host, port = data.postgres_address(cloud)
    return {"endpoint": f"{host}:{port}", "address": host, "port": port}


def _before_instance_deleted(cloud: Cloud, id: str, known: Properties) -> None:
    if rds_data.live_object(cloud, INSTANCE, id) is not None:
        rds_data.refuse_protected(known, INSTANCE, id)


_MODIFY_INSTANCE = {
    "allocatedStorage": "AllocatedStorage",
    "backupRetentionPeriod": "BackupRetentionPeriod",
    "backupWindow": "PreferredBackupWindow",
    "copyTagsToSnapshot": "CopyTagsToSnapshot",
    "deletionProtection": "DeletionProtection",
    "engineVersion": "EngineVersion",
    "instanceClass": "DBInstanceClass",
    "maintenanceWindow": "PreferredMaintenanceWindow",
    "manageMasterUserPassword": "ManageMasterUserPassword",
    "maxAllocatedStorage": "MaxAllocatedStorage",
    "multiAz": "MultiAZ",
    "parameterGroupName": "DBParameterGroupName",
    "password": "MasterUserPassword",
    "passwordWo": "MasterUserPassword",
    "publiclyAccessible": "PubliclyAccessible",
    "storageType": "StorageType",
    "vpcSecurityGroupIds": "VpcSecurityGroupIds",
}

INSTANCE_ROW = Row(
    type="aws:rds/instance:Instance",
    service="rds",
    inputs={
        "allocatedStorage": Input("AllocatedStorage", computed=True),
        "availabilityZone": Input("AvailabilityZone", replaces=True, computed=True),
        "backupRetentionPeriod": Input("BackupRetentionPeriod", computed=True),
        "backupWindow": Input("PreferredBackupWindow", computed=True),
        "copyTagsToSnapshot": Input("CopyTagsToSnapshot", default=False),
        "dbName": Input("DBName", replaces=True, computed=True),
        "dbSubnetGroupName": Input(
            "DBSubnetGroupName", live="DBSubnetGroup.DBSubnetGroupName", replaces=True, computed=True
        ),
        "deletionProtection": Input("DeletionProtection", reset=False),
        "enabledCloudwatchLogsExports": Input("EnableCloudwatchLogsExports", live="", form=SET),
        "engine": Input("Engine", replaces=True, computed=True),
        "engineVersion": Input("EngineVersion", computed=True),
        "iamDatabaseAuthenticationEnabled": Input("EnableIAMDatabaseAuthentication", live=""),
        "identifier": Input("DBInstanceIdentifier", replaces=True),
        "identifierPrefix": Input(replaces=True),
        "instanceClass": Input("DBInstanceClass", required=True),
        "iops": Input("Iops", live="", computed=True),
        "kmsKeyId": Input("KmsKeyId", replaces=True, computed=True),
        "maintenanceWindow": Input("PreferredMaintenanceWindow", computed=True),
        "manageMasterUserPassword": Input(
            "ManageMasterUserPassword", live="MasterUserSecret", back=bool, reset=False
        ),
        "masterUserSecretKmsKeyId": Input("MasterUserSecretKmsKeyId", live=""),
        "maxAllocatedStorage": Input("MaxAllocatedStorage", live=""),
        "multiAz": Input("MultiAZ", computed=True),
        "parameterGroupName": Input(
            "DBParameterGroupName", live="DBParameterGroups.0.DBParameterGroupName", computed=True
        ),
        "password": Input("MasterUserPassword", live=""),
        "passwordWo": Input("MasterUserPassword", live=""),
        "passwordWoVersion": Input(),
        "port": Input("Port", live="Endpoint.Port", computed=True),
        "publiclyAccessible": Input("PubliclyAccessible", default=False),
        "storageEncrypted": Input("StorageEncrypted", replaces=True),
        "storageThroughput": Input("StorageThroughput", live="", computed=True),
        "storageType": Input("StorageType", computed=True),
        "username": Input("MasterUsername", replaces=True, computed=True),
        "vpcSecurityGroupIds": Input(
            "VpcSecurityGroupIds", live="VpcSecurityGroups", computed=True, form=SET, back=rds_data.group_ids
        ),
    },
    unsimulated={
        **because(
            MOTO_DROPS,
            "autoMinorVersionUpgrade backupTarget blueGreenUpdate caCertIdentifier characterSetName "
            "customIamInstanceProfile customerOwnedIpEnabled databaseInsightsMode dedicatedLogVolume "
            "deleteAutomatedBackups domain domainAuthSecretArn domainDnsIps domainFqdn domainIamRoleName "
            "domainOu engineLifecycleSupport licenseModel monitoringInterval monitoringRoleArn "
            "ncharCharacterSetName networkType optionGroupName performanceInsightsEnabled "
            "performanceInsightsKmsKeyId performanceInsightsRetentionPeriod replicaMode replicateSourceDb "
            "restoreToPointInTime s3Import snapshotIdentifier timezone upgradeStorageConfig "
            "warningEventCategories",
        ),
        **because(NO_EFFECT, "allowMajorVersionUpgrade applyImmediately"),
        **because("no snapshot is made locally", "finalSnapshotIdentifier skipFinalSnapshot"),
    },
    unsimulated_replaces=(
        "backupTarget characterSetName customIamInstanceProfile ncharCharacterSetName "
        "restoreToPointInTime s3Import snapshotIdentifier timezone"
    ),
    outputs={
        "arn": "DBInstanceArn",
        "address": "Endpoint.Address",
        "hostedZoneId": "Endpoint.HostedZoneId",
        "resourceId": "DbiResourceId",
        "status": "DBInstanceStatus",
    },
    more_outputs="masterUserSecrets engineVersionActual endpoint",
    create=Call("create_db_instance"),
    id="{identifier}",
    read=Call("describe_db_instances", {"DBInstanceIdentifier": "{id}"}, "DBInstances"),
    setters=(
        Setter(
            "modify_db_instance", _MODIFY_INSTANCE, {"DBInstanceIdentifier": "{id}", "ApplyImmediately": True}
        ),
    ),
    prepare=_check_instance,
    after_create=_instance_created,
    after_update=_update_instance,
    more=_instance_parts,
    present=_instance_address,
    before_delete=_before_instance_deleted,
    delete=Call("delete_db_instance", {"DBInstanceIdentifier": "{id}", "SkipFinalSnapshot": True}),
    after_delete=rds_data.drop,
    tags=TAGS,
    autoname=AutoName("identifier", limit=63, lower=True, prefix_property="identifierPrefix"),
)
