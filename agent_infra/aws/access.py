"""Who may connect to a data service: a security group with a rule for each client's group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    suffix: str = "",
) -> aws.ec2.SecurityGroup:
    """A group without a way out, that lets the clients' groups in on one port.

    Its name and its rules' are the component's with `suffix` behind it.
    """
    name = f"{component._name}{suffix}"
    group = aws.ec2.SecurityGroup(
        name,
        description=f"Who may connect to {service}",
        vpc_id=vpc_id,
        tags=component._tags(name),
        opts=pulumi.ResourceOptions(parent=component),
    )
    for client, client_group in clients.items():
        let_in(component, f"{name}-from-{client}", group, client_group, port, f"{service} from {client}")
    return group


def let_in(
    component: Component,
    name: str,
    group: aws.ec2.SecurityGroup,
    client: MaybeOutput[str],
    port: int,
    description: str,
) -> None:
    """Lets one group's members connect to another's."""
    aws.vpc.SecurityGroupIngressRule(name, **_rule(component, name, group, client, port, description))


def let_out(
    component: Component,
    name: str,
    group: aws.ec2.SecurityGroup,
    server: MaybeOutput[str],
    port: int,
    description: str,
) -> None:
    """Lets one group's members connect out to another's."""
    aws.vpc.SecurityGroupEgressRule(name, **_rule(component, name, group, server, port, description))


def _rule(
    component: Component,
    name: str,
    group: aws.ec2.SecurityGroup,
    other: MaybeOutput[str],
    port: int,
    description: str,
) -> dict[str, Any]:
    """What a rule says in either direction: one TCP port, and the members of one other group."""
    return {
        "security_group_id": group.id,
        "referenced_security_group_id": other,
        "ip_protocol": "tcp",
        "from_port": port,
        "to_port": port,
        "description": description,
        "tags": component._tags(name),
        "opts": pulumi.ResourceOptions(parent=component),
    }
