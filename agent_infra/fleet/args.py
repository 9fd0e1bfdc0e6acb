"""What can be said about a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

import pulumi
from pydantic import AfterValidator, Field, model_validator

from agent_infra.aws.arns import KmsKeyArn, OidcProviderArn
from agent_infra.component import Args, MaybeOutput, shaped
from agent_infra.contract import DEFAULT_TASK_SECONDS, LONGEST_TASK_SECONDS
from agent_infra.fleet.image import ImageBuild
from agent_infra.fleet.quantity import cpu_millis, memory_bytes


def _cpu(text: str) -> str:
    cpu_millis(text)
    return text


def _memory(text: str) -> str:
    memory_bytes(text)
    return text


Cpu = Annotated[str, AfterValidator(_cpu)]
Memory = Annotated[str, AfterValidator(_memory)]
#: A DNS label with room for the suffixes that Kubernetes and this library put behind it.
FleetName = Annotated[
    str,
    shaped(
        r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
        "up to 40 lower-case letters, digits and dashes, a letter first and no dash last",
    ),
]

#: No star: what is in it goes into an IAM document, where a star would be more than a letter.
BucketPrefix = Annotated[
    str,
    shaped(r"([A-Za-z0-9_.=-]+/)*", "names that each end in a slash, such as team/support/, without a star"),
]


class Resources(Args):
    """What one pod may use. The requests are reserved for it; above the limits it is slowed or ended."""

    cpu: Cpu = "250m"
    memory: Memory = "256Mi"
    cpu_limit: Cpu = "500m"
    memory_limit: Memory = "512Mi"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for request, limit, measure in (
            ("cpu", "cpu_limit", cpu_millis),
            ("memory", "memory_limit", memory_bytes),
        ):
            if measure(getattr(self, request)) > measure(getattr(self, limit)):
                raise ValueError(
                    f"{request} {getattr(self, request)} is above {limit} {getattr(self, limit)}; "
                    "lower the request or raise the limit"
                )
        return self


class Replicas(Args):
    """How many pods run: from `min` to `max` an autoscaler decides; where they are equal there is none."""

    min: int = Field(default=3, ge=1, le=1000)
    max: int = Field(default=10, ge=1, le=1000)
    target_cpu: int = Field(default=70, ge=1, le=100)
    """The share of the CPU request, in percent, that the autoscaler aims at."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; lower min or raise max")
        return self


class Worker(Args):
    """The pods that work on queued tasks."""

    replicas: Replicas = Replicas(min=1)
    resources: Resources = Resources()


class SecretKey(Args):
    """One entry of a Kubernetes secret."""

    name: str
    key: str
    optional: bool = False
    """Whether a pod starts without it."""


class SyncedSecret(Args):
    """A Kubernetes secret that somebody else keeps and changes, such as a `SecretSync`."""

    name: MaybeOutput[str]
    environment: bool = True
    """Whether each of its keys becomes an environment variable; the fleet's own settings win over them.
    Without, it only makes the pods be replaced when it changes: for what they read at their start."""
    optional: bool = False
    """Whether a pod starts without it."""


def _address(*schemes: str) -> AfterValidator:
    """Checks a data service's address: a password in it would be told in state and settings."""

    def check(url: MaybeOutput[str]) -> MaybeOutput[str]:
        if isinstance(url, pulumi.Output):
            return url
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"say an address such as {schemes[0]}://host.example.com")
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise ValueError(
                'the address holds a password; put it as {"password": "..."} into a secret in Secrets '
                "Manager, and name that in `secret_arn`"
            )
        return url

    return AfterValidator(check)


class CacheConnection(Args):
    """A Redis that the fleet uses, such as a `RedisCache`'s."""

    url: Annotated[MaybeOutput[str], _address("rediss", "redis")]
    secret_arn: MaybeOutput[str] | None = None
    secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts the secret; AWS's managed one asks for no permission."""


class DatabaseConnection(Args):
    """A Postgres that the fleet uses, such as a `Database`'s."""

    url: Annotated[MaybeOutput[str], _address("postgresql", "postgres")]
    secret_arn: MaybeOutput[str] | None = None
    pool_size: int | None = Field(default=None, ge=0, le=100)
    """The connections that each process may keep; 0 keeps none between uses, None is the service's own."""
    secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts the secret."""


class QueueConnection(Args):
    """A queue that the fleet works on, such as a `WorkQueue`'s."""

    url: MaybeOutput[str]
    arn: MaybeOutput[str]
    max_receives: int = Field(default=5, ge=1, le=1000)
    """How often the queue hands a task out before it goes to the dead-letter queue."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts the messages, such as `WorkQueue.kms_key_arn`; also those of the
    dead-letter queue."""
    dead_letter_url: MaybeOutput[str] | None = None
    """Where the service sends a task that failed for good, and why it did, such as
    `WorkQueue.dead_letter_url`; without it SQS moves the task there, later and without a reason."""
    dead_letter_arn: MaybeOutput[str] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.dead_letter_url is None) != (self.dead_letter_arn is None):
            raise ValueError(
                "dead_letter_url and dead_letter_arn are one queue's: the pods send to the URL, and their "
                "role names the ARN; say both or neither"
            )
        return self


class BucketConnection(Args):
    """A bucket for what the agents make, such as a `ArtifactStore`'s."""

    name: MaybeOutput[str]
    arn: MaybeOutput[str]
    prefix: BucketPrefix | None = None
    """Which objects are the fleet's, and the only ones it may touch: those under its name, such as
    `support/`, where it is not said. An empty text is the whole bucket, other fleets' objects too."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts the objects."""

    def prefix_of(self, fleet: str) -> str:
        """What the keys of a fleet's objects begin with."""
        return f"{fleet}/" if self.prefix is None else self.prefix


class Oidc(Args):
    """An OpenID Connect issuer whose tokens let people in. A token's subject owns what is made with it."""

    issuer: Annotated[
        str,
        shaped(
            r"https://[^\s?#@]+|http://(localhost|127\.0\.0\.1)(:\d+)?(/[^\s?#@]*)?",
            "the issuer's URL as its tokens say it, such as https://login.example.com/realms/agents",
        ),
    ]
    audience: Annotated[
        str, shaped(r"[\x21-\x2b\x2d-\x7e]+", "what the tokens' `aud` must be, such as agents")
    ]
    owner_claim: str | None = None
    """Which claim names the owner; `sub` where it is not said."""
    scope: Annotated[str, shaped(r"[\x21\x23-\x5b\x5d-\x7e]+", "one scope, such as agents:use")] | None = None
    """A scope without which a token is not enough."""


class AgentFleetArgs(Args):
    """The arguments of `AgentFleet`."""

    image: str | ImageBuild | pulumi.Output[str]
    """A ready image, best by its digest (`repository@sha256:...`), or how to build one."""
    fleet_name: FleetName | None = None
    """What the Kubernetes objects are called; the component's name where it is not said."""
    namespace: MaybeOutput[str] = "default"
    part_of: str | None = None
    """The label app.kubernetes.io/part-of; the fleet's name where it is not said."""
    environment_name: str | None = None
    """Such as dev; the stack's name where it is not said."""

    command: Sequence[str] = ("agent-app", "serve")
    worker_command: Sequence[str] = ("agent-app", "work")
    migrate_command: Sequence[str] = ("agent-app", "migrate")
    """Run in every pod before it starts, where there is a database."""
    port: int = Field(default=8000, ge=1024, le=65535)
    """Where the container listens; below 1024 it would need to be root."""
    service_port: int = Field(default=80, ge=1, le=65535)
    replicas: Replicas = Replicas()
    resources: Resources = Resources()
    worker: Worker = Worker()
    """Used where there is a queue."""
    task_timeout: int = Field(default=DEFAULT_TASK_SECONDS, ge=1, le=LONGEST_TASK_SECONDS)
    """The longest a task or a request may take, in seconds; pods are given that long to end."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    cache: CacheConnection | None = None
    database: DatabaseConnection | None = None
    queue: QueueConnection | None = None
    bucket: BucketConnection | None = None
    llm_secret_arn: MaybeOutput[str] | None = None
    """A Secrets Manager secret: a JSON object with any of OPENAI_API_KEY, ANTHROPIC_API_KEY, LLM_API_KEY."""
    llm_secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts that secret."""
    api_keys_secret_arn: MaybeOutput[str] | None = None
    """A Secrets Manager secret: a JSON object of names and API keys, each of 20 characters or more, that let
    programs in. Outside the environment `local` the service does not start without this or `oidc`."""
    api_keys_secret_kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """The key of one's own that encrypts that secret."""
    oidc: Oidc | None = None
    """Whose tokens let people in."""
    model: str | None = None
    """The model as pydantic-ai names it, such as anthropic:claude-sonnet-4-5; else the service's default."""
    secret_environment: Mapping[str, SecretKey] = {}
    """Environment variables out of Kubernetes secrets, such as LLM_API_KEY from agent-secrets/llm-api-key."""
    kubernetes_secrets: Mapping[str, Mapping[str, pulumi.Output[Any]]] = {}
    """Kubernetes secrets to make: a name to its keys and their values, as `Output`s. The pods are replaced
    when a value changes."""
    synced_secrets: Sequence[SyncedSecret] = ()
    """Kubernetes secrets that are there, such as `SecretSync.synced`: the pods are replaced when one changes,
    also behind Pulumi's back, where Reloader runs."""
    secret_versions: Mapping[str, MaybeOutput[str]] = {}
    """What tells that a secret which the pods read themselves was written anew, such as `Secrets.versions`:
    the pods are replaced by the `up` that changes it."""

    cluster_name: MaybeOutput[str] | None = None
    """The EKS cluster in which the pods get an AWS role of their own, by EKS Pod Identity."""
    oidc_provider_arn: MaybeOutput[OidcProviderArn] | None = None
    """The cluster's OIDC provider in IAM: the pods get their role by it (IRSA) and not by Pod Identity,
    as Fargate and clusters without the Pod Identity agent need. Without either they have no role."""
    region: MaybeOutput[str] | None = None
    """Where the pods call AWS."""

    extra_environment: Mapping[str, MaybeOutput[str]] = {}
    """More environment variables; they win over the fleet's own."""
    extra_pod_spec: Mapping[str, Any] = {}
    """Merged into each pod's spec, in Kubernetes' own names: mappings are merged, lists of named things
    are merged by name, all else is replaced. The container is called `agent`."""
    extra_policy_statements: Sequence[Mapping[str, Any]] = ()
    """More IAM statements for the pods' role."""
    tags: Mapping[str, str] = {}
    """On what AWS keeps for the fleet."""
