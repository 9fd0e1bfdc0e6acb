"""What an environment's settings may say about each part: how it is made, or which existing one is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent_infra.aws.arns import KmsKeyArn
from agent_infra.aws.artifact_store import ArtifactStoreOptions
from agent_infra.aws.cache_args import RedisCacheOptions
from agent_infra.aws.database_args import DatabaseOptions
from agent_infra.aws.queue import WorkQueueOptions
from agent_infra.aws.secret_policies import RoleArn
from agent_infra.component import Args, shaped
from agent_infra.fleet.agents_args import unfit_agents
from agent_infra.fleet.args import Oidc
from agent_infra.fleet.connections import (
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
)
from agent_infra.fleet.image_args import BuildOptions, BuildSecretId, ImageReference
from agent_infra.fleet.llm_args import LlmAccess
from agent_infra.fleet.options import FleetName, FleetOptions, Worker
from agent_infra.fleet.placement_args import check_placements, image_architectures
from agent_infra.fleet.probes import check_start
from agent_infra.fleet.secret_sync_args import SecretArn
from agent_infra.fleet.variables import PLAIN, VariableName
from agent_infra.queue_contract import queue_contract

SecretName = FleetName
#: What a fleet's own secret is called that is made for its API keys.
API_KEYS = "api-keys"
RepositoryUrl = Annotated[
    str,
    shaped(
        r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9][a-z0-9._/-]*",
        "a repository's address, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/agents/support",
    ),
]


def _alone(part: Args) -> None:
    """What exists already is used as it is: nothing can be said about how it is made."""
    others = sorted(part.model_fields_set - {"existing"})
    if getattr(part, "existing", None) is not None and others:
        raise ValueError(
            f"`existing` names what is there already, and {', '.join(others)} would say how to make a new "
            "one; leave one of the two out"
        )


class CacheSettings(RedisCacheOptions):
    """The cache: a new one, or one that exists."""

    existing: CacheConnection | None = None
    """A Redis that the fleets use as it is; its security group has to let the cluster's in."""

    @model_validator(mode="after")
    def _made_or_used(self) -> Self:
        _alone(self)
        return self


class DatabaseSettings(DatabaseOptions):
    """The database: a new one, or one that exists."""

    existing: DatabaseConnection | None = None
    """A Postgres that the fleets use as it is; its security group has to let the cluster's in."""

    @model_validator(mode="after")
    def _made_or_used(self) -> Self:
        _alone(self)
        return self


class StorageSettings(ArtifactStoreOptions):
    """The bucket: a new one, or one that exists."""

    existing: BucketConnection | None = None

    @model_validator(mode="after")
    def _made_or_used(self) -> Self:
        _alone(self)
        return self


class QueueSettings(WorkQueueOptions):
    """A fleet's queue: a new one, or one that exists."""

    existing: QueueConnection | None = None
    """Its visibility timeout and dead-letter queue are its owner's business."""

    @model_validator(mode="after")
    def _made_or_used(self) -> Self:
        _alone(self)
        return self


class SecretSettings(Args):
    """One secret. Nothing secret is written here: it is filled by hand, or out of environment variables."""

    from_environment: Sequence[VariableName] | None = None
    """The environment variables of whoever runs `up` that it is made of; those that are not set are left out.
    Where this is not said the secret starts as `{}` and is filled by hand in Secrets Manager."""
    existing: SecretArn | None = None
    """A secret that is there already; it is read by the fleets and never changed here."""
    kms_key_arn: KmsKeyArn | None = None
    """The key of an existing secret, where it has one of its own."""

    @model_validator(mode="after")
    def _made_or_used(self) -> Self:
        if self.existing is not None and self.from_environment is not None:
            raise ValueError(
                "`existing` names a secret that is there already, and `from_environment` would fill a new "
                "one; leave one of the two out"
            )
        if self.kms_key_arn is not None and self.existing is None:
            raise ValueError(
                "`kms_key_arn` is the key of an `existing` secret; new ones are encrypted as "
                "`secret_store` says"
            )
        return self


class SecretSyncSettings(Args):
    """How the secrets that fleets want in Kubernetes get there; used where a fleet has `synced_secrets`."""

    install: bool = True
    """Whether External Secrets is installed, in the fleets' namespace alone: one pod."""
    restart: bool = True
    """Whether Reloader is installed there: one pod, which replaces pods when a secret of theirs changes."""
    refresh_seconds: int = Field(default=300, ge=10, le=86_400)
    """How long a change in Secrets Manager may go unnoticed."""
    controller_role_arn: RoleArn | None = None
    """Without `install`: the role of the External Secrets that is there."""


class BuildSettings(BuildOptions):
    """An image that `up` builds and pushes into the environment's own registry."""

    secrets: Mapping[BuildSecretId, VariableName] = {}
    """By the ids that the Dockerfile mounts: the variables of whoever runs `up` that hold them."""
    repository_url: RepositoryUrl | None = None
    """An ECR repository that is there already, to push to; without it the image gets one of its own."""


class AuthSettings(Args):
    """Who may ask a fleet: programs by API keys, people by tokens of an OIDC issuer, or both."""

    api_keys: bool | None = None
    """Whether a secret is made for API keys, with a first one in it. Where it is not said: yes where there
    is no `oidc`, but no in the environment `local`, where nobody needs a key."""
    api_keys_secret: SecretName | None = None
    """Which secret, the fleet's own or the environment's, holds the keys in place of that one."""
    oidc: Oidc | None = None

    @model_validator(mode="after")
    def _keys_are_in_one_place(self) -> Self:
        if self.api_keys_secret is not None and self.api_keys is not None:
            raise ValueError(
                "`api_keys_secret` names the secret of the keys, and `api_keys` is about one that is made "
                "for them; leave one of the two out"
            )
        return self


class LlmSettings(LlmAccess):
    """A fleet's language models, and whose keys they are asked with."""

    secret: SecretName | None = None
    """Which secret, the fleet's own or the environment's, holds the keys of the LLM's vendors."""


class FleetSettings(FleetOptions):
    """One fleet; it uses whatever of cache, database and storage the environment has."""

    image: ImageReference | BuildSettings
    """One of the environment's `images` by its name, a ready image, by its digest where the environment is
    protected, or how to build one for this fleet alone."""
    worker: Worker | None = None
    """Where it is said, even as {}, the fleet has a queue and workers."""
    queue: QueueSettings = QueueSettings()
    secrets: Mapping[SecretName, SecretSettings] = {}
    """Secrets of this fleet alone."""
    llm: LlmSettings = LlmSettings()
    auth: AuthSettings = AuthSettings()
    synced_secrets: Sequence[SecretName] = ()
    """Which secrets, its own or the environment's, become Kubernetes secrets and environment variables."""
    identity: Literal["pod-identity", "irsa"] = "pod-identity"
    """How its pods get their AWS role: EKS Pod Identity, or IRSA, which Fargate needs (`cluster.irsa`)."""
    environment: Annotated[Mapping[VariableName, str], PLAIN] = {}
    """More variables; none that a field says, and no secret."""

    def kubernetes_name(self, fleet: str, secret: str) -> str:
        """What a synced secret is called in Kubernetes; one of the fleet's own by both names."""
        return f"{fleet}-{secret}" if secret in self.secrets else secret

    def llm_of(self, fleet: str) -> LlmAccess:
        """Its language models; the limits of a key of its own are its own."""
        llm = self.llm
        if llm.quota is None and llm.secret is not None and llm.secret in self.secrets:
            return llm.model_copy(update={"quota": fleet})
        return llm

    def makes_api_keys(self, environment: str) -> bool:
        """Whether a secret is made for its API keys."""
        auth = self.auth
        if auth.api_keys_secret is not None:
            return False
        return (auth.oidc is None and environment != "local") if auth.api_keys is None else auth.api_keys

    @model_validator(mode="after")
    def _queues_are_for_workers(self) -> Self:
        if self.worker is None and self.queue.model_fields_set:
            raise ValueError(
                "`queue` is for workers, and `worker` is not said; add `worker: {}`, or leave `queue` out"
            )
        return self

    @model_validator(mode="after")
    def _agents_fit_in(self) -> Self:
        queue = self.queue.existing or self.queue
        receives = queue.max_receives if self.worker else None
        found = list(unfit_agents(self.agents, max_receives=receives, environment=self.environment))
        if found:
            raise ValueError("; and ".join(found))
        return self

    @model_validator(mode="after")
    def _loses_no_task(self) -> Self:
        existing = self.queue.existing
        contract = self.task_contract(
            self.environment, queue_visibility=existing.visibility if existing else None
        )
        check_placements(
            (self.placement, self.worker.placement if self.worker else None),
            image_architectures(self.image),
            contract,
        )
        check_start(self.probes, contract)
        if self.worker is not None and existing is None:
            queue_contract(
                self.task_timeout,
                max_receives=self.queue.max_receives,
                retention_days=self.queue.retention_days,
                visibility=contract.visibility,
            )
        return self
