"""RDS: subnet groups and parameter groups."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import NO_EFFECT, AutoName, Call, Input, Row, Tags, because
from agent_infra.local.standins.aws.values import SET
from agent_infra.local.standins.server import Properties

TAGS = Tags(
    Call("add_tags_to_resource", {"ResourceName": "{arn}"}),
    Call("remove_tags_from_resource", {"ResourceName": "{arn}"}),
    Call("list_tags_for_resource", {"ResourceName": "{arn}"}, "TagList"),
)


def _subnet_ids(subnets: list[Any]) -> list[str]:
    return [subnet["SubnetIdentifier"] for subnet in subnets]


def _remake(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    """moto loses a subnet group that is modified, so it is made anew under the same name."""
    if not changed:
        return
    tags = cloud.call("rds", "list_tags_for_resource", ResourceName=olds["arn"])["TagList"]
    cloud.call("rds", "delete_db_subnet_group", DBSubnetGroupName=id)
    cloud.call(
        "rds", "create_db_subnet_group",
        DBSubnetGroupName=id, DBSubnetGroupDescription=news["description"],
        SubnetIds=news["subnetIds"], Tags=tags,
    )  # fmt: skip


_SUBNET_GROUP = {"DBSubnetGroupName": "{id}"}
SUBNET_GROUP = Row(
    type="aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    inputs={
        "description": Input(
            "DBSubnetGroupDescription", live="DBSubnetGroupDescription", default="Managed by Pulumi"
        ),
        "name": Input("DBSubnetGroupName", replaces=True),
        "namePrefix": Input(replaces=True),
        "subnetIds": Input("SubnetIds", live="Subnets", required=True, form=SET, back=_subnet_ids),
    },
    outputs={"arn": "DBSubnetGroupArn", "vpcId": "VpcId", "supportedNetworkTypes": "SupportedNetworkTypes"},
    create=Call("create_db_subnet_group"),
    read=Call("describe_db_subnet_groups", _SUBNET_GROUP, "DBSubnetGroups"),
    update_with=_remake,
    delete=Call("delete_db_subnet_group", _SUBNET_GROUP),
    tags=TAGS,
    autoname=AutoName(lower=True, prefix_property="namePrefix"),
)


def _parameter_row(type: str, noun: str, operation: str, unsimulated: dict[str, str]) -> Row:
    """Instances and clusters have parameter groups of their own, alike but for the names."""
    name = {f"{noun}Name": "{id}"}
    describe = f"describe_{operation}s"
    parameters = describe.replace("_groups", "s").replace("parameters", "parameters")

    def write(cloud: Cloud, id: str, given: list[Properties]) -> None:
        entries = [
            {
                "ParameterName": item["name"],
                "ParameterValue": str(item["value"]),
                "ApplyMethod": item.get("applyMethod", "immediate"),
            }
            for item in given
        ]
        if entries:
            cloud.call("rds", f"modify_{operation}", Parameters=entries, **{f"{noun}Name": id})

    def created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
        write(cloud, id, inputs.get("parameters") or [])

    def updated(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
        if "parameters" in changed:
            before = olds.get("parameters") or []
            write(cloud, id, [item for item in news.get("parameters") or [] if item not in before])

    def live_parameters(cloud: Cloud, id: str, _live: Any, known: Properties) -> Properties:
        """What the program set and AWS still has; AWS's own defaults are many and not the program's."""
        answer = cloud.call("rds", parameters, **{f"{noun}Name": id})["Parameters"]
        live = {item["ParameterName"]: item for item in answer if "ParameterValue" in item}
        given = known.get("parameters")
        if given is None:
            return {}
        return {
            "parameters": [
                {**item, "value": live[item["name"]]["ParameterValue"]}
                if item["name"] in live and live[item["name"]]["ParameterValue"] != str(item["value"])
                else item
                for item in given
                if item["name"] in live
            ]
        }

    return Row(
        type=type,
        service="rds",
        inputs={
            "description": Input("Description", replaces=True, default="Managed by Pulumi"),
            "family": Input("DBParameterGroupFamily", required=True, replaces=True),
            "name": Input(f"{noun}Name", replaces=True),
            "namePrefix": Input(replaces=True),
            "parameters": Input(form=SET),
        },
        unsimulated=unsimulated,
        outputs={"arn": f"{noun}Arn"},
        create=Call(f"create_{operation}"),
        read=Call(describe, name, f"{noun}s"),
        after_create=created,
        update_with=updated,
        more=live_parameters,
        delete=Call(f"delete_{operation}", name),
        tags=TAGS,
        autoname=AutoName(lower=True, prefix_property="namePrefix"),
    )


PARAMETER_GROUP = _parameter_row(
    "aws:rds/parameterGroup:ParameterGroup",
    "DBParameterGroup",
    "db_parameter_group",
    because(NO_EFFECT, "skipDestroy"),
)
CLUSTER_PARAMETER_GROUP = _parameter_row(
    "aws:rds/clusterParameterGroup:ClusterParameterGroup",
    "DBClusterParameterGroup",
    "db_cluster_parameter_group",
    {},
)

ROWS = (SUBNET_GROUP, PARAMETER_GROUP, CLUSTER_PARAMETER_GROUP)
