"""EC2: route tables, routes and associations."""

from __future__ import annotations

import zlib
from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.ec2_groups import EC2_TAGS
from agent_infra.local.standins.aws.table import MOTO_DROPS, Call, Input, Row, because
from agent_infra.local.standins.aws.values import SET
from agent_infra.local.standins.server import Properties

_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_TARGETS = {
    "carrierGatewayId": "CarrierGatewayId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}
#: A table's own routes name their destinations otherwise.
_INLINE = {"cidrBlock": "DestinationCidrBlock", "ipv6CidrBlock": "DestinationIpv6CidrBlock"}


def _table(cloud: Cloud, id: str) -> Any:
    tables = cloud.call("ec2", "describe_route_tables", RouteTableIds=[id])["RouteTables"]
    return tables[0] if tables else None


def _inline_routes(table: Any) -> list[Properties]:
    names = {**_INLINE, **_TARGETS}
    return [
        {name: route[path] for name, path in names.items() if route.get(path)}
        for route in table["Routes"]
        if route.get("GatewayId") != "local" and "DestinationPrefixListId" not in route
    ]


def _route_call(route: Properties) -> Properties:
    names = {**_INLINE, **_DESTINATIONS, **_TARGETS}
    return {path: route[name] for name, path in names.items() if route.get(name)}


def _set_routes(cloud: Cloud, id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    if "routes" not in changed or "routes" not in news:
        return
    there = _inline_routes(_table(cloud, id))
    wanted: list[Properties] = [_pruned(route) for route in news["routes"]]
    for route in there:
        if route not in wanted:
            call = {key: value for key, value in _route_call(route).items() if key in _INLINE.values()}
            cloud.call("ec2", "delete_route", RouteTableId=id, **call)
    for route in wanted:
        if route not in there:
            cloud.call("ec2", "create_route", RouteTableId=id, **_route_call(route))


def _pruned(route: Properties) -> Properties:
    return {key: value for key, value in route.items() if value}


def _table_created(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    _set_routes(cloud, id, {}, inputs, {"routes"})


def _table_routes(_cloud: Cloud, _id: str, live: Any, known: Properties) -> Properties:
    """Only where the program lists them: otherwise they are resources of their own."""
    return {"routes": _inline_routes(live)} if "routes" in known else {}


ROUTE_TABLE = Row(
    type="aws:ec2/routeTable:RouteTable",
    service="ec2",
    inputs={
        "routes": Input(computed=True, form=SET),
        "vpcId": Input("VpcId", required=True, replaces=True),
    },
    unsimulated=because(MOTO_DROPS, "propagatingVgws"),
    outputs={"arn": "arn:aws:ec2:{region}:{account}:route-table/{id}", "ownerId": "OwnerId"},
    create=Call("create_route_table", result="RouteTable"),
    id="{RouteTableId}",
    read=Call("describe_route_tables", {"RouteTableIds": ["{id}"]}, "RouteTables"),
    after_create=_table_created,
    more=_table_routes,
    update_with=_set_routes,
    delete=Call("delete_route_table", {"RouteTableId": "{id}"}),
    tags=EC2_TAGS,
)


def _destination(properties: Properties) -> tuple[str, str]:
    for name, path in _DESTINATIONS.items():
        if properties.get(name):
            return path, properties[name]
    return "", ""


def _route_id(table: str, destination: str) -> str:
    return f"r-{table}{zlib.crc32(destination.encode())}"


def _create_route(cloud: Cloud, _name: str, inputs: Properties) -> str:
    table = inputs["routeTableId"]
    cloud.call("ec2", "create_route", RouteTableId=table, **_route_call(inputs))
    return _route_id(table, _destination(inputs)[1])


def _read_route(cloud: Cloud, id: str, known: Properties) -> Properties | None:
    table_id, (path, value) = known.get("routeTableId"), _destination(known)
    if not table_id:  # an import: <table>_<destination>
        table_id, _, value = id.partition("_")
    table = _table(cloud, table_id)
    for route in table["Routes"] if table else []:
        if value and value in (
            [route.get(path)] if path else [route.get(key) for key in _DESTINATIONS.values()]
        ):
            said = {name: route.get(key) for name, key in {**_DESTINATIONS, **_TARGETS}.items()}
            return {
                "id": _route_id(table_id, value),
                "routeTableId": table_id,
                **{name: item for name, item in said.items() if item},
                "origin": route.get("Origin", "CreateRoute"),
                "state": route.get("State", "active"),
            }
    return None


def _replace_route(cloud: Cloud, _id: str, _olds: Properties, news: Properties, changed: set[str]) -> None:
    if changed:
        cloud.call("ec2", "replace_route", RouteTableId=news["routeTableId"], **_route_call(news))


def _delete_route(cloud: Cloud, _id: str, known: Properties) -> None:
    path, value = _destination(known)
    cloud.call("ec2", "delete_route", RouteTableId=known["routeTableId"], **{path: value})


def _one_of_each(inputs: Properties) -> list[tuple[str, str]]:
    failures = []
    for names in (_DESTINATIONS, _TARGETS):
        given = [name for name in names if inputs.get(name)]
        if len(given) != 1:
            what = f"{', '.join(given)} were given" if given else "none was given"
            failures.append(
                (next(iter(given or names)), f"a route has exactly one of {', '.join(names)}; {what}.")
            )
    return failures


ROUTE = Row(
    type="aws:ec2/route:Route",
    service="ec2",
    inputs={
        "routeTableId": Input(required=True, replaces=True),
        **{name: Input(replaces=True) for name in _DESTINATIONS},
        **{name: Input() for name in _TARGETS},
    },
    unsimulated=because(MOTO_DROPS, "coreNetworkArn localGatewayId odbNetworkArn"),
    more_outputs="origin state",
    create_with=_create_route,
    read_with=_read_route,
    update_with=_replace_route,
    delete_with=_delete_route,
    prepare=_one_of_each,
)


def _read_association(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    answer = cloud.call(
        "ec2", "describe_route_tables",
        Filters=[{"Name": "association.route-table-association-id", "Values": [id]}],
    )  # fmt: skip
    for table in answer["RouteTables"]:
        for association in table["Associations"]:
            if association["RouteTableAssociationId"] == id:
                found = {
                    "routeTableId": table["RouteTableId"],
                    "subnetId": association.get("SubnetId"),
                    "gatewayId": association.get("GatewayId"),
                }
                return {name: value for name, value in found.items() if value}
    return None


ROUTE_TABLE_ASSOCIATION = Row(
    type="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    inputs={
        "gatewayId": Input("GatewayId", replaces=True),
        # The official provider moves the association, which gives it another id; here it is replaced.
        "routeTableId": Input("RouteTableId", required=True, replaces=True),
        "subnetId": Input("SubnetId", replaces=True),
    },
    create=Call("associate_route_table"),
    id="{AssociationId}",
    read_with=_read_association,
    delete=Call("disassociate_route_table", {"AssociationId": "{id}"}),
    delete_before_replace=True,
)

ROWS = (ROUTE_TABLE, ROUTE, ROUTE_TABLE_ASSOCIATION)
