"""`ArtifactStore`: a private bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import pulumi
import pulumi_aws as aws
from pydantic import Field, field_validator, model_validator

from agent_infra.aws import bucket_rules, policies
from agent_infra.aws.alarms import Alarms, Watch, watch
from agent_infra.aws.arns import KmsKeyArn
from agent_infra.component import Args, ArgsError, Component, MaybeOutput, Problem

#: What Pulumi adds to a logical name: a dash and seven random characters.
_SUFFIX = "-0123456"

#: The name of the metrics of all the bucket's requests.
_ALL_REQUESTS = "all-requests"
_WATCHES = (
    Watch(
        name="failing",
        metric="5xxErrors",
        # Its average is the share of requests that fail.
        statistic="Average",
        threshold=0.01,
        periods=15,
        description="S3 has failed more than 1 % of the requests for a quarter of an hour: see AWS's health "
        "dashboard, and whether clients try again more slowly.",
    ),
)


class ArtifactStoreOptions(Args):
    """What an environment may say about its bucket. Every change of them is made in place."""

    expire_after_days: int | None = Field(default=None, ge=1)
    """When an object is deleted; null keeps it for ever."""
    old_versions_days: int = Field(default=30, ge=1)
    """How long an overwritten or deleted object can be brought back. Old versions cost what objects cost."""
    transition: bucket_rules.Transition = "none"
    """Where objects move to cost less, from about 0.023 USD a GB a month. `intelligent-tiering` moves each by
    its use, for 0.0025 USD a month per 1,000 objects of 128 KB and more; `glacier-ir` costs 0.004 USD a GB
    to keep and 0.03 USD a GB to read, with 90 days paid at least."""
    transition_after_days: int = Field(default=30, ge=0)
    """How old an object is when it moves; nothing moves with `transition: none`."""
    access_log_bucket: MaybeOutput[str] | None = None
    """The name of another bucket of the same account and region, for a record of every request to this one.
    It has to let S3 write, as an `ArtifactStore` with `receives_access_logs` does. The logs cost their
    storage."""
    access_log_prefix: str | None = Field(default=None, min_length=1, max_length=512)
    """What the logs' keys begin with; the store's name and a slash where it is not said."""
    request_metrics: bool = False
    """Whether CloudWatch counts requests, errors and times by the minute: about 16 metrics of 0.30 USD a
    month. `alarms` watch the errors."""
    receives_access_logs: bool = False
    """Whether S3 may write the access logs of the account's other buckets into this one."""

    @field_validator("access_log_bucket")
    @classmethod
    def _possible_bucket(cls, bucket: MaybeOutput[str] | None) -> MaybeOutput[str] | None:
        if isinstance(bucket, str) and (problem := bucket_rules.name_problem(bucket)):
            raise ValueError(problem)
        return bucket

    @model_validator(mode="after")
    def _together(self) -> Self:
        problem = bucket_rules.expiry_problem(
            expire_after_days=self.expire_after_days,
            transition=self.transition,
            after_days=self.transition_after_days,
        )
        if problem:
            raise ValueError(problem)
        if self.access_log_prefix is not None and self.access_log_bucket is None:
            raise ValueError(
                f"access_log_prefix: {self.access_log_prefix!r} says how logs are named and there is no "
                "`access_log_bucket`; say which bucket they go to, or leave the prefix out"
            )
        if self.receives_access_logs and self.access_log_bucket is not None:
            raise ValueError(
                "access_log_bucket: a bucket that receives access logs cannot log its own deliveries without "
                "end; leave `access_log_bucket` or `receives_access_logs` out"
            )
        return self


class ArtifactStoreArgs(ArtifactStoreOptions):
    """The arguments of `ArtifactStore`."""

    bucket_name: str | None = None
    """Its name in AWS, one of a kind in the world; Pulumi makes one where it is not said. Changing it
    replaces the bucket."""
    kms_key_arn: MaybeOutput[KmsKeyArn] | None = None
    """A KMS key of one's own for new objects; without it S3's own encryption, which is free. Changing it is
    done in place: objects that are there keep their key, which must not be deleted while they are read."""
    alarms: Alarms | None = None
    """Whom to tell when S3 fails requests, with `request_metrics`; None watches nothing."""
    deletion_protection: bool = True
    """Whether a bucket that still holds objects cannot be deleted."""
    tags: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _possible_name(self) -> Self:
        if self.bucket_name is not None and (
            problem := bucket_rules.name_problem(self.bucket_name, dots=False)
        ):
            raise ValueError(f"bucket_name: {self.bucket_name!r} is wrong: {problem}")
        return self

    @model_validator(mode="after")
    def _logs_can_be_written(self) -> Self:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
        if self.receives_access_logs and self.kms_key_arn is not None:
            raise ValueError(
                "kms_key_arn: S3 writes no access logs into a bucket whose default encryption is a KMS key; "
                "leave `kms_key_arn` out (S3 encrypts it itself), or `receives_access_logs`"
            )
        return self


class ArtifactStore(Component):
    """An S3 bucket that nobody reads in public: versioned, encrypted, spoken to over TLS alone.

    Access control lists are off: whoever uploads, the bucket's account owns the object, and policies alone
    say who may read.

    Raises:
        ArgsError: an argument or the name is wrong.
    """

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]
    kms_key_arn: pulumi.Output[str] | None
    """The key of one's own: whoever reads needs `kms:Decrypt` of it, whoever writes `kms:GenerateDataKey`."""

    def __init__(
        self,
        name: str,
        args: ArtifactStoreArgs | Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        owner = f"ArtifactStore {name!r}"
        args = ArtifactStoreArgs.parse(args or {}, owner=owner)
        if args.bucket_name is None:
            _check_logical(name, owner=owner)
        super().__init__("ArtifactStore", name, opts, tags=args.tags, formerly=("Storage",))
        bucket = aws.s3.Bucket(
            name,
            bucket=args.bucket_name,
            force_destroy=not args.deletion_protection,
            tags=self._tags(name),
            opts=self._opts(protect=args.deletion_protection),
        )
        encryption: Any = bucket_rules.encryption_rule(args.kms_key_arn)
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[encryption],
            opts=self._opts(),
        )
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self._opts(),
        )
        rule: Any = bucket_rules.lifecycle_rule(
            expire_after_days=args.expire_after_days,
            old_versions_days=args.old_versions_days,
            transition=args.transition,
            after_days=args.transition_after_days,
        )
        aws.s3.BucketLifecycleConfiguration(
            name, bucket=bucket.id, rules=[rule], opts=self._opts(depends_on=[versioning])
        )
        policy = self._access(bucket, receives_logs=args.receives_access_logs)
        if args.access_log_bucket is not None:
            aws.s3.BucketLogging(
                name,
                bucket=bucket.id,
                target_bucket=args.access_log_bucket,
                target_prefix=args.access_log_prefix or f"{name}/",
                opts=self._opts(),
            )
        if args.request_metrics:
            self._metrics(bucket, args.alarms)
        self.bucket = bucket.bucket
        if args.receives_access_logs:
            # Whoever sends logs here can do so only once the policy lets them.
            self.bucket = pulumi.Output.all(bucket.bucket, policy.id).apply(lambda both: str(both[0]))
        self.arn = bucket.arn
        self.kms_key_arn = None if args.kms_key_arn is None else pulumi.Output.from_input(args.kms_key_arn)
        self.register_outputs({"bucket": self.bucket, "arn": self.arn, "kmsKeyArn": self.kms_key_arn})

    def _access(self, bucket: aws.s3.Bucket, *, receives_logs: bool) -> aws.s3.BucketPolicy:
        """Who may do what; one after the other, as S3 refuses two changes of one bucket's access at once."""
        closed = aws.s3.BucketPublicAccessBlock(
            self._name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._opts(),
        )
        owned = aws.s3.BucketOwnershipControls(
            self._name,
            bucket=bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._opts(depends_on=[closed]),
        )
        objects = pulumi.Output.concat(bucket.arn, "/*")
        statements = [policies.deny_plain_http("s3:*", [bucket.arn, objects])]
        if receives_logs:
            caller = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self))
            statements.insert(0, bucket_rules.log_delivery(objects=objects, account=caller.account_id))
        return aws.s3.BucketPolicy(
            self._name,
            bucket=bucket.id,
            policy=policies.document(*statements),
            opts=self._opts(depends_on=[closed, owned]),
        )

    def _metrics(self, bucket: aws.s3.Bucket, alarms: Alarms | None) -> None:
        aws.s3.BucketMetric(self._name, bucket=bucket.id, name=_ALL_REQUESTS, opts=self._opts())
        watch(
            self,
            _WATCHES,
            alarms=alarms,
            namespace="AWS/S3",
            dimensions={"BucketName": bucket.bucket, "FilterId": _ALL_REQUESTS},
        )


def _check_logical(name: str, *, owner: str) -> None:
    """Pulumi makes the bucket's name out of the component's; it has to be one that S3 takes."""
    problem = bucket_rules.name_problem(f"{name.lower()}{_SUFFIX}")
    if problem:
        whole = f"{name!r} and the {len(_SUFFIX)} characters that Pulumi adds are wrong"
        raise ArgsError(owner, [Problem("name", f"{whole}: {problem}, or set `bucket_name`")])
