"""ElastiCache: replication groups, whose endpoint is the real Redis, and what they refer to."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import data
from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import (
    MOTO_DROPS,
    NO_EFFECT,
    AutoName,
    Call,
    Input,
    Row,
    Setter,
    Tags,
    because,
)
from agent_infra.local.standins.aws.values import SET
from agent_infra.local.standins.server import Properties

_NO_API = "moto has no such API: it is recorded, and nothing acts on it"
_ARN = "arn:aws:elasticache:{region}:{account}"
_TAGS = Tags(
    Call("add_tags_to_resource", {"ResourceName": "{arn}"}),
    Call("remove_tags_from_resource", {"ResourceName": "{arn}"}),
    Call("list_tags_for_resource", {"ResourceName": "{arn}"}, "TagList"),
)


def _vpc(cloud: Cloud, _id: str, _live: Any, known: Properties) -> Properties:
    subnets = cloud.call("ec2", "describe_subnets", SubnetIds=known["subnetIds"][:1])["Subnets"]
    return {"vpcId": subnets[0]["VpcId"]}


SUBNET_GROUP = Row(
    type="aws:elasticache/subnetGroup:SubnetGroup",
    service="elasticache",
    recorded="moto can neither change nor delete one: it is recorded",
    inputs={
        "description": Input(default="Managed by Pulumi"),
        "name": Input(replaces=True),
        "subnetIds": Input(required=True, form=SET),
        "tags": Input(),
    },
    outputs={"arn": _ARN + ":subnetgroup:{name}"},
    more_outputs="vpcId",
    more=_vpc,
    autoname=AutoName(lower=True),
)

PARAMETER_GROUP = Row(
    type="aws:elasticache/parameterGroup:ParameterGroup",
    service="elasticache",
    recorded=_NO_API,
    inputs={
        "description": Input(replaces=True, default="Managed by Pulumi"),
        "family": Input(required=True, replaces=True),
        "name": Input(replaces=True),
        "parameters": Input(form=SET),
        "tags": Input(),
    },
    outputs={"arn": _ARN + ":parametergroup:{name}"},
    autoname=AutoName(lower=True),
)

USER_GROUP = Row(
    type="aws:elasticache/userGroup:UserGroup",
    service="elasticache",
    recorded=_NO_API,
    inputs={
        "engine": Input(required=True),
        "tags": Input(),
        "userGroupId": Input(required=True, replaces=True),
        "userIds": Input(form=SET),
    },
    outputs={"arn": _ARN + ":usergroup:{userGroupId}"},
    id="{userGroupId}",
)


def _user_token(known: Properties) -> str | None:
    """The password of the user that clients without a name log in as: the one that the local Redis knows."""
    passwords = known.get("passwords") or []
    return passwords[0] if passwords and known.get("userName") == "default" else None


def _user_created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    if token := _user_token(inputs):
        data.set_token(cloud, id, new=token, old=None)


def _user_updated(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    new, old = _user_token(news), _user_token(olds)
    if "passwords" in changed and (new or old):
        data.set_token(cloud, id, new=new, old=old)


def _user_deleted(cloud: Cloud, id: str, known: Properties) -> None:
    if token := _user_token(known):
        data.set_token(cloud, id, new=None, old=token)


USER = Row(
    type="aws:elasticache/user:User",
    service="elasticache",
    recorded="moto cannot change one; the local Redis gets the password of the user `default`, not its rules",
    inputs={
        "accessString": Input(required=True),
        "authenticationMode": Input(computed=True),
        "engine": Input(required=True),
        "noPasswordRequired": Input(default=False),
        "passwords": Input(form=SET),
        "passwordsWo": Input(),
        "passwordsWoVersion": Input(),
        "tags": Input(),
        "userId": Input(required=True, replaces=True),
        "userName": Input(required=True, replaces=True),
    },
    outputs={"arn": _ARN + ":user:{userId}"},
    id="{userId}",
    after_create=_user_created,
    after_update=_user_updated,
    after_delete=_user_deleted,
)


def _serverless_endpoint(cloud: Cloud, _id: str, _live: Any, _known: Properties) -> Properties:
    host, port = data.redis_address(cloud)
    place = [{"address": host, "port": port}]
    return {"endpoints": place, "readerEndpoints": place, "status": "available"}


SERVERLESS_CACHE = Row(
    type="aws:elasticache/serverlessCache:ServerlessCache",
    service="elasticache",
    recorded="moto has no such API: it is recorded, and its endpoint is the local Redis",
    inputs={
        "cacheUsageLimits": Input(),
        "dailySnapshotTime": Input(computed=True),
        "description": Input(),
        "engine": Input(required=True),
        "kmsKeyId": Input(replaces=True),
        "majorEngineVersion": Input(computed=True),
        "name": Input(replaces=True),
        "networkType": Input(replaces=True),
        "securityGroupIds": Input(form=SET),
        "snapshotArnsToRestores": Input(replaces=True),
        "snapshotRetentionLimit": Input(),
        "subnetIds": Input(form=SET, replaces=True),
        "tags": Input(),
        "timeouts": Input(),
        "userGroupId": Input(),
    },
    outputs={
        "arn": _ARN + ":serverlesscache:{name}",
        "createTime": "{now}",
        "fullEngineVersion": "{majorEngineVersion}",
    },
    more_outputs="endpoints readerEndpoints status",
    more=_serverless_endpoint,
    autoname=AutoName(limit=40, lower=True),
)


def _enabled(value: Any) -> bool:
    return value is True or value == "enabled"


def _token(properties: Properties) -> str | None:
    return properties.get("authToken") or properties.get("authTokenWo")


def _created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    if inputs.get("userGroupIds"):
        return  # its users say who may log in
    data.set_token(cloud, id, new=_token(inputs), old=None)


def _updated(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    if not changed & {"authToken", "authTokenWo", "authTokenWoVersion"}:
        return
    keeps = news.get("authTokenUpdateStrategy") == "ROTATE"
    data.set_token(cloud, id, new=_token(news), old=None if keeps else _token(olds))


def _deleted(cloud: Cloud, id: str, known: Properties) -> None:
    if _token(known):
        data.set_token(cloud, id, new=None, old=_token(known))


def _address(cloud: Cloud, _id: str, state: Properties) -> Properties:
    host, port = data.redis_address(cloud)
    if state.get("clusterEnabled"):
        return {"configurationEndpointAddress": host, "port": port}
    return {"primaryEndpointAddress": host, "readerEndpointAddress": host, "port": port}


def _parts(_cloud: Cloud, _id: str, live: Any, known: Properties) -> Properties:
    return {
        "clusterEnabled": bool(live.get("ClusterEnabled")),
        "memberClusters": live.get("MemberClusters", []),
        "engineVersionActual": known.get("engineVersion") or "7.1.0",
    }


def _checked(inputs: Properties) -> list[tuple[str, str]]:
    failures = []
    clusters, failover = inputs.get("numCacheClusters"), inputs.get("automaticFailoverEnabled")
    if failover is True and clusters == 1 and not inputs.get("numNodeGroups"):
        failures.append(
            (
                "automaticFailoverEnabled",
                "true with numCacheClusters 1: a failover needs at least 2 clusters.",
            )
        )
    if inputs.get("multiAzEnabled") is True and failover is False:
        failures.append(("multiAzEnabled", "true needs automaticFailoverEnabled true."))
    if inputs.get("authToken") and inputs.get("transitEncryptionEnabled") is False:
        failures.append(("authToken", "it needs transitEncryptionEnabled true."))
    return failures


_MODIFIED = {
    "automaticFailoverEnabled": "AutomaticFailoverEnabled",
    "description": "ReplicationGroupDescription",
    "multiAzEnabled": "MultiAZEnabled",
    "nodeType": "CacheNodeType",
    "snapshotRetentionLimit": "SnapshotRetentionLimit",
}
REPLICATION_GROUP = Row(
    type="aws:elasticache/replicationGroup:ReplicationGroup",
    service="elasticache",
    inputs={
        "atRestEncryptionEnabled": Input("AtRestEncryptionEnabled", replaces=True, computed=True),
        "authToken": Input("AuthToken", live=""),
        "authTokenUpdateStrategy": Input(),
        "authTokenWo": Input("AuthToken", live=""),
        "authTokenWoVersion": Input(),
        "automaticFailoverEnabled": Input(
            "AutomaticFailoverEnabled", live="AutomaticFailover", back=_enabled, default=False
        ),
        "clusterMode": Input("ClusterMode", live="", computed=True),
        "description": Input("ReplicationGroupDescription", live="Description", required=True),
        "engine": Input("Engine", live="", default="redis"),
        "kmsKeyId": Input("KmsKeyId", replaces=True),
        "multiAzEnabled": Input("MultiAZEnabled", live="MultiAZ", back=_enabled, default=False),
        "nodeType": Input("CacheNodeType", computed=True),
        "numCacheClusters": Input("NumCacheClusters", live="", computed=True),
        "numNodeGroups": Input("NumNodeGroups", live="", computed=True),
        "replicasPerNodeGroup": Input("ReplicasPerNodeGroup", live="", computed=True),
        "port": Input(replaces=True),
        "replicationGroupId": Input("ReplicationGroupId", replaces=True),
        "snapshotRetentionLimit": Input("SnapshotRetentionLimit"),
        "transitEncryptionEnabled": Input("TransitEncryptionEnabled", computed=True),
    },
    unsimulated={
        **because(
            MOTO_DROPS,
            "autoMinorVersionUpgrade dataTieringEnabled durability engineVersion finalSnapshotIdentifier "
            "globalReplicationGroupId ipDiscovery logDeliveryConfigurations maintenanceWindow networkType "
            "nodeGroupConfigurations notificationTopicArn parameterGroupName preferredCacheClusterAzs "
            "securityGroupIds securityGroupNames snapshotArns snapshotName snapshotWindow subnetGroupName "
            "transitEncryptionMode userGroupIds",
        ),
        **because(NO_EFFECT, "applyImmediately"),
    },
    unsimulated_replaces=(
        "dataTieringEnabled networkType securityGroupNames snapshotArns snapshotName subnetGroupName"
    ),
    outputs={"arn": "ARN"},
    more_outputs=(
        "clusterEnabled memberClusters engineVersionActual primaryEndpointAddress readerEndpointAddress "
        "configurationEndpointAddress"
    ),
    create=Call("create_replication_group"),
    id="{replicationGroupId}",
    gone_when=("Status", ("deleting",)),
    read=Call("describe_replication_groups", {"ReplicationGroupId": "{id}"}, "ReplicationGroups"),
    setters=(
        Setter(
            "modify_replication_group", _MODIFIED, {"ReplicationGroupId": "{id}", "ApplyImmediately": True}
        ),
    ),
    prepare=_checked,
    after_create=_created,
    after_update=_updated,
    more=_parts,
    present=_address,
    delete=Call("delete_replication_group", {"ReplicationGroupId": "{id}"}),
    after_delete=_deleted,
    tags=_TAGS,
    autoname=AutoName("replicationGroupId", limit=40, lower=True),
)

ROWS = (SUBNET_GROUP, PARAMETER_GROUP, USER_GROUP, USER, SERVERLESS_CACHE, REPLICATION_GROUP)
