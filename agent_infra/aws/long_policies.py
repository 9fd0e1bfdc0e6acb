"""A role's permissions where they name more resources than one policy takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import pulumi
import pulumi_aws as aws

from agent_infra.aws import policies
from agent_infra.component import Component

T = TypeVar("T")

#: What a policy takes: a managed one has 6,144 characters at most, a queue's ARN up to 105, a secret's 180
#: (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
QUEUES: Final = 50
SECRETS: Final = 30
#: The inline policy, and as many managed ones as a role may have in a new account.
MOST_POLICIES: Final = 11


def batches(items: Sequence[T], *, each: int) -> list[Sequence[T]]:
    """So many for each policy."""
    return [items[start : start + each] for start in range(0, len(items), each)]


def give(
    component: Component, name: str, role: aws.iam.Role, documents: Sequence[Sequence[Mapping[str, Any]]]
) -> list[pulumi.Resource]:
    """The first document as the role's inline policy, each further one as a managed policy of its own.

    Returns:
        What pods must wait for.
    """
    made: list[pulumi.Resource] = []
    for index, statements in enumerate(documents):
        policy = policies.document(*statements)
        if index == 0:
            made.append(aws.iam.RolePolicy(name, role=role.id, policy=policy, opts=component._opts()))
            continue
        child = f"{name}-{index}"
        managed = aws.iam.Policy(child, policy=policy, tags=component._tags(child), opts=component._opts())
        made.append(
            aws.iam.RolePolicyAttachment(
                child, role=role.name, policy_arn=managed.arn, opts=component._opts()
            )
        )
    return made
