"""`ArtifactStore`: a private bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
from pydantic import Field

from agent_infra.aws import policies
from agent_infra.component import Args, Component


class ArtifactStoreOptions(Args):
    """What an environment may say about its bucket."""

    expire_after_days: int | None = Field(default=None, ge=1)
    """When an object is deleted; null keeps it for ever."""
    old_versions_days: int = Field(default=30, ge=1)
    """How long an overwritten or deleted object can be brought back."""


class ArtifactStoreArgs(ArtifactStoreOptions):
    """The arguments of `ArtifactStore`."""

    deletion_protection: bool = True
    """Whether a bucket that still holds objects cannot be deleted."""
    tags: Mapping[str, str] = {}


class ArtifactStore(Component):
    """An S3 bucket that nobody reads in public: versioned, encrypted, spoken to over TLS alone.

    Raises:
        ArgsError: an argument is wrong.
    """

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: ArtifactStoreArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        args = ArtifactStoreArgs.parse(args or {}, owner=f"ArtifactStore {name!r}")
        super().__init__("ArtifactStore", name, opts, tags=args.tags, formerly=("Storage",))
        bucket = aws.s3.Bucket(
            name,
            force_destroy=not args.deletion_protection,
            tags=self._tags(name),
            opts=self._opts(),
        )
        closed = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._opts(),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self._opts(),
        )
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self._opts(),
        )
        expiry = {} if args.expire_after_days is None else {"expiration": {"days": args.expire_after_days}}
        rule: Any = {
            "id": "expire",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            "noncurrent_version_expiration": {"noncurrent_days": args.old_versions_days},
            **expiry,
        }
        aws.s3.BucketLifecycleConfiguration(
            name, bucket=bucket.id, rules=[rule], opts=self._opts(depends_on=[versioning])
        )
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=policies.document(
                policies.deny_plain_http("s3:*", [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")])
            ),
            # S3 refuses two changes of one bucket's access at once.
            opts=self._opts(depends_on=[closed]),
        )
        self.bucket = bucket.bucket
        self.arn = bucket.arn
        self.register_outputs({"bucket": self.bucket, "arn": self.arn})
