"""`ArtifactStore`: a bucket that is closed, versioned and encrypted."""

from __future__ import annotations

from agent_infra import (
    ArtifactStore,
)
from tests.unit.components import made


def test_a_bucket_is_closed_versioned_and_encrypted() -> None:
    recorded = made(ArtifactStore, {"expire_after_days": 30})
    block = recorded.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    assert all(value is True for key, value in block.items() if key != "bucket")
    versioning = recorded.one("aws:s3/bucketVersioning:BucketVersioning").inputs
    assert versioning["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = recorded.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration").inputs["rules"]
    assert rule["expiration"] == {"days": 30}
    assert recorded.one("aws:s3/bucket:Bucket").inputs["forceDestroy"] is False
