"""What a fleet's pods may do in AWS, and who may take their role: IAM statements as pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pulumi

from agent_infra.aws import policies
from agent_infra.aws.keys import via_service
from agent_infra.component import MaybeOutput, Problem
from agent_infra.fleet.connections import (
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
)
from agent_infra.outputs import computed

#: One role for a fleet: its API sends, its workers receive, and both run under one service account. To a
#: dead-letter queue it only sends: what is done with what lies there is people's business.
_QUEUE_ACTIONS = (
    "sqs:SendMessage",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
)
_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_DECRYPT = ("kms:Decrypt",)
#: Who writes makes a data key, and SQS and S3 open it again to check it.
_ENCRYPT = ("kms:Decrypt", "kms:GenerateDataKey")


class Access(Protocol):
    """What a fleet is connected to, of which its permissions follow."""

    @property
    def cache(self) -> CacheConnection | None: ...
    @property
    def database(self) -> DatabaseConnection | None: ...
    @property
    def queue(self) -> QueueConnection | None: ...
    @property
    def bucket(self) -> BucketConnection | None: ...
    @property
    def llm_secret_arn(self) -> MaybeOutput[str] | None: ...
    @property
    def llm_secret_kms_key_arn(self) -> MaybeOutput[str] | None: ...
    @property
    def api_keys_secret_arn(self) -> MaybeOutput[str] | None: ...
    @property
    def api_keys_secret_kms_key_arn(self) -> MaybeOutput[str] | None: ...
    @property
    def extra_policy_statements(self) -> Sequence[Mapping[str, Any]]: ...


def starred(access: Access) -> list[Problem]:
    """The connections whose ARN has a star: the role would hold more than its own."""
    arns = {
        "cache.secret_arn": access.cache and access.cache.secret_arn,
        "database.secret_arn": access.database and access.database.secret_arn,
        "queue.arn": access.queue and access.queue.arn,
        "queue.dead_letter_arn": access.queue and access.queue.dead_letter_arn,
        "bucket.arn": access.bucket and access.bucket.arn,
        "llm_secret_arn": access.llm_secret_arn,
        "api_keys_secret_arn": access.api_keys_secret_arn,
    }
    return [
        Problem(path, f"{arn!r} is wrong: say the whole ARN without * or ?; one role holds what it names")
        for path, arn in arns.items()
        if isinstance(arn, str) and ("*" in arn or "?" in arn)
    ]


def statements(access: Access, *, fleet: str) -> list[dict[str, Any]]:
    """The least that the fleet's connections need, and what was added."""
    secrets = _secrets(access)
    result = []
    if secrets:
        result.append(_allow("Secrets", ["secretsmanager:GetSecretValue"], [arn for arn, _ in secrets]))
    if access.queue:
        result.append(_allow("Queue", _QUEUE_ACTIONS, access.queue.arn))
        if access.queue.dead_letter_arn is not None:
            result.append(_allow("DeadLetters", ["sqs:SendMessage"], access.queue.dead_letter_arn))
    if access.bucket:
        result += _objects(access.bucket, access.bucket.prefix_of(fleet))
    keys = [key for _, key in secrets if key is not None]
    if keys:
        result.append(_keys("KeysOfSecrets", _DECRYPT, keys, service="secretsmanager"))
    if access.queue and access.queue.kms_key_arn is not None:
        result.append(_keys("KeyOfQueue", _ENCRYPT, [access.queue.kms_key_arn], service="sqs"))
    if access.bucket and access.bucket.kms_key_arn is not None:
        result.append(_keys("KeyOfBucket", _ENCRYPT, [access.bucket.kms_key_arn], service="s3"))
    return [*result, *(dict(statement) for statement in access.extra_policy_statements)]


def _secrets(access: Access) -> list[tuple[MaybeOutput[str], MaybeOutput[str] | None]]:
    """The secrets that the fleet reads, each with its key where that is one of one's own."""
    found: list[tuple[MaybeOutput[str], MaybeOutput[str] | None]] = [
        (connection.secret_arn, connection.secret_kms_key_arn)
        for connection in (access.cache, access.database)
        if connection is not None and connection.secret_arn is not None
    ]
    if access.llm_secret_arn is not None:
        found.append((access.llm_secret_arn, access.llm_secret_kms_key_arn))
    if access.api_keys_secret_arn is not None:
        found.append((access.api_keys_secret_arn, access.api_keys_secret_kms_key_arn))
    return found


def _allow(
    sid: str, actions: Sequence[str], resources: Any, conditions: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    more = {"Condition": dict(conditions)} if conditions else {}
    return {"Sid": sid, **policies.allow(actions, resources), **more}


def _objects(bucket: BucketConnection, prefix: str) -> list[dict[str, Any]]:
    """The objects under the prefix, and their list: a list is of the bucket, so a condition narrows it."""
    listed = {"StringLike": {"s3:prefix": f"{prefix}*"}} if prefix else None
    return [
        _allow("Objects", _OBJECT_ACTIONS, computed(bucket.arn, lambda arn: f"{arn}/{prefix}*")),
        _allow("ObjectList", ["s3:ListBucket"], bucket.arn, listed),
    ]


def _keys(
    sid: str, actions: Sequence[str], keys: Sequence[MaybeOutput[str]], *, service: str
) -> dict[str, Any]:
    """The keys, for calls that come through one service: nothing is decrypted past its permissions."""
    arns = pulumi.Output.all(*keys).apply(lambda known: sorted(set(known)))
    hosts = arns.apply(lambda known: sorted({via_service(service, arn) for arn in known}))
    return _allow(sid, actions, arns, {"StringEquals": {"kms:ViaService": hosts}})
