"""The IAM roles of a cluster's parts."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.component import Component, MaybeOutput


def made_role(
    component: Component,
    kind: str,
    *,
    trust: MaybeOutput[str],
    managed: Sequence[str],
    partition: pulumi.Output[str],
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """A role with AWS's managed policies, and the attachments, for whoever has to wait for them."""
    name = f"{component._name}-{kind}"
    role = aws.iam.Role(name, assume_role_policy=trust, tags=component._tags(name), opts=component._opts())
    attachments: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy.rpartition('/')[2]}",
            role=role.name,
            policy_arn=pulumi.Output.concat("arn:", partition, ":iam::aws:policy/", policy),
            opts=component._opts(),
        )
        for policy in managed
    ]
    return role, attachments


def assumed_by_pods() -> str:
    """The trust policy of a role that pods get by Pod Identity; an association says which pods."""
    return policies.assumed_by("pods.eks.amazonaws.com", tag_session=True)


def assumed_by_fargate(cluster_arn: pulumi.Output[str]) -> MaybeOutput[str]:
    """The trust policy of the role with which Fargate starts pods of this one cluster."""
    profiles = cluster_arn.apply(lambda arn: f"{arn.replace(':cluster/', ':fargateprofile/')}/*")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"ArnLike": {"aws:SourceArn": profiles}},
    }
    return policies.document(statement)
