"""`DeletionCostAccess`: lets the workers of a namespace tell Kubernetes how busy they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pulumi
from pydantic import Field

from agent_infra.component import Args, Component, MaybeOutput, shaped
from agent_infra.fleet import deletion_cost
from agent_infra.fleet.objects import registered


class DeletionCostAccessArgs(Args):
    """The arguments of `DeletionCostAccess`."""

    namespace: MaybeOutput[str]
    service_accounts: Annotated[
        Sequence[Annotated[str, shaped(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", "a ServiceAccount's name")]],
        Field(min_length=1),
    ]
    """Those of the workers: of a fleet its name."""
    role_name: str = "agent-infra-deletion-cost"
    """What the Role and its binding are called."""


class DeletionCostAccess(Component):
    """A Role to patch pods, and an admission policy that leaves of it a pod's own deletion cost.

    Once for a namespace, however many fleets it has. Asks for Kubernetes 1.30 or later. The policy is of the
    whole cluster, so whoever runs `up` must be allowed to make one.

    Raises:
        ArgsError: an argument is wrong.
    """

    role_name: pulumi.Output[str]
    """The Role's name; known once the policy is in force and the Role is given."""

    def __init__(
        self,
        name: str,
        args: DeletionCostAccessArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = DeletionCostAccessArgs.parse(args, owner=f"DeletionCostAccess {name!r}")
        super().__init__("DeletionCostAccess", name, opts)
        accounts = sorted(args.service_accounts)
        labels = {"app.kubernetes.io/managed-by": "agent-infra"}
        # Of the cluster, where another namespace may have one too.
        policy_name = pulumi.Output.concat(args.role_name, "-", args.namespace)
        where: dict[str, Any] = {"namespace": args.namespace, "labels": labels}
        policy = registered(name, deletion_cost.policy(policy_name, accounts, **where), self._opts())
        in_force = registered(
            name, deletion_cost.policy_binding(policy_name, labels=labels), self._opts(depends_on=[policy])
        )
        role = registered(name, deletion_cost.role(args.role_name, **where), self._opts())
        # Last: nobody may patch a pod before that is narrowed.
        given = registered(
            name,
            deletion_cost.role_binding(args.role_name, accounts, **where),
            self._opts(depends_on=[in_force, role]),
        )
        self.role_name = given.metadata.apply(lambda metadata: metadata.name or args.role_name)
        self.register_outputs({"roleName": self.role_name})
