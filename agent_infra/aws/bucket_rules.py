"""What S3 allows a bucket: names, lifecycle rules, and who may write logs; pure functions."""

from __future__ import annotations

import re
from typing import Any, Literal

from agent_infra.component import MaybeOutput

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
SHORTEST_NAME, LONGEST_NAME = 3, 63
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.))*[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")

Transition = Literal["none", "intelligent-tiering", "glacier-ir"]
_STORAGE_CLASSES = {"intelligent-tiering": "INTELLIGENT_TIERING", "glacier-ir": "GLACIER_IR"}


def name_problem(name: str, *, dots: bool = True) -> str | None:
    """What is wrong with a bucket's name, in a sentence; None where nothing is.

    `dots` says whether dots are fine: they keep browsers and SDKs from checking S3's certificate.
    """
    if not SHORTEST_NAME <= len(name) <= LONGEST_NAME:
        return f"it has {len(name)} characters; S3 takes {SHORTEST_NAME} to {LONGEST_NAME}"
    if not _NAME.fullmatch(name) or _ADDRESS.fullmatch(name):
        return (
            "lower-case letters, digits and dashes are allowed, a letter or digit at both ends; "
            "say one such as acme-artifacts"
        )
    if not dots and "." in name:
        return "with a dot in it S3's certificate does not match; say dashes in place of dots"
    for reserved in _RESERVED_STARTS:
        if name.startswith(reserved):
            return f"names that begin with {reserved} are S3's own; begin it otherwise"
    for reserved in _RESERVED_ENDS:
        if name.endswith(reserved):
            return f"names that end with {reserved} are S3's own; end it otherwise"
    return None


def expiry_problem(*, expire_after_days: int | None, transition: Transition, after_days: int) -> str | None:
    """What is wrong with when objects move and when they go; None where nothing is."""
    if transition == "none" or expire_after_days is None or expire_after_days > after_days:
        return None
    return (
        f"expire_after_days: {expire_after_days} is wrong: objects move to {transition} after {after_days} "
        f"days and S3 deletes them only later than that; say {after_days + 1} or more, or less in "
        "`transition_after_days`"
    )


def lifecycle_rule(
    *, expire_after_days: int | None, old_versions_days: int, transition: Transition, after_days: int
) -> dict[str, Any]:
    """The bucket's one rule: what moves, what expires, and what is tidied up."""
    rule: dict[str, Any] = {
        "id": "expire",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        "noncurrent_version_expiration": {"noncurrent_days": old_versions_days},
        # A deletion leaves a marker; once the versions below it are gone nothing else removes it.
        "expiration": (
            {"expired_object_delete_marker": True}
            if expire_after_days is None
            else {"days": expire_after_days}
        ),
    }
    if transition != "none":
        rule["transitions"] = [{"days": after_days, "storage_class": _STORAGE_CLASSES[transition]}]
    return rule


def encryption_rule(kms_key_arn: MaybeOutput[str] | None) -> dict[str, Any]:
    """How new objects are encrypted: by S3, or with a key of one's own and few calls of KMS."""
    if kms_key_arn is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {
            "sse_algorithm": "aws:kms",
            "kms_master_key_id": kms_key_arn,
        },
        # One call of KMS serves many objects; without it each object costs one.
        "bucket_key_enabled": True,
    }


def log_delivery(*, objects: MaybeOutput[str], account: MaybeOutput[str]) -> dict[str, Any]:
    """The bucket policy's statement that lets S3 write the access logs of the account's other buckets.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    return {
        "Sid": "AccessLogDelivery",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": ["s3:PutObject"],
        "Resource": objects,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
