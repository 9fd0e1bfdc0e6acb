"""Cases of the stand-in's elasticache rows."""

from __future__ import annotations

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World


def _replication_group(world: World) -> Properties:
    subnets = world.make("aws:elasticache/subnetGroup:SubnetGroup", subnetIds=world.subnets())
    key = world.make("aws:kms/key:Key", deletionWindowInDays=7)
    return {
        "description": "agents' cache",
        "engine": "valkey",
        "engineVersion": "8.0",
        "nodeType": "cache.t4g.small",
        "numCacheClusters": 2,
        "automaticFailoverEnabled": True,
        "multiAzEnabled": True,
        "port": 6379,
        "subnetGroupName": subnets["id"],
        "securityGroupIds": [world.group()],
        "kmsKeyId": key["arn"],
        "transitEncryptionEnabled": True,
        "atRestEncryptionEnabled": True,
        "authToken": "a-very-long-token",
        "snapshotRetentionLimit": 3,
        "parameterGroupName": "default.valkey8",
        "applyImmediately": True,
        **TAGS,
    }


CASES: dict[str, Case] = {
    "aws:elasticache/subnetGroup:SubnetGroup": Case(
        lambda w: {"subnetIds": w.subnets(), **TAGS}, {"description": "other", **NEW_TAGS}
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": Case(
        _replication_group,
        {"snapshotRetentionLimit": 5, "authToken": "another-long-token", "description": "e", **NEW_TAGS},
        {
            "engine",
            "engineVersion",
            "numCacheClusters",
            "port",
            "subnetGroupName",
            "securityGroupIds",
            "authToken",
            "parameterGroupName",
            "applyImmediately",
        },
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": Case(
        lambda w: {
            "family": "valkey8",
            "parameters": [{"name": "maxmemory-policy", "value": "noeviction"}],
            **TAGS,
        },
        {"parameters": [{"name": "maxmemory-policy", "value": "volatile-lru"}]},
    ),
    "aws:elasticache/user:User": Case(
        lambda w: {
            "userId": "agent",
            "userName": "agent",
            "engine": "valkey",
            "accessString": "on ~* +@all",
            "passwords": ["a-very-long-password"],
            **TAGS,
        },
        {"accessString": "on ~app:* +@all"},
    ),
    "aws:elasticache/userGroup:UserGroup": Case(
        lambda w: {"userGroupId": "agents", "engine": "valkey", "userIds": ["default", "agent"], **TAGS},
        {"userIds": ["default"]},
    ),
    "aws:elasticache/serverlessCache:ServerlessCache": Case(
        lambda w: {
            "engine": "valkey",
            "majorEngineVersion": "8",
            "cacheUsageLimits": {"dataStorage": {"maximum": 10, "unit": "GB"}},
            "subnetIds": w.subnets(),
            "userGroupId": "agents",
            **TAGS,
        },
        {"cacheUsageLimits": {"dataStorage": {"maximum": 20, "unit": "GB"}}},
    ),
}
