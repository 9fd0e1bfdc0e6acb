"""What can be said about secrets that are kept in Kubernetes as they are in Secrets Manager."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from agent_infra.aws.arns import KmsKeyArn, OidcProviderArn
from agent_infra.aws.secret_policies import RoleArn
from agent_infra.component import Args, MaybeOutput, shaped

#: Whose values and whose `external-secrets.io/v1` definitions this was written against.
CHART_VERSION = "2.9.0"
RELOADER_CHART_VERSION = "2.2.16"
CHART_REPOSITORY = "https://charts.external-secrets.io"
RELOADER_CHART_REPOSITORY = "https://stakater.github.io/stakater-charts"
#: An inline role policy has 10,240 characters, and an ARN about a hundred.
_MOST_SECRETS = 80

SecretName = Annotated[
    str,
    shaped(
        r"[a-z0-9]([a-z0-9-]{0,251}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        "a Kubernetes secret's name: lower-case letters, digits and dashes, such as llm-keys",
    ),
]
KeyName = Annotated[str, shaped(r"[A-Za-z0-9._-]{1,253}", "up to 253 letters, digits, dots, dashes and _")]
SecretArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+",
        "a secret's whole ARN, such as "
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:llm-AbCdEf, without a star",
    ),
]
Version = Annotated[
    str,
    shaped(
        r"\d+\.\d+\.\d+", "one version of the chart, such as 2.9.0, and no range: an update is a decision"
    ),
]


class SecretSource(Args):
    """Where a Kubernetes secret's content comes from: a Secrets Manager secret that is a JSON object."""

    arn: MaybeOutput[SecretArn]
    keys: Mapping[KeyName, str] | None = None
    """Each key of the Kubernetes secret, and the key of the JSON object that it has the value of; every key
    of the object under its own name, where it is not said."""
    version: MaybeOutput[str] | None = None
    """What tells that the program wrote a new content, such as `Secrets.versions[...]`: it is then fetched
    at once and not at the next refresh."""

    @field_validator("keys")
    @classmethod
    def _some(cls, keys: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if keys is not None and not keys:
            raise ValueError(
                "a secret without a key is of no use; name some keys, or leave `keys` out for all"
            )
        return keys


class SecretSyncArgs(Args):
    """The arguments of `SecretSync`."""

    secrets: Mapping[SecretName, SecretSource]
    """The Kubernetes secrets to keep, by their names."""
    cluster_name: MaybeOutput[str] | None = None
    """The EKS cluster, in which the operator gets its AWS role by Pod Identity."""
    oidc_provider_arn: MaybeOutput[OidcProviderArn] | None = None
    """The cluster's OIDC provider in IAM, for IRSA in place of Pod Identity, as Fargate needs. `install`
    needs one of the two."""
    namespace: MaybeOutput[str] = "default"
    """Where the secrets are wanted. The operator is there too, and sees nothing of other namespaces."""
    region: MaybeOutput[str] | None = None
    """Where the secrets are in AWS; the AWS provider's own, where it is not said."""
    kms_key_arns: Sequence[MaybeOutput[KmsKeyArn]] = ()
    """The keys of one's own that encrypt them, such as `Secrets.kms_key_arn`."""
    refresh_seconds: int = Field(default=300, ge=10, le=86_400)
    """How long a change in Secrets Manager may go unnoticed. Each look at a secret is a call: every five
    minutes they come to 0.04 USD a month a secret."""

    install: bool = True
    """Whether External Secrets is installed, for this namespace alone: one pod. False where the cluster has
    it already, of 0.17 or later (`external-secrets.io/v1`)."""
    install_definitions: bool = True
    """With `install`: whether its kinds are installed too. They are the whole cluster's: let one
    `SecretSync` of a cluster do it. They stay when it is deleted."""
    controller_role_arn: MaybeOutput[RoleArn] | None = None
    """Without `install`: the role of the operator that is there, which then takes this one's role to read.
    Its own policy must let it (`sts:AssumeRole` and `sts:TagSession` on `role_arn`). Where it is not said
    the operator reads by its own role, and has to be given `statements`."""
    restart: bool = True
    """Whether Reloader is installed, for this namespace alone: one pod, which replaces pods gradually when a
    secret that they name has changed. Without it they have the new content when they next start."""

    chart_values: Mapping[str, Any] = {}
    """More values of the chart external-secrets, in its own names: mappings are merged, all else is
    replaced."""
    chart_version: Version = CHART_VERSION
    chart_repository: str = CHART_REPOSITORY
    """Or a mirror of one's own."""
    reloader_chart_values: Mapping[str, Any] = {}
    reloader_chart_version: Version = RELOADER_CHART_VERSION
    reloader_chart_repository: str = RELOADER_CHART_REPOSITORY
    tags: Mapping[str, str] = {}
    """On what AWS keeps for it."""

    @field_validator("secrets")
    @classmethod
    def _some_and_not_too_many(cls, secrets: Mapping[str, SecretSource]) -> Mapping[str, SecretSource]:
        if not 1 <= len(secrets) <= _MOST_SECRETS:
            raise ValueError(
                f"it names {len(secrets)} secrets; say 1 to {_MOST_SECRETS}, as many as one role's policy "
                "holds, and make another SecretSync for more"
            )
        return secrets

    @model_validator(mode="after")
    def _has_an_identity(self) -> Self:
        if self.install and self.cluster_name is None and self.oidc_provider_arn is None:
            raise ValueError(
                "the operator that `install` brings needs an AWS role; say `cluster_name` (Pod Identity) or "
                "`oidc_provider_arn` (IRSA), or `install: false` where External Secrets is there already"
            )
        if self.install and self.controller_role_arn is not None:
            raise ValueError(
                "controller_role_arn is the role of an operator that is there already; say `install: false`, "
                "or leave it out"
            )
        return self
