"""Cases of the stand-in's s3 rows."""

from __future__ import annotations

import json

from agent_infra.local.standins.server import Properties
from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case, World, allow


def _encryption(world: World) -> Properties:
    rule = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}, "bucketKeyEnabled": True}
    return {"bucket": world.bucket(), "rules": [rule]}


def _encryption_rule(algorithm: str) -> Properties:
    return {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm}}]}


def _lifecycle_rules(days: int) -> Properties:
    return {
        "rules": [
            {
                "id": "old",
                "status": "Enabled",
                "filter": {"prefix": "artifacts/"},
                "expiration": {"days": days},
                "noncurrentVersionExpiration": {"noncurrentDays": 7},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 3},
                "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}],
            }
        ]
    }


def _ownership(value: str) -> Properties:
    return {"rule": {"objectOwnership": value}}


def _logging(world: World) -> Properties:
    logs = world.bucket()
    delivery = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": ["s3:PutObject"],
        "Resource": f"arn:aws:s3:::{logs}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [delivery]})
    world.make("aws:s3/bucketPolicy:BucketPolicy", bucket=logs, policy=policy)
    return {"bucket": world.bucket(), "targetBucket": logs, "targetPrefix": "it/"}


CASES: dict[str, Case] = {
    "aws:s3/bucket:Bucket": Case(lambda w: {"forceDestroy": True, **TAGS}, NEW_TAGS, {"forceDestroy"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Case(
        lambda w: {
            "bucket": w.bucket(),
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        {"blockPublicAcls": False},
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Case(
        _encryption, _encryption_rule("AES256")
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Case(
        lambda w: {"bucket": w.bucket(), "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
        stays=True,
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Case(
        lambda w: {"bucket": w.bucket(), **_lifecycle_rules(90)}, _lifecycle_rules(60)
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Case(
        lambda w: {"bucket": w.bucket(), **_ownership("BucketOwnerEnforced")}, _ownership("ObjectWriter")
    ),
    "aws:s3/bucketLogging:BucketLogging": Case(_logging, {"targetPrefix": "other/"}),
    "aws:s3/bucketMetric:BucketMetric": Case(
        lambda w: {"bucket": w.bucket(), "name": "all"}, {"filter": {"prefix": "results/"}}
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Case(
        lambda w: {"bucket": w.bucket(), "policy": allow("s3:GetObject", Principal="*")},
        {"policy": allow(["s3:GetObject", "s3:PutObject"], Principal="*")},
    ),
}
