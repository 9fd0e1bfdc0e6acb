"""RDS: proxies. moto has them in part; they are recorded, and their endpoint is the local Postgres."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import data
from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import AutoName, Input, Row
from agent_infra.local.standins.aws.values import SET
from agent_infra.local.standins.server import Properties

_RECORDED = "no proxy runs locally: it is recorded, and its endpoint is the local Postgres"
_ARN = "arn:aws:rds:{region}:{account}"


def _endpoint(cloud: Cloud, _id: str, _live: Any, _known: Properties) -> Properties:
    host, _port = data.postgres_address(cloud)
    return {"endpoint": host}


PROXY = Row(
    type="aws:rds/proxy:Proxy",
    service="rds",
    recorded=_RECORDED,
    inputs={
        "auths": Input(form=SET),
        "debugLogging": Input(),
        "defaultAuthScheme": Input(computed=True),
        "endpointNetworkType": Input(replaces=True, computed=True),
        "engineFamily": Input(required=True, replaces=True),
        "idleClientTimeout": Input(computed=True),
        "name": Input(),
        "requireTls": Input(),
        "roleArn": Input(required=True),
        "tags": Input(),
        "targetConnectionNetworkType": Input(replaces=True, computed=True),
        "vpcSecurityGroupIds": Input(computed=True, form=SET),
        "vpcSubnetIds": Input(required=True, replaces=True, form=SET),
    },
    outputs={"arn": _ARN + ":db-proxy:prx-{hex}"},
    more_outputs="endpoint",
    more=_endpoint,
    autoname=AutoName(limit=63, lower=True),
)

PROXY_DEFAULT_TARGET_GROUP = Row(
    type="aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup",
    service="rds",
    recorded=_RECORDED,
    inputs={
        "connectionPoolConfig": Input(computed=True),
        "dbProxyName": Input(required=True, replaces=True),
    },
    outputs={"arn": _ARN + ":target-group:prx-tg-{hex}", "name": "default"},
    id="{dbProxyName}",
)

PROXY_TARGET = Row(
    type="aws:rds/proxyTarget:ProxyTarget",
    service="rds",
    recorded=_RECORDED,
    inputs={
        "dbClusterIdentifier": Input(replaces=True),
        "dbInstanceIdentifier": Input(replaces=True),
        "dbProxyName": Input(required=True, replaces=True),
        "targetGroupName": Input(required=True, replaces=True),
    },
    outputs={"type": "RDS_INSTANCE"},
    id="{dbProxyName}/{targetGroupName}",
)

ROWS = (PROXY, PROXY_DEFAULT_TARGET_GROUP, PROXY_TARGET)
