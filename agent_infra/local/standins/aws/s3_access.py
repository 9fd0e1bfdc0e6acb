"""S3: who owns a bucket's objects, the log of who asked for them, and how many did."""

from __future__ import annotations

from agent_infra.local.standins.aws.cloud import Cloud
from agent_infra.local.standins.aws.table import MOTO_DROPS, NO_EFFECT, Call, Input, Row, Setter, because
from agent_infra.local.standins.server import Properties

_OF_BUCKET = {"Bucket": "{bucket}"}
_BUCKET = Input("Bucket", live="", required=True, replaces=True)
_RULES = "OwnershipControls.Rules"


def _as_list(rule: Properties) -> list[Properties]:
    return [{"ObjectOwnership": rule["objectOwnership"]}]


def _first(rules: list[Properties]) -> Properties:
    return {"objectOwnership": rules[0]["ObjectOwnership"]}


OWNERSHIP = Row(
    type="aws:s3/bucketOwnershipControls:BucketOwnershipControls",
    service="s3",
    inputs={"bucket": _BUCKET, "rule": Input(_RULES, required=True, to=_as_list, back=_first)},
    create=Call("put_bucket_ownership_controls"),
    id="{bucket}",
    id_parts=("bucket",),
    read=Call("get_bucket_ownership_controls", _OF_BUCKET),
    setters=(Setter("put_bucket_ownership_controls", {"rule": _RULES}, _OF_BUCKET),),
    delete=Call("delete_bucket_ownership_controls", _OF_BUCKET),
)


def _read_logging(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    live = cloud.call("s3", "get_bucket_logging", Bucket=id).get("LoggingEnabled")
    if not live:
        return None
    return {"bucket": id, "targetBucket": live["TargetBucket"], "targetPrefix": live.get("TargetPrefix", "")}


def _stop_logging(cloud: Cloud, id: str, _known: Properties) -> None:
    cloud.call("s3", "put_bucket_logging", Bucket=id, BucketLoggingStatus={})


_TARGET = {
    "targetBucket": "BucketLoggingStatus.LoggingEnabled.TargetBucket",
    "targetPrefix": "BucketLoggingStatus.LoggingEnabled.TargetPrefix",
}
LOGGING = Row(
    type="aws:s3/bucketLogging:BucketLogging",
    service="s3",
    inputs={"bucket": _BUCKET, **{name: Input(path, required=True) for name, path in _TARGET.items()}},
    unsimulated={
        **because(MOTO_DROPS, "targetGrants targetObjectKeyFormat"),
        **because(NO_EFFECT, "expectedBucketOwner"),
    },
    create=Call("put_bucket_logging"),
    id="{bucket}",
    id_parts=("bucket",),
    read_with=_read_logging,
    setters=(Setter("put_bucket_logging", _TARGET, _OF_BUCKET, whole=True),),
    delete_with=_stop_logging,
)

METRIC = Row(
    type="aws:s3/bucketMetric:BucketMetric",
    service="s3",
    inputs={
        "bucket": Input(required=True, replaces=True),
        "filter": Input(),
        "name": Input(required=True, replaces=True),
    },
    id="{bucket}:{name}",
    recorded="moto counts no requests: it is recorded",
)

ROWS = (OWNERSHIP, LOGGING, METRIC)
