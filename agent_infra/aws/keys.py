"""KMS keys of one's own: how a component makes one, and what their policies say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.aws.policies import Statement
from agent_infra.component import Component, MaybeOutput

#: The bounds of KMS's waiting period: https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html.
_SHORTEST_WAIT_DAYS = 7
_LONGEST_WAIT_DAYS = 30

#: What it takes to look after a key, without using it or handing its use on (a grant).
_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)


def own_key(
    component: Component,
    child_name: str,
    *,
    description: str,
    recovery_days: int,
    statements: Sequence[Statement] = (),
    protect: bool = False,
) -> aws.kms.Key:
    """A customer-managed key with yearly rotation and an alias; about 1 USD a month and its calls.

    Args:
        component: whose it is.
        child_name: the key's and the alias' name in the stack.
        description: what it encrypts.
        recovery_days: how long a deleted key can be brought back, brought within KMS's 7 to 30 days.
        statements: who may use it, and through what. Its account's administrators look after it besides,
            and cannot use it. Without statements the policy is KMS's own: IAM decides alone.
        protect: whether Pulumi refuses to delete it.
    """
    policy = policies.document(administration(account_root(component)), *statements) if statements else None
    key = aws.kms.Key(
        child_name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=min(max(recovery_days, _SHORTEST_WAIT_DAYS), _LONGEST_WAIT_DAYS),
        policy=policy,
        tags=component._tags(child_name),
        opts=pulumi.ResourceOptions(parent=component, protect=protect),
    )
    aws.kms.Alias(child_name, target_key_id=key.key_id, opts=pulumi.ResourceOptions(parent=component))
    return key


def account_root(component: Component) -> pulumi.Output[str]:
    """The principal that stands for whomever the account's own IAM policies allow."""
    asked = pulumi.InvokeOutputOptions(parent=component)
    return pulumi.Output.format(
        "arn:{0}:iam::{1}:root",
        aws.get_partition_output(opts=asked).partition,
        aws.get_caller_identity_output(opts=asked).account_id,
    )


def administration(principal: MaybeOutput[str]) -> dict[str, Any]:
    """A key policy's statement: its IAM policies may let them look after the key, and not use it."""
    return {
        "Sid": "Administration",
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": list(_ADMINISTRATION),
        "Resource": "*",
    }


def use_through(
    service: str,
    *,
    principals: Sequence[MaybeOutput[str]],
    actions: Sequence[str],
    region: MaybeOutput[str],
    sid: str = "Use",
) -> dict[str, Any]:
    """A key policy's statement: they may use the key, in calls that come through one AWS service alone."""
    host = pulumi.Output.from_input(region).apply(
        lambda known: _host(service, known, in_china=known.startswith("cn-"))
    )
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": list(principals)},
        "Action": list(actions),
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": host}},
    }


def via_service(service: str, key_arn: str) -> str:
    """What `kms:ViaService` says when a service uses a key of its region.

    See https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service.
    """
    _, partition, _, region, *_ = key_arn.split(":")
    return _host(service, region, in_china=partition == "aws-cn")


def _host(service: str, region: str, *, in_china: bool) -> str:
    return f"{service}.{region}.amazonaws.com{'.cn' if in_china else ''}"
