"""`FleetRole`: the AWS role of a service account's pods, that holds what its connections need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import pulumi
import pulumi_aws as aws
from pydantic import TypeAdapter, ValidationError, model_validator

from agent_infra.aws import policies
from agent_infra.aws.arns import ClusterArn, KmsKeyArn, OidcProviderArn, part_of_arn
from agent_infra.aws.trust import pod_identity_trust, web_identity_trust
from agent_infra.component import Args, ArgsError, Component, MaybeOutput, Problem
from agent_infra.fleet import access
from agent_infra.fleet.connections import (
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
)
from agent_infra.fleet.options import FleetName


class _Identified(access.Access, Protocol):
    """What has a role: where its pods are, and by which way they get it."""

    @property
    def cluster_name(self) -> MaybeOutput[str] | None: ...
    @property
    def cluster_arn(self) -> MaybeOutput[str] | None: ...
    @property
    def oidc_provider_arn(self) -> MaybeOutput[str] | None: ...
    @property
    def namespace(self) -> MaybeOutput[str]: ...


@dataclass(frozen=True)
class WorkloadRole:
    """A role, and what its pods need besides."""

    role: aws.iam.Role
    annotations: dict[str, pulumi.Output[str]]
    """The service account's."""
    needed: Sequence[pulumi.Resource]
    """What pods must wait for."""


class FleetRoleArgs(Args):
    """The arguments of `FleetRole`."""

    fleet_name: FleetName | None = None
    """Whose objects in a bucket they are; the component's name where it is not said."""
    namespace: MaybeOutput[str] = "default"
    service_account: MaybeOutput[str] | None = None
    """The Kubernetes service account; it is called as the fleet where it is not said."""
    cluster_name: MaybeOutput[str] | None = None
    """The EKS cluster, for Pod Identity; its agent runs in Auto Mode, elsewhere it is an add-on."""
    cluster_arn: MaybeOutput[ClusterArn] | None = None
    """That cluster's ARN; without it AWS is asked, for each fleet, for the account and region."""
    oidc_provider_arn: MaybeOutput[OidcProviderArn] | None = None
    """The cluster's OIDC provider in IAM, for IRSA in place of Pod Identity."""
    cache: CacheConnection | None = None
    database: DatabaseConnection | None = None
    queue: QueueConnection | None = None
    bucket: BucketConnection | None = None
    llm_secret_arn: MaybeOutput[str] | None = None
    llm_secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    api_keys_secret_arn: MaybeOutput[str] | None = None
    api_keys_secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    extra_policy_statements: Sequence[Mapping[str, Any]] = ()
    """More IAM statements, as they are."""
    tags: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if self.cluster_name is None and self.oidc_provider_arn is None:
            raise ValueError(
                "nobody could take the role: say `cluster_name` (EKS Pod Identity) or `oidc_provider_arn` "
                "(IRSA)"
            )
        return self


class FleetRole(Component):
    """The AWS role that one service account's pods get, for workloads that are not an `AgentFleet`.

    It holds what the connections that it is told of need, and no more: an `AgentFleet` makes the same
    for its own pods. A role costs nothing.

    Raises:
        ArgsError: an argument is wrong.
    """

    arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    annotations: dict[str, pulumi.Output[str]]
    """What the service account must be annotated with: something with IRSA, nothing with Pod Identity."""

    def __init__(
        self,
        name: str,
        args: FleetRoleArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = FleetRoleArgs.parse(args, owner=f"FleetRole {name!r}")
        fleet = checked_name("FleetRole", name, args.fleet_name or name)
        super().__init__("FleetRole", name, opts, tags=args.tags)
        made = workload_role(
            self,
            args,
            fleet=fleet,
            service_account=fleet if args.service_account is None else args.service_account,
        )
        self.arn = made.role.arn
        self.role_name = made.role.name
        self.annotations = made.annotations
        self.register_outputs({"arn": self.arn, "roleName": self.role_name, "annotations": self.annotations})


def checked_name(kind: str, component: str, fleet: str) -> str:
    """A fleet's name, where a component's own may have taken its place.

    Raises:
        ArgsError: it cannot name Kubernetes objects.
    """
    try:
        return TypeAdapter(FleetName).validate_python(fleet)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        problem = Problem("fleet_name", f"{fleet!r} cannot name Kubernetes objects: {reason}")
        raise ArgsError(f"{kind} {component!r}", [problem]) from None


def has_role(args: _Identified) -> bool:
    """Whether the pods get a role."""
    return args.cluster_name is not None or args.oidc_provider_arn is not None


def workload_role(
    component: Component, args: _Identified, *, fleet: str, service_account: MaybeOutput[str]
) -> WorkloadRole:
    """The role of a service account's pods, as children of a component.

    Raises:
        ArgsError: a connection's ARN has a star.
    """
    name = component._name
    if problems := access.starred(args):
        raise ArgsError(f"{type(component).__name__} {name!r}", problems)
    opts = pulumi.ResourceOptions(parent=component)
    role = aws.iam.Role(
        f"{name}-role",
        assume_role_policy=_trust(component, args, service_account),
        tags=component._tags(f"{name}-role"),
        opts=opts,
    )
    needed: list[pulumi.Resource] = []
    allowed = access.statements(args, fleet=fleet)
    if allowed:
        needed.append(
            aws.iam.RolePolicy(f"{name}-role", role=role.id, policy=policies.document(*allowed), opts=opts)
        )
    if args.oidc_provider_arn is not None:
        return WorkloadRole(role, {"eks.amazonaws.com/role-arn": role.arn}, needed)
    assert args.cluster_name is not None  # noqa: S101 - one of the two is there wherever a role is made
    needed.append(
        aws.eks.PodIdentityAssociation(
            f"{name}-role",
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=service_account,
            role_arn=role.arn,
            tags=component._tags(f"{name}-role"),
            opts=opts,
        )
    )
    return WorkloadRole(role, {}, needed)


def _trust(component: Component, args: _Identified, service_account: MaybeOutput[str]) -> MaybeOutput[str]:
    if args.oidc_provider_arn is not None:
        return web_identity_trust(
            oidc_provider_arn=args.oidc_provider_arn,
            namespace=args.namespace,
            service_account=service_account,
        )
    arn = _cluster_arn(component, args)
    return pod_identity_trust(
        account=part_of_arn(arn, 4),
        cluster={"eks-cluster-arn": arn},
        namespace=args.namespace,
        service_account=service_account,
    )


def _cluster_arn(component: Component, args: _Identified) -> MaybeOutput[str]:
    if args.cluster_arn is not None:
        return args.cluster_arn
    asked = pulumi.InvokeOutputOptions(parent=component)
    return pulumi.Output.format(
        "arn:{0}:eks:{1}:{2}:cluster/{3}",
        aws.get_partition_output(opts=asked).partition,
        aws.get_region_output(opts=asked).region,
        aws.get_caller_identity_output(opts=asked).account_id,
        args.cluster_name,
    )
