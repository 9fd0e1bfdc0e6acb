"""`SecretSync`: Secrets Manager's secrets as Kubernetes secrets, and pods that follow them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi_kubernetes import apiextensions, helm

from agent_infra.aws import long_policies, policies
from agent_infra.aws.secret_policies import read_statements
from agent_infra.aws.trust import pod_identity_trust, web_identity_trust
from agent_infra.component import ArgsError, Component, MaybeOutput, Problem
from agent_infra.fleet import secret_objects
from agent_infra.fleet.args import SyncedSecret
from agent_infra.fleet.merge import merge
from agent_infra.fleet.secret_sync_args import SecretSource, SecretSyncArgs

__all__ = ["SecretSource", "SecretSync", "SecretSyncArgs"]

#: A release's name has 53 characters at most, and the longest suffix 17.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,34}[a-z0-9])?")
_RELEASE_SECONDS = 600
#: Another value makes the operator fetch at once: it looks again when an ExternalSecret's annotations change.
_VERSION = "agent-infra/version"


class SecretSync(Component):
    """Keeps Kubernetes secrets as they are in Secrets Manager, by External Secrets.

    Makes the operator (a Helm release) with an AWS role that reads the named secrets and nothing else, a
    SecretStore, an ExternalSecret for each secret, and Reloader, which replaces the pods that use one when
    it changes. Operator and Reloader have rights in their own namespace alone. Both together are two pods.

    The cluster is said by a Kubernetes provider: `ResourceOptions(provider=cluster.provider)`.

    Raises:
        ArgsError: an argument is wrong.
    """

    synced: dict[str, SyncedSecret]
    """For a fleet's `synced_secrets`, by the Kubernetes secrets' names."""
    role_arn: pulumi.Output[str | None]
    """The AWS role that reads; None where the operator that is there reads by its own."""
    statements: list[dict[str, Any]]
    """The IAM statements that reading takes."""

    def __init__(
        self,
        name: str,
        args: SecretSyncArgs | Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self._args = args = SecretSyncArgs.parse(args, owner=f"SecretSync {name!r}")
        if _NAME.fullmatch(name) is None:
            raise ArgsError(
                f"SecretSync {name!r}",
                [
                    Problem(
                        "",
                        f"{name!r} cannot name Helm releases; say up to 36 lower-case letters, digits and "
                        "dashes, a letter first and no dash last",
                    )
                ],
            )
        super().__init__("SecretSync", name, opts, tags=args.tags)
        self._asked = pulumi.InvokeOutputOptions(parent=self)
        self.statements = read_statements(
            [source.arn for source in args.secrets.values()], key_arns=args.kms_key_arns
        )
        region = aws.get_region_output(opts=self._asked).region if args.region is None else args.region
        role, needed = self._role()
        if args.install:
            needed = [self._operator(role, needed)]
        if args.restart:
            self._reloader()
        store = self._object(
            "SecretStore",
            name,
            name,
            secret_objects.store(region=region, role_arn=role.arn if role and not args.install else None),
            needed=needed,
        )
        self.synced = {}
        for secret, source in args.secrets.items():
            self._object(
                "ExternalSecret",
                f"{name}-{secret}",
                secret,
                secret_objects.external_secret(
                    secret, source, store_name=name, refresh_seconds=args.refresh_seconds
                ),
                needed=[store],
                annotations=None if source.version is None else {_VERSION: source.version},
            )
            self.synced[secret] = SyncedSecret(name=secret)
        self.role_arn = pulumi.Output.from_input(None) if role is None else role.arn.apply(lambda arn: arn)
        self.register_outputs({"roleArn": self.role_arn, "secrets": sorted(self.synced)})

    @property
    def _operator_name(self) -> str:
        return f"{self._name}-external-secrets"

    def _role(self) -> tuple[aws.iam.Role | None, list[pulumi.Resource]]:
        """The role that reads, and what the operator must wait for."""
        args = self._args
        if not args.install and args.controller_role_arn is None:
            return None, []
        child = f"{self._name}-role"
        role = aws.iam.Role(
            child,
            description=f"Reads the secrets that {self._name} keeps in Kubernetes",
            assume_role_policy=self._trust(),
            tags=self._tags(child),
            opts=self._opts(),
        )
        sources = [source.arn for source in args.secrets.values()]
        needed = long_policies.give(
            self,
            child,
            role,
            [
                read_statements(arns, key_arns=args.kms_key_arns)
                for arns in long_policies.batches(sources, each=long_policies.SECRETS)
            ],
        )
        if args.install and args.oidc_provider_arn is None:
            needed.append(
                aws.eks.PodIdentityAssociation(
                    child,
                    cluster_name=self._cluster_name,
                    namespace=args.namespace,
                    service_account=self._operator_name,
                    role_arn=role.arn,
                    tags=self._tags(child),
                    opts=self._opts(),
                )
            )
        return role, needed

    @property
    def _cluster_name(self) -> MaybeOutput[str]:
        assert self._args.cluster_name is not None  # noqa: S101 - the arguments ask for it
        return self._args.cluster_name

    def _trust(self) -> MaybeOutput[str]:
        """EKS may hand it to the operator's service account alone, or the operator that is there takes it."""
        args = self._args
        actions = ["sts:AssumeRole", "sts:TagSession"]
        if args.controller_role_arn is not None:
            return policies.document(
                {"Effect": "Allow", "Principal": {"AWS": args.controller_role_arn}, "Action": actions}
            )
        if args.oidc_provider_arn is not None:
            return web_identity_trust(
                oidc_provider_arn=args.oidc_provider_arn,
                namespace=args.namespace,
                service_account=self._operator_name,
            )
        return pod_identity_trust(
            account=aws.get_caller_identity_output(opts=self._asked).account_id,
            cluster={"eks-cluster-name": self._cluster_name},
            namespace=args.namespace,
            service_account=self._operator_name,
        )

    def _operator(self, role: aws.iam.Role | None, needed: list[pulumi.Resource]) -> helm.v3.Release:
        irsa = self._args.oidc_provider_arn is not None
        return self._release(
            self._operator_name,
            chart="external-secrets",
            version=self._args.chart_version,
            repository=self._args.chart_repository,
            values=merge(
                secret_objects.operator_values(
                    name=self._operator_name,
                    namespace=self._args.namespace,
                    role_arn=role.arn if role is not None and irsa else None,
                    definitions=self._args.install_definitions,
                ),
                self._args.chart_values,
            ),
            # The agent of Pod Identity gives credentials only to pods that start after the association.
            needed=needed,
        )

    def _reloader(self) -> helm.v3.Release:
        child = f"{self._name}-reloader"
        return self._release(
            child,
            chart="reloader",
            version=self._args.reloader_chart_version,
            repository=self._args.reloader_chart_repository,
            values=merge(secret_objects.reloader_values(name=child), self._args.reloader_chart_values),
            needed=[],
        )

    def _release(
        self,
        child: str,
        *,
        chart: str,
        version: str,
        repository: str,
        values: dict[str, Any],
        needed: list[pulumi.Resource],
    ) -> helm.v3.Release:
        return helm.v3.Release(
            child,
            name=child,
            chart=chart,
            version=version,
            namespace=self._args.namespace,
            repository_opts={"repo": repository},
            values=values,
            # A release that does not get ready leaves nothing behind that the next `up` stumbles over.
            atomic=True,
            timeout=_RELEASE_SECONDS,
            opts=self._opts(depends_on=needed),
        )

    def _object(
        self,
        kind: str,
        child: str,
        name: str,
        spec: dict[str, Any],
        *,
        needed: list[pulumi.Resource],
        annotations: Mapping[str, Any] | None = None,
    ) -> apiextensions.CustomResource:
        return apiextensions.CustomResource(
            child,
            api_version=secret_objects.API_VERSION,
            kind=kind,
            metadata=secret_objects.metadata(name, self._args.namespace, annotations),
            spec=spec,
            opts=self._opts(depends_on=needed),
        )
