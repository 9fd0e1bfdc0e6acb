"""The data services that a fleet uses, made here or there already."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import parse_qs, urlsplit

import pulumi
from pydantic import AfterValidator, Field, model_validator

from agent_infra.aws.arns import KmsKeyArn
from agent_infra.component import Args, MaybeOutput, shaped
from agent_infra.contract import SQS_LONGEST_VISIBILITY_SECONDS

#: No star: what is in it goes into an IAM document, where a star would be more than a letter.
BucketPrefix = Annotated[
    str,
    shaped(r"([A-Za-z0-9_.=-]+/)*", "names that each end in a slash, such as team/support/, without a star"),
]


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
    visibility: int | None = Field(default=None, ge=1, le=SQS_LONGEST_VISIBILITY_SECONDS)
    """Its visibility timeout, in seconds, which is then compared with the longest task. Where it is not said
    it is no matter: a worker says with each message how long it is hidden."""
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
