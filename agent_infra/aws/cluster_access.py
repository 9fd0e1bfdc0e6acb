"""Who may do what in a cluster: EKS access entries, in place of the `aws-auth` ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

import pulumi
import pulumi_aws as aws
from pydantic import Field, model_validator

from agent_infra.component import Args, Component, MaybeOutput, shaped

Policy = Literal["cluster-admin", "admin", "edit", "view", "admin-view"]
#: https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
_POLICIES: Final[Mapping[Policy, str]] = {
    "cluster-admin": "AmazonEKSClusterAdminPolicy",
    "admin": "AmazonEKSAdminPolicy",
    "edit": "AmazonEKSEditPolicy",
    "view": "AmazonEKSViewPolicy",
    "admin-view": "AmazonEKSAdminViewPolicy",
}
#: Those that say something of the whole cluster, so that a namespace would be no bound.
_OF_THE_CLUSTER: Final = ("cluster-admin", "admin-view")

Principal = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+",
        "the ARN of an IAM role or user, such as arn:aws:iam::123456789012:role/ops (of a session "
        "arn:aws:sts::123456789012:assumed-role/ops/name, its role)",
    ),
]
AccessName = Annotated[str, shaped(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of letters, digits and dashes")]


class Access(Args):
    """What one IAM role or user may do."""

    principal: Principal
    policy: Policy | None = "view"
    """One of EKS's: cluster-admin everything; admin, edit and view what Kubernetes' roles of that name may;
    admin-view reads everything, secrets too. null: what `groups` are bound to, alone."""
    namespaces: Sequence[
        Annotated[
            str, shaped(r"[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?", "a namespace, such as agents or team-*")
        ]
    ] = ()
    """Where the policy holds; everywhere with none."""
    groups: Annotated[
        Sequence[
            Annotated[
                str, shaped(r"(?!system:|eks:|aws:|amazon:|iam:).+", "a group that is not system: or eks:")
            ]
        ],
        Field(max_length=50),
    ] = ()
    """Kubernetes groups, for RoleBindings of one's own."""

    @model_validator(mode="after")
    def _holds_somewhere(self) -> Self:
        if self.namespaces and self.policy in _OF_THE_CLUSTER:
            raise ValueError(
                f"policy {self.policy} is for the whole cluster; leave `namespaces` out, or say admin, edit "
                "or view"
            )
        if self.namespaces and self.policy is None:
            raise ValueError("`namespaces` bounds a policy, and policy is null; say admin, edit or view")
        if self.policy is None and not self.groups:
            raise ValueError("nothing is allowed with neither a policy nor groups; say one of them")
        return self


def check_principals(admins: Mapping[str, str], access: Mapping[str, Access]) -> None:
    """Refuses the same principal twice: EKS has one entry for each.

    Raises:
        ValueError: names the principal and both entries.
    """
    named: dict[str, str] = {}
    both = [*((f"admins.{name}", arn) for name, arn in admins.items())]
    both += [(f"access.{name}", entry.principal) for name, entry in access.items()]
    for name, principal in both:
        if principal in named:
            raise ValueError(f"{named[principal]} and {name} are both {principal}; leave one of the two out")
        named[principal] = name


def grant(
    component: Component,
    *,
    cluster: pulumi.Output[str],
    partition: pulumi.Output[str],
    admins: Mapping[str, str],
    access: Mapping[str, Access],
) -> list[pulumi.Resource]:
    """An access entry for each, with its policy."""
    wanted = {f"admin-{name}": Access(principal=arn, policy="cluster-admin") for name, arn in admins.items()}
    wanted |= {f"access-{name}": entry for name, entry in access.items()}
    return [
        resource
        for suffix, entry in wanted.items()
        for resource in _entry(component, f"{component._name}-{suffix}", entry, cluster, partition)
    ]


def _entry(
    component: Component,
    name: str,
    access: Access,
    cluster: MaybeOutput[str],
    partition: pulumi.Output[str],
) -> list[pulumi.Resource]:
    entry = aws.eks.AccessEntry(
        name,
        cluster_name=cluster,
        principal_arn=access.principal,
        kubernetes_groups=list(access.groups) or None,
        tags=component._tags(name),
        opts=component._opts(),
    )
    if access.policy is None:
        return [entry]
    scope = aws.eks.AccessPolicyAssociationAccessScopeArgs(
        type="namespace" if access.namespaces else "cluster", namespaces=list(access.namespaces) or None
    )
    association = aws.eks.AccessPolicyAssociation(
        name,
        cluster_name=cluster,
        principal_arn=access.principal,
        policy_arn=pulumi.Output.concat(
            "arn:", partition, ":eks::aws:cluster-access-policy/", _POLICIES[access.policy]
        ),
        access_scope=scope,
        opts=component._opts(depends_on=[entry]),
    )
    return [entry, association]
