"""CloudWatch Logs: log groups."""

from __future__ import annotations

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import MOTO_DROPS, AutoName, Call, Input, Row, Setter, Tags, because
from agent_infra.local.standins.server import Properties

#: moto takes a group's key when it is made and has no call for another one: a later key is recorded here.
_KEYS = "logs/key"


def _read(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    answer = cloud.call("logs", "describe_log_groups", logGroupNamePrefix=id)
    for live in answer["logGroups"]:
        if live["logGroupName"] == id:
            return {
                "name": id,
                "arn": live["arn"].removesuffix(":*"),
                "retentionInDays": live.get("retentionInDays", 0),
                "kmsKeyId": (cloud.records.get(_KEYS, id) or live).get("kmsKeyId") or "",
                "logGroupClass": live.get("logGroupClass") or "STANDARD",
            }
    return None


def _updated(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    if "retentionInDays" in changed and not news.get("retentionInDays"):
        cloud.call("logs", "delete_retention_policy", logGroupName=id)
    if "kmsKeyId" in changed:
        cloud.records.put(_KEYS, id, {"kmsKeyId": news.get("kmsKeyId") or ""})


def _delete(cloud: Cloud, id: str, known: Properties) -> None:
    cloud.records.remove(_KEYS, id)
    if not known.get("skipDestroy"):
        cloud.call("logs", "delete_log_group", logGroupName=id)


def _positive(days: int) -> int | None:
    return days or None


LOG_GROUP = Row(
    type="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    inputs={
        "kmsKeyId": Input("kmsKeyId"),
        "logGroupClass": Input("logGroupClass", computed=True, replaces=True),
        "name": Input("logGroupName", replaces=True),
        "namePrefix": Input(replaces=True),
        "retentionInDays": Input(default=0, to=_positive),
        "skipDestroy": Input(default=False),
    },
    unsimulated=because(MOTO_DROPS, "deletionProtectionEnabled"),
    more_outputs="arn",
    create=Call("create_log_group"),
    read_with=_read,
    setters=(
        Setter(
            "put_retention_policy",
            {"retentionInDays": "retentionInDays"},
            {"logGroupName": "{id}"},
            at_create=True,
        ),
    ),
    after_update=_updated,
    delete_with=_delete,
    tags=Tags(
        Call("tag_resource", {"resourceArn": "{arn}"}),
        Call("untag_resource", {"resourceArn": "{arn}"}),
        Call("list_tags_for_resource", {"resourceArn": "{arn}"}, "tags"),
        parameter="tags",
        keys_parameter="tagKeys",
        as_map=True,
    ),
    autoname=AutoName(limit=512, prefix_property="namePrefix"),
)

ROWS = (LOG_GROUP,)
