"""Who may connect to a data service: a security group with a rule for each client's group."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from agent_infra.component import Component, MaybeOutput


def security_group(
    component: Component,
    *,
    vpc_id: MaybeOutput[str],
    port: int,
    clients: Mapping[str, MaybeOutput[str]],
    service: str,
) -> aws.ec2.SecurityGroup:
    """A group without a way out, that lets the clients' groups in on one port."""
    name = component._name
    group = aws.ec2.SecurityGroup(
        name,
        description=f"Who may connect to {service}",
        vpc_id=vpc_id,
        tags=component._tags(name),
        opts=pulumi.ResourceOptions(parent=component),
    )
    for client, client_group in clients.items():
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-{client}",
            security_group_id=group.id,
            referenced_security_group_id=client_group,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
            description=f"{service} from {client}",
            tags=component._tags(f"{name}-from-{client}"),
            opts=pulumi.ResourceOptions(parent=component),
        )
    return group
