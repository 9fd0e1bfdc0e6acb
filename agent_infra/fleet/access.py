"""What a fleet's pods may do in AWS."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.component import Component, MaybeOutput
from agent_infra.fleet.args import AgentFleetArgs

_QUEUE_ACTIONS = (
    "sqs:SendMessage",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
)
_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")


def statements(args: AgentFleetArgs) -> list[dict[str, Any]]:
    """The least that the fleet's connections need, and what was added."""
    secrets = [
        arn
        for arn in (
            args.cache and args.cache.secret_arn,
            args.database and args.database.secret_arn,
            args.llm_secret_arn,
        )
        if arn is not None
    ]
    result = []
    if secrets:
        result.append(policies.allow(["secretsmanager:GetSecretValue"], secrets))
    if args.queue:
        result.append(policies.allow(_QUEUE_ACTIONS, args.queue.arn))
    if args.bucket:
        result.append(policies.allow(_OBJECT_ACTIONS, pulumi.Output.concat(args.bucket.arn, "/*")))
        result.append(policies.allow(["s3:ListBucket"], args.bucket.arn))
    return [*result, *(dict(statement) for statement in args.extra_policy_statements)]


def pod_identity(
    component: Component, args: AgentFleetArgs, *, cluster_name: MaybeOutput[str], service_account: str
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """The role that EKS hands to the pods of a service account, and what pods must wait for."""
    name = component._name
    opts = pulumi.ResourceOptions(parent=component)
    role = aws.iam.Role(
        f"{name}-role",
        assume_role_policy=policies.assumed_by("pods.eks.amazonaws.com", tag_session=True),
        tags=component._tags(f"{name}-role"),
        opts=opts,
    )
    needed: list[pulumi.Resource] = []
    allowed = statements(args)
    if allowed:
        needed.append(
            aws.iam.RolePolicy(f"{name}-role", role=role.id, policy=policies.document(*allowed), opts=opts)
        )
    needed.append(
        aws.eks.PodIdentityAssociation(
            f"{name}-role",
            cluster_name=cluster_name,
            namespace=args.namespace,
            service_account=service_account,
            role_arn=role.arn,
            tags=component._tags(f"{name}-role"),
            opts=opts,
        )
    )
    return role, needed
