"""EC2: looking up a VPC and a subnet that are there already, by their ids."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.values import at, tag_map
from agent_infra.local.standins.server import Properties, StandinError


def _one(cloud: Cloud, args: Properties, *, operation: str, result: str, parameter: str) -> Any:
    unknown = sorted(args.keys() - {"id", "region"})
    if unknown or not args.get("id"):
        raise StandinError(
            f"the local cloud looks up by `id` alone, and {', '.join(unknown) or 'nothing'} was said: "
            "say the id (in agent_infra/local/standins/aws/ec2_lookups.py)."
        )
    return cloud.call("ec2", operation, **{parameter: [args["id"]]})[result][0]


def vpc(cloud: Cloud, args: Properties) -> Properties:
    """`getVpc`."""
    live = _one(cloud, args, operation="describe_vpcs", result="Vpcs", parameter="VpcIds")
    id = live["VpcId"]

    def flag(name: str) -> bool:
        word = f"{name[:1].lower()}{name[1:]}"
        answer = cloud.call("ec2", "describe_vpc_attribute", VpcId=id, Attribute=word)
        return bool(at(answer, f"{name}.Value"))

    associations = [
        {
            "associationId": item["AssociationId"],
            "cidrBlock": item["CidrBlock"],
            "state": item["CidrBlockState"]["State"],
        }
        for item in live.get("CidrBlockAssociationSet", [])
    ]
    return {
        "id": id,
        "arn": cloud.arn("ec2", f"vpc/{id}"),
        "cidrBlock": live["CidrBlock"],
        "cidrBlockAssociations": associations,
        "default": live["IsDefault"],
        "dhcpOptionsId": live["DhcpOptionsId"],
        "enableDnsHostnames": flag("EnableDnsHostnames"),
        "enableDnsSupport": flag("EnableDnsSupport"),
        "instanceTenancy": live["InstanceTenancy"],
        "ownerId": live.get("OwnerId"),
        "region": cloud.region,
        "state": live["State"],
        "tags": tag_map(live.get("Tags")),
    }


def subnet(cloud: Cloud, args: Properties) -> Properties:
    """`getSubnet`."""
    live = _one(cloud, args, operation="describe_subnets", result="Subnets", parameter="SubnetIds")
    return {
        "id": live["SubnetId"],
        "arn": cloud.arn("ec2", f"subnet/{live['SubnetId']}"),
        "availabilityZone": live["AvailabilityZone"],
        "availabilityZoneId": live.get("AvailabilityZoneId"),
        "availableIpAddressCount": live.get("AvailableIpAddressCount"),
        "cidrBlock": live["CidrBlock"],
        "defaultForAz": live.get("DefaultForAz"),
        "mapPublicIpOnLaunch": live.get("MapPublicIpOnLaunch"),
        "ownerId": live.get("OwnerId"),
        "region": cloud.region,
        "state": live["State"],
        "tags": tag_map(live.get("Tags")),
        "vpcId": live["VpcId"],
    }
