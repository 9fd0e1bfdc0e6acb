"""Flow logs: which connections of a VPC were accepted and refused, in CloudWatch."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.component import Component, MaybeOutput

_ACTIONS = (
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
)


def flow_logs(
    component: Component,
    *,
    vpc_id: MaybeOutput[str],
    retention_days: int,
    kms_key_arn: MaybeOutput[str] | None,
) -> None:
    """A log group, the role that writes into it and nothing else, and the record of all connections."""
    name = f"{component._name}-flow-logs"
    opts = pulumi.ResourceOptions(parent=component)
    group = aws.cloudwatch.LogGroup(
        name,
        retention_in_days=retention_days,
        kms_key_id=kms_key_arn,
        tags=component._tags(name),
        opts=opts,
    )
    role = aws.iam.Role(
        name,
        assume_role_policy=policies.assumed_by("vpc-flow-logs.amazonaws.com"),
        tags=component._tags(name),
        opts=opts,
    )
    policy = aws.iam.RolePolicy(
        name,
        role=role.id,
        policy=policies.document(policies.allow(_ACTIONS, pulumi.Output.concat(group.arn, ":*"))),
        opts=opts,
    )
    aws.ec2.FlowLog(
        name,
        vpc_id=vpc_id,
        traffic_type="ALL",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        tags=component._tags(name),
        opts=pulumi.ResourceOptions(parent=component, depends_on=[policy]),
    )
