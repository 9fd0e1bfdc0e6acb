"""VPC endpoints: AWS's services at private addresses of the network, without NAT."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from agent_infra.aws.network_args import endpoint_child
from agent_infra.component import Component, MaybeOutput

_HTTPS = 443


def gateway_endpoints(
    component: Component,
    services: Sequence[str],
    *,
    vpc_id: MaybeOutput[str],
    route_table_ids: Sequence[MaybeOutput[str]],
) -> None:
    """An endpoint for each service, which the tables' subnets reach for free."""
    for service in services:
        name = f"{component._name}-{endpoint_child(service)}"
        aws.ec2.VpcEndpoint(
            name,
            vpc_id=vpc_id,
            service_name=_service_name(component, service),
            vpc_endpoint_type="Gateway",
            route_table_ids=list(route_table_ids),
            tags=component._tags(name),
            opts=pulumi.ResourceOptions(parent=component),
        )


def interface_endpoints(
    component: Component,
    services: Sequence[str],
    *,
    vpc_id: MaybeOutput[str],
    subnet_ids: MaybeOutput[Sequence[str]] | Sequence[pulumi.Output[str]],
    cidr_blocks: MaybeOutput[Sequence[str]],
) -> pulumi.Output[str] | None:
    """An endpoint for each service at an address in each subnet, under the service's public name.

    Returns the id of the security group that lets the VPC's ranges in on 443; None without services.
    """
    if not services:
        return None
    group_name = f"{component._name}-endpoints"
    group = aws.ec2.SecurityGroup(
        group_name,
        description="Who may call AWS through the endpoints",
        vpc_id=vpc_id,
        # Inside the group, as only the update knows how many ranges an adopted VPC has.
        ingress=[
            {
                "protocol": "tcp",
                "from_port": _HTTPS,
                "to_port": _HTTPS,
                "cidr_blocks": cidr_blocks,
                "description": "HTTPS from the VPC",
            }
        ],
        tags=component._tags(group_name),
        opts=pulumi.ResourceOptions(parent=component),
    )
    for service in services:
        name = f"{component._name}-{endpoint_child(service)}"
        aws.ec2.VpcEndpoint(
            name,
            vpc_id=vpc_id,
            service_name=_service_name(component, service),
            vpc_endpoint_type="Interface",
            subnet_ids=subnet_ids,
            security_group_ids=[group.id],
            private_dns_enabled=True,
            tags=component._tags(name),
            opts=pulumi.ResourceOptions(parent=component),
        )
    return group.id


def _service_name(component: Component, service: str) -> pulumi.Output[str]:
    region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=component))
    return pulumi.Output.concat("com.amazonaws.", region.region, ".", service)
