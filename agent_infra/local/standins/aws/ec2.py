"""EC2: networks. Groups, routes and endpoints are in files of their own."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import ec2_endpoints, ec2_groups, ec2_launch_templates, ec2_routes
from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.ec2_groups import EC2_TAGS
from agent_infra.local.standins.aws.table import MOTO_DROPS, Call, Input, Row, Setter, because
from agent_infra.local.standins.aws.values import at
from agent_infra.local.standins.server import Properties

_ARN = "arn:aws:ec2:{region}:{account}"


def _flag(name: str) -> str:
    return f"{name}.Value"


_VPC_FLAGS = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}


def _one_filter(name: str, value: str) -> list[Properties]:
    return [{"Name": name, "Values": [value]}]


def _vpc_parts(cloud: Cloud, id: str, _live: Any, _known: Properties) -> Properties:
    more: Properties = {}
    for name, attribute in _VPC_FLAGS.items():
        word = attribute[0].lower() + attribute[1:]
        answer = cloud.call("ec2", "describe_vpc_attribute", VpcId=id, Attribute=word)
        more[name] = at(answer, f"{attribute}.Value") or False
    of_vpc = _one_filter("vpc-id", id)
    groups = cloud.call("ec2", "describe_security_groups", Filters=of_vpc)["SecurityGroups"]
    more["defaultSecurityGroupId"] = next(g["GroupId"] for g in groups if g["GroupName"] == "default")
    acls = cloud.call("ec2", "describe_network_acls", Filters=of_vpc)["NetworkAcls"]
    more["defaultNetworkAclId"] = next((acl["NetworkAclId"] for acl in acls if acl["IsDefault"]), None)
    tables = cloud.call("ec2", "describe_route_tables", Filters=of_vpc)["RouteTables"]
    main = next((t["RouteTableId"] for t in tables for a in t["Associations"] if a.get("Main")), None)
    return {**more, "mainRouteTableId": main, "defaultRouteTableId": main}


VPC = Row(
    type="aws:ec2/vpc:Vpc",
    service="ec2",
    inputs={
        "assignGeneratedIpv6CidrBlock": Input("AmazonProvidedIpv6CidrBlock", live="", replaces=True),
        "cidrBlock": Input("CidrBlock", replaces=True, computed=True),
        "enableDnsHostnames": Input(live="", computed=True),
        "enableDnsSupport": Input(live="", default=True),
        "enableNetworkAddressUsageMetrics": Input(live="", computed=True),
        "instanceTenancy": Input("InstanceTenancy", default="default"),
    },
    unsimulated=because(
        MOTO_DROPS,
        "ipv4IpamPoolId ipv4NetmaskLength ipv6CidrBlock ipv6CidrBlockNetworkBorderGroup ipv6IpamPoolId "
        "ipv6NetmaskLength",
    ),
    unsimulated_replaces="ipv4IpamPoolId ipv4NetmaskLength",
    outputs={
        "arn": _ARN + ":vpc/{id}",
        "ownerId": "OwnerId",
        "dhcpOptionsId": "DhcpOptionsId",
        "ipv6AssociationId": "Ipv6CidrBlockAssociationSet.0.AssociationId",
    },
    more_outputs="defaultSecurityGroupId defaultNetworkAclId mainRouteTableId defaultRouteTableId",
    create=Call("create_vpc", result="Vpc"),
    id="{VpcId}",
    read=Call("describe_vpcs", {"VpcIds": ["{id}"]}, "Vpcs"),
    setters=tuple(
        Setter("modify_vpc_attribute", {name: _flag(path)}, {"VpcId": "{id}"}, at_create=True)
        for name, path in _VPC_FLAGS.items()
    ),
    delete=Call("delete_vpc", {"VpcId": "{id}"}),
    tags=EC2_TAGS,
    more=_vpc_parts,
)

SUBNET = Row(
    type="aws:ec2/subnet:Subnet",
    service="ec2",
    inputs={
        "assignIpv6AddressOnCreation": Input(live="AssignIpv6AddressOnCreation", default=False),
        "availabilityZone": Input("AvailabilityZone", replaces=True, computed=True),
        "availabilityZoneId": Input("AvailabilityZoneId", replaces=True, computed=True),
        "cidrBlock": Input("CidrBlock", replaces=True),
        "ipv6CidrBlock": Input(
            "Ipv6CidrBlock", live="Ipv6CidrBlockAssociationSet.0.Ipv6CidrBlock", replaces=True
        ),
        "mapPublicIpOnLaunch": Input(live="MapPublicIpOnLaunch", default=False),
        "vpcId": Input("VpcId", required=True, replaces=True),
    },
    unsimulated=because(
        MOTO_DROPS,
        "customerOwnedIpv4Pool enableDns64 enableLniAtDeviceIndex enableResourceNameDnsARecordOnLaunch "
        "enableResourceNameDnsAaaaRecordOnLaunch ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6Native "
        "ipv6NetmaskLength mapCustomerOwnedIpOnLaunch outpostArn privateDnsHostnameTypeOnLaunch",
    ),
    unsimulated_replaces="ipv4IpamPoolId ipv4NetmaskLength ipv6Native outpostArn",
    outputs={"arn": _ARN + ":subnet/{id}", "ownerId": "OwnerId"},
    create=Call("create_subnet", result="Subnet"),
    id="{SubnetId}",
    read=Call("describe_subnets", {"SubnetIds": ["{id}"]}, "Subnets"),
    setters=tuple(
        Setter("modify_subnet_attribute", {name: _flag(path)}, {"SubnetId": "{id}"}, at_create=True)
        for name, path in (
            ("mapPublicIpOnLaunch", "MapPublicIpOnLaunch"),
            ("assignIpv6AddressOnCreation", "AssignIpv6AddressOnCreation"),
        )
    ),
    delete=Call("delete_subnet", {"SubnetId": "{id}"}),
    tags=EC2_TAGS,
)


def _attach(cloud: Cloud, _name: str, id: str, inputs: Properties) -> None:
    if inputs.get("vpcId"):
        cloud.call("ec2", "attach_internet_gateway", InternetGatewayId=id, VpcId=inputs["vpcId"])


def _detach(cloud: Cloud, id: str, known: Properties) -> None:
    if known.get("vpcId"):
        cloud.call("ec2", "detach_internet_gateway", InternetGatewayId=id, VpcId=known["vpcId"])


def _reattach(cloud: Cloud, id: str, olds: Properties, news: Properties, changed: set[str]) -> None:
    if "vpcId" in changed:
        _detach(cloud, id, olds)
        _attach(cloud, "", id, news)


INTERNET_GATEWAY = Row(
    type="aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    inputs={"vpcId": Input(live="Attachments.0.VpcId", computed=True)},
    outputs={"arn": _ARN + ":internet-gateway/{id}", "ownerId": "OwnerId"},
    create=Call("create_internet_gateway", result="InternetGateway"),
    id="{InternetGatewayId}",
    read=Call("describe_internet_gateways", {"InternetGatewayIds": ["{id}"]}, "InternetGateways"),
    after_create=_attach,
    update_with=_reattach,
    before_delete=_detach,
    delete=Call("delete_internet_gateway", {"InternetGatewayId": "{id}"}),
    tags=EC2_TAGS,
)

EIP = Row(
    type="aws:ec2/eip:Eip",
    service="ec2",
    inputs={
        "address": Input("Address", live="", replaces=True),
        "domain": Input("Domain", replaces=True, computed=True),
        "networkBorderGroup": Input("NetworkBorderGroup", live="", replaces=True, computed=True),
    },
    unsimulated=because(
        MOTO_DROPS,
        "associateWithPrivateIp customerOwnedIpv4Pool instance ipamPoolId networkInterface publicIpv4Pool",
    ),
    outputs={
        "allocationId": "AllocationId",
        "publicIp": "PublicIp",
        "privateIp": "PrivateIpAddress",
        "associationId": "AssociationId",
        "arn": _ARN + ":elastic-ip/{id}",
    },
    create=Call("allocate_address", {"Domain": "vpc"}),
    id="{AllocationId}",
    read=Call("describe_addresses", {"AllocationIds": ["{id}"]}, "Addresses"),
    delete=Call("release_address", {"AllocationId": "{id}"}),
    tags=EC2_TAGS,
)


def _without_deleted(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    gateways = cloud.call("ec2", "describe_nat_gateways", NatGatewayIds=[id])["NatGateways"]
    if not gateways or gateways[0]["State"] in ("deleted", "deleting"):
        return None
    live = gateways[0]
    address = (live.get("NatGatewayAddresses") or [{}])[0]
    found: Properties = {
        "allocationId": address.get("AllocationId"),
        "associationId": address.get("AssociationId"),
        "connectivityType": live.get("ConnectivityType"),
        "networkInterfaceId": address.get("NetworkInterfaceId"),
        "privateIp": address.get("PrivateIp"),
        "publicIp": address.get("PublicIp"),
        "subnetId": live.get("SubnetId"),
        "vpcId": live.get("VpcId"),
    }
    return {name: value for name, value in found.items() if value is not None}


NAT_GATEWAY = Row(
    type="aws:ec2/natGateway:NatGateway",
    service="ec2",
    inputs={
        "allocationId": Input("AllocationId", replaces=True),
        "connectivityType": Input("ConnectivityType", replaces=True, default="public"),
        "privateIp": Input("PrivateIpAddress", replaces=True, computed=True),
        "subnetId": Input("SubnetId", replaces=True),
        "vpcId": Input(replaces=True, computed=True),
    },
    unsimulated=because(
        MOTO_DROPS,
        "availabilityMode availabilityZoneAddresses secondaryAllocationIds secondaryPrivateIpAddressCount "
        "secondaryPrivateIpAddresses",
    ),
    unsimulated_replaces="availabilityMode",
    more_outputs="associationId networkInterfaceId publicIp",
    create=Call("create_nat_gateway", result="NatGateway"),
    id="{NatGatewayId}",
    read_with=_without_deleted,
    delete=Call("delete_nat_gateway", {"NatGatewayId": "{id}"}),
    tags=ec2_groups.listed_tags("{id}"),
)


ROWS = (
    VPC, SUBNET, INTERNET_GATEWAY, EIP, NAT_GATEWAY,
    *ec2_endpoints.ROWS, *ec2_routes.ROWS, *ec2_groups.ROWS, *ec2_launch_templates.ROWS,
)  # fmt: skip
