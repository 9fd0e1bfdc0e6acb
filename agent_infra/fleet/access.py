"""What a fleet's pods may do in AWS, and who may take their role: IAM statements as pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pulumi

from agent_infra.aws import policies
from agent_infra.component import MaybeOutput, Problem
from agent_infra.fleet.args import (
    BucketConnection,
    CacheConnection,
    DatabaseConnection,
    QueueConnection,
)

#: One role for a fleet: its API sends, its workers receive, and both run under one service account. A
#: dead-letter queue is not the fleet's business: SQS itself moves messages there.
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
_WEB_IDENTITY_AUDIENCE = "sts.amazonaws.com"


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
    def extra_policy_statements(self) -> Sequence[Mapping[str, Any]]: ...


def starred(access: Access) -> list[Problem]:
    """The connections whose ARN has a star: the role would hold more than its own."""
    arns = {
        "cache.secret_arn": access.cache and access.cache.secret_arn,
        "database.secret_arn": access.database and access.database.secret_arn,
        "queue.arn": access.queue and access.queue.arn,
        "bucket.arn": access.bucket and access.bucket.arn,
        "llm_secret_arn": access.llm_secret_arn,
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
        _allow("Objects", _OBJECT_ACTIONS, pulumi.Output.concat(bucket.arn, "/", prefix, "*")),
        _allow("ObjectList", ["s3:ListBucket"], bucket.arn, listed),
    ]


def _keys(
    sid: str, actions: Sequence[str], keys: Sequence[MaybeOutput[str]], *, service: str
) -> dict[str, Any]:
    """The keys, for calls that come through one service: nothing is decrypted past its permissions."""
    arns = pulumi.Output.all(*keys).apply(lambda known: sorted(set(known)))
    hosts = arns.apply(lambda known: sorted({via_service(service, arn) for arn in known}))
    return _allow(sid, actions, arns, {"StringEquals": {"kms:ViaService": hosts}})


def via_service(service: str, key_arn: str) -> str:
    """What `kms:ViaService` reads when a service in the key's region uses the key.

    See https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service.
    """
    _, partition, _, region, *_ = key_arn.split(":")
    return f"{service}.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


def pod_identity_trust(
    *,
    account: MaybeOutput[str],
    cluster_arn: MaybeOutput[str],
    namespace: MaybeOutput[str],
    service_account: MaybeOutput[str],
) -> pulumi.Output[str]:
    """EKS may hand the role to one service account of one cluster, and to no other that asks it to.

    Without conditions whoever may make associations in the account could give the role to their pods.
    The tags are those that EKS sends with every request:
    https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html. `aws:SourceArn` is left out, for
    what exchanges a pod's token in the pod's place, such as the S3 CSI driver, sends none that fits
    (awslabs/mountpoint-s3-csi-driver#781).
    """
    return policies.document(
        {
            "Sid": "PodIdentity",
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": account,
                    "aws:RequestTag/eks-cluster-arn": cluster_arn,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        }
    )


def web_identity_trust(
    *,
    oidc_provider_arn: MaybeOutput[str],
    namespace: MaybeOutput[str],
    service_account: MaybeOutput[str],
) -> pulumi.Output[str]:
    """One service account's tokens may be exchanged for the role (IRSA)."""

    def written(values: Sequence[str]) -> pulumi.Output[str]:
        arn, namespace, account = values
        issuer = arn.partition(":oidc-provider/")[2]
        return policies.document(
            {
                "Sid": "WebIdentity",
                "Effect": "Allow",
                "Principal": {"Federated": arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{issuer}:sub": f"system:serviceaccount:{namespace}:{account}",
                        f"{issuer}:aud": _WEB_IDENTITY_AUDIENCE,
                    }
                },
            }
        )

    return pulumi.Output.all(oidc_provider_arn, namespace, service_account).apply(written)
