"""An existing VPC, looked up and checked; nothing of it is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws.cidr import FEWEST_ZONES
from agent_infra.aws.network_args import ExistingNetwork
from agent_infra.component import Component, MaybeOutput

#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcCidrBlockState.html
_NO_LONGER = ("disassociating", "disassociated", "failing", "failed")


@dataclass(frozen=True)
class Adopted:
    """What an adopted VPC is, after the checks."""

    vpc_id: pulumi.Output[str]
    cidr_blocks: pulumi.Output[list[str]]
    public: list[pulumi.Output[str]]
    private: list[pulumi.Output[str]]
    isolated: list[pulumi.Output[str]]
    endpoint_subnets: pulumi.Output[list[str]]
    """The first private subnet of each zone: an endpoint has one address a zone."""


def one_per_zone(subnets: Sequence[tuple[str, str]]) -> list[str]:
    """Of subnets with their zones, the first of each zone."""
    first: dict[str, str] = {}
    for subnet, zone in subnets:
        first.setdefault(zone, subnet)
    return list(first.values())


def adopt(component: Component, existing: ExistingNetwork, *, with_endpoints: bool) -> Adopted:
    """Looks the VPC and its subnets up.

    The update fails where a subnet is not the VPC's own, where the private or the isolated ones are all in
    one zone, or where interface endpoints are to be made and the VPC has no DNS names.
    """
    owner = f"Network {component._name!r}: existing"
    opts = pulumi.InvokeOutputOptions(parent=component)
    vpc = aws.ec2.get_vpc_output(id=existing.vpc_id, opts=opts)

    def named(found: dict[str, Any]) -> str:
        if with_endpoints and not (found["support"] and found["hostnames"]):
            raise ValueError(
                f"{owner}.vpc_id: {found['id']} has DNS support or DNS hostnames off, and interface "
                "endpoints are found by private DNS; turn both on, or leave `interface_endpoints` out."
            )
        return str(found["id"])

    vpc_id = pulumi.Output.all(
        id=vpc.id, support=vpc.enable_dns_support, hostnames=vpc.enable_dns_hostnames
    ).apply(named)

    def zoned(name: str, ids: Sequence[MaybeOutput[str]], *, zones: int) -> pulumi.Output[Any]:
        """Each subnet with its zone, checked."""
        found = [aws.ec2.get_subnet_output(id=id, opts=opts) for id in ids]

        def check(values: Sequence[Any]) -> list[tuple[str, str]]:
            vpc, *subnets = values
            for subnet in subnets:
                if subnet["vpc"] != vpc:
                    raise ValueError(
                        f"{owner}.{name}: {subnet['id']} is in {subnet['vpc']}, not in {vpc}; "
                        "say subnets of the VPC alone."
                    )
            there = {subnet["zone"] for subnet in subnets}
            if len(there) < zones:
                raise ValueError(
                    f"{owner}.{name}: all are in {', '.join(sorted(there))}; "
                    f"say subnets in {zones} zones or more."
                )
            return [(str(subnet["id"]), str(subnet["zone"])) for subnet in subnets]

        each = [pulumi.Output.all(id=one.id, vpc=one.vpc_id, zone=one.availability_zone) for one in found]
        return pulumi.Output.all(vpc_id, *each).apply(check)

    def ids(name: str, given: Sequence[MaybeOutput[str]], *, zones: int) -> list[pulumi.Output[str]]:
        if not given:
            return []
        checked = zoned(name, given, zones=zones)
        return [_id_of(checked, at) for at in range(len(given))]

    private = ids("private_subnet_ids", existing.private_subnet_ids, zones=FEWEST_ZONES)
    return Adopted(
        vpc_id=vpc_id,
        cidr_blocks=vpc.apply(_ranges),
        public=ids("public_subnet_ids", existing.public_subnet_ids, zones=0),
        private=private,
        isolated=ids("isolated_subnet_ids", existing.isolated_subnet_ids, zones=FEWEST_ZONES) or private,
        endpoint_subnets=zoned("private_subnet_ids", existing.private_subnet_ids, zones=FEWEST_ZONES).apply(
            one_per_zone
        ),
    )


def _id_of(subnets: pulumi.Output[Any], at: int) -> pulumi.Output[str]:
    return subnets.apply(lambda pairs: str(pairs[at][0]))


def _ranges(vpc: aws.ec2.GetVpcResult) -> list[str]:
    """All ranges of a VPC; it may have more than its first one."""
    others = [item.cidr_block for item in vpc.cidr_block_associations if item.state not in _NO_LONGER]
    return sorted({vpc.cidr_block, *others})
