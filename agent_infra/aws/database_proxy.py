"""An RDS Proxy in front of a database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.aws.access import let_in, let_out, security_group
from agent_infra.aws.database_args import DatabaseArgs, Proxy
from agent_infra.component import Component


def make_proxy(
    component: Component,
    args: DatabaseArgs,
    proxy: Proxy,
    *,
    port: int,
    secret_arn: pulumi.Output[str],
    database_group: aws.ec2.SecurityGroup,
    target: Mapping[str, pulumi.Output[str]],
    ready: pulumi.Resource,
) -> pulumi.Output[str]:
    """Makes the proxy, its role and its security group, and returns its address.

    Args:
        component: whose it is.
        args: where it is and who its clients are.
        proxy: what was said about it.
        port: Postgres' own.
        secret_arn: the master password, which the proxy logs in with.
        database_group: the database's security group, which has to let the proxy in.
        target: `db_instance_identifier` or `db_cluster_identifier`.
        ready: the server that it waits for.
    """
    name = f"{component._name}-proxy"
    opts = pulumi.ResourceOptions(parent=component)
    group = security_group(
        component,
        vpc_id=args.vpc_id,
        port=port,
        clients=args.clients,
        service="the Postgres proxy",
        suffix="-proxy",
    )
    let_out(component, f"{name}-out", group, database_group.id, port, "Postgres from its proxy")
    let_in(component, f"{name}-in", database_group, group.id, port, "Postgres from its proxy")
    role = aws.iam.Role(
        name,
        assume_role_policy=policies.assumed_by("rds.amazonaws.com"),
        tags=component._tags(name),
        opts=opts,
    )
    statements = [policies.allow(["secretsmanager:GetSecretValue"], secret_arn)]
    if args.secret_kms_key_arn is not None:
        statements.append(policies.allow(["kms:Decrypt"], args.secret_kms_key_arn))
    policy = aws.iam.RolePolicy(name, role=role.id, policy=policies.document(*statements), opts=opts)
    auths: list[Any] = [{"auth_scheme": "SECRETS", "iam_auth": "DISABLED", "secret_arn": secret_arn}]
    made = aws.rds.Proxy(
        name,
        engine_family="POSTGRESQL",
        auths=auths,
        role_arn=role.arn,
        require_tls=True,
        idle_client_timeout=proxy.idle_client_seconds,
        vpc_subnet_ids=list(args.subnet_ids),
        vpc_security_group_ids=[group.id],
        tags=component._tags(name),
        opts=pulumi.ResourceOptions(parent=component, depends_on=[policy]),
    )
    pool: Any = {"max_connections_percent": proxy.max_connections_percent}
    targets = aws.rds.ProxyDefaultTargetGroup(
        name, db_proxy_name=made.name, connection_pool_config=pool, opts=opts
    )
    aws.rds.ProxyTarget(
        name,
        db_proxy_name=made.name,
        target_group_name=targets.name,
        opts=pulumi.ResourceOptions(parent=component, depends_on=[ready]),
        **target,
    )
    return made.endpoint
