"""S3: buckets and their settings."""

from __future__ import annotations

from typing import Any

from agent_infra.local.standins.aws import s3_access
from agent_infra.local.standins.aws.cloud import Cloud, Gone
from agent_infra.local.standins.aws.table import NO_EFFECT, AutoName, Call, Input, Row, Setter, Tags, because
from agent_infra.local.standins.aws.values import POLICY, SET, camel, pascal, tag_list, tag_map
from agent_infra.local.standins.server import Properties

_OWN_TYPE = "not simulated as a part of the bucket: use the resource type of its own (aws.s3.Bucket...)"


def _create_bucket(cloud: Cloud, _name: str, inputs: Properties) -> str:
    place: Properties = {}
    if cloud.region != "us-east-1":
        place["CreateBucketConfiguration"] = {"LocationConstraint": cloud.region}
    if inputs.get("objectLockEnabled"):
        place["ObjectLockEnabledForBucket"] = True
    name: str = inputs["bucket"]
    cloud.call("s3", "create_bucket", Bucket=name, **place)
    return name


def _read_bucket(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    cloud.call("s3", "head_bucket", Bucket=id)
    return {
        "bucket": id,
        "arn": f"arn:aws:s3:::{id}",
        "bucketDomainName": f"{id}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{id}.s3.{cloud.region}.amazonaws.com",
        "bucketRegion": cloud.region,
    }


def _empty(cloud: Cloud, id: str, known: Properties) -> None:
    if not known.get("forceDestroy"):
        return
    while True:
        page = cloud.call("s3", "list_object_versions", Bucket=id)
        objects = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        ]
        if not objects:
            return
        cloud.call("s3", "delete_objects", Bucket=id, Delete={"Objects": objects})


BUCKET = Row(
    type="aws:s3/bucket:Bucket",
    service="s3",
    inputs={
        "bucket": Input(replaces=True),
        "bucketPrefix": Input(replaces=True),
        "forceDestroy": Input(default=False),
        "objectLockEnabled": Input(replaces=True, computed=True),
    },
    unsimulated={
        **because(
            _OWN_TYPE,
            "accelerationStatus acl corsRules grants lifecycleRules logging objectLockConfiguration policy "
            "replicationConfiguration requestPayer serverSideEncryptionConfiguration versioning website",
        ),
        **because(NO_EFFECT, "bucketNamespace"),
    },
    more_outputs="arn bucketDomainName bucketRegionalDomainName bucketRegion",
    id="{bucket}",
    create_with=_create_bucket,
    read_with=_read_bucket,
    before_delete=_empty,
    delete=Call("delete_bucket", {"Bucket": "{id}"}),
    tags=Tags(
        Call("put_bucket_tagging", {"Bucket": "{id}"}),
        Call("delete_bucket_tagging", {"Bucket": "{id}"}),
        Call("get_bucket_tagging", {"Bucket": "{id}"}, "TagSet"),
        parameter="Tagging.TagSet",
        whole=True,
    ),
    autoname=AutoName("bucket", limit=63, lower=True, prefix_property="bucketPrefix"),
)

_OF_BUCKET = {"Bucket": "{bucket}"}
_BUCKET = Input("Bucket", live="", required=True, replaces=True)
_OWNER = because(NO_EFFECT, "expectedBucketOwner")


def _block(name: str) -> Input:
    return Input(f"PublicAccessBlockConfiguration.{name}", default=False)


_BLOCKS = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}
PUBLIC_ACCESS_BLOCK = Row(
    type="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    service="s3",
    inputs={"bucket": _BUCKET, **{name: _block(path) for name, path in _BLOCKS.items()}},
    unsimulated=because(NO_EFFECT, "skipDestroy"),
    create=Call("put_public_access_block"),
    id="{bucket}",
    id_parts=("bucket",),
    read=Call("get_public_access_block", _OF_BUCKET),
    setters=(
        Setter(
            "put_public_access_block",
            {name: f"PublicAccessBlockConfiguration.{path}" for name, path in _BLOCKS.items()},
            _OF_BUCKET,
            whole=True,
        ),
    ),
    delete=Call("delete_public_access_block", _OF_BUCKET),
)


def _to_encryption(rules: list[Any]) -> list[Any]:
    written = []
    for rule in rules:
        by_default = rule.get("applyServerSideEncryptionByDefault") or {}
        entry: Properties = {}
        if by_default:
            entry["ApplyServerSideEncryptionByDefault"] = {"SSEAlgorithm": by_default["sseAlgorithm"]}
            if by_default.get("kmsMasterKeyId"):
                entry["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] = by_default["kmsMasterKeyId"]
        if rule.get("bucketKeyEnabled") is not None:
            entry["BucketKeyEnabled"] = rule["bucketKeyEnabled"]
        written.append(entry)
    return written


def _from_encryption(rules: list[Any]) -> list[Any]:
    found = []
    for rule in rules:
        by_default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        entry: Properties = {"applyServerSideEncryptionByDefault": {}}
        if by_default.get("SSEAlgorithm"):
            entry["applyServerSideEncryptionByDefault"]["sseAlgorithm"] = by_default["SSEAlgorithm"]
        if by_default.get("KMSMasterKeyID"):
            entry["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"] = by_default["KMSMasterKeyID"]
        if rule.get("BucketKeyEnabled") is not None:
            entry["bucketKeyEnabled"] = rule["BucketKeyEnabled"]
        found.append(entry)
    return found


ENCRYPTION = Row(
    type="aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    service="s3",
    inputs={
        "bucket": _BUCKET,
        "rules": Input(
            "ServerSideEncryptionConfiguration.Rules",
            required=True, form=SET, to=_to_encryption, back=_from_encryption,
        ),
    },
    unsimulated=_OWNER,
    create=Call("put_bucket_encryption"),
    id="{bucket}",
    id_parts=("bucket",),
    read=Call("get_bucket_encryption", _OF_BUCKET),
    setters=(
        Setter("put_bucket_encryption", {"rules": "ServerSideEncryptionConfiguration.Rules"}, _OF_BUCKET),
    ),
    delete=Call("delete_bucket_encryption", _OF_BUCKET),
)  # fmt: skip


def _to_versioning(value: Any) -> Any:
    written = {"Status": value["status"]}
    return {**written, "MFADelete": value["mfaDelete"]} if value.get("mfaDelete") else written


def _read_versioning(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    live = cloud.call("s3", "get_bucket_versioning", Bucket=id)
    if not live.get("Status"):
        return None
    return {"bucket": id, "versioningConfiguration": {"status": live["Status"]}}


def _suspend(cloud: Cloud, id: str, known: Properties) -> None:
    """A bucket that ever had versions cannot be without them again; AWS only suspends."""
    if (known.get("versioningConfiguration") or {}).get("status") == "Enabled":
        cloud.call("s3", "put_bucket_versioning", Bucket=id, VersioningConfiguration={"Status": "Suspended"})


VERSIONING = Row(
    type="aws:s3/bucketVersioning:BucketVersioning",
    service="s3",
    inputs={
        "bucket": _BUCKET,
        "mfa": Input("MFA", live=""),
        "versioningConfiguration": Input("VersioningConfiguration", required=True, to=_to_versioning),
    },
    unsimulated=_OWNER,
    create=Call("put_bucket_versioning"),
    id="{bucket}",
    id_parts=("bucket",),
    read_with=_read_versioning,
    setters=(
        Setter("put_bucket_versioning", {"versioningConfiguration": "VersioningConfiguration"}, _OF_BUCKET),
    ),
    delete_with=_suspend,
)


def _to_lifecycle(rules: list[Any]) -> list[Any]:
    written = []
    for rule in rules:
        entry = pascal({key: value for key, value in rule.items() if key != "id"})
        entry["ID"] = rule["id"]
        filter = entry.get("Filter") or ({} if "Prefix" in entry else {"Prefix": ""})
        if "And" in filter and filter["And"].get("Tags"):
            filter["And"]["Tags"] = tag_list(rule["filter"]["and"]["tags"])
        if filter:
            entry["Filter"] = filter
        written.append(entry)
    return written


def _from_lifecycle(rules: list[Any]) -> list[Any]:
    found = []
    for rule in rules:
        entry = camel({key: value for key, value in rule.items() if key != "ID"})
        entry["id"] = rule["ID"]
        both = (rule.get("Filter") or {}).get("And") or {}
        if both.get("Tags"):
            entry["filter"]["and"]["tags"] = tag_map(both["Tags"])
        found.append(entry)
    return found


def _dates_as_text(_cloud: Cloud, _id: str, _live: Any, known: Properties) -> Properties:
    rules = known["rules"]
    for rule in rules:
        for part in [rule.get("expiration") or {}, *rule.get("transitions", [])]:
            if hasattr(part.get("date"), "strftime"):
                part["date"] = part["date"].strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"rules": rules}


LIFECYCLE = Row(
    type="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    service="s3",
    inputs={
        "bucket": _BUCKET,
        "rules": Input(
            "LifecycleConfiguration.Rules", live="Rules", form=SET, to=_to_lifecycle, back=_from_lifecycle
        ),
    },
    unsimulated={**_OWNER, **because(NO_EFFECT, "timeouts transitionDefaultMinimumObjectSize")},
    create=Call("put_bucket_lifecycle_configuration"),
    id="{bucket}",
    id_parts=("bucket",),
    read=Call("get_bucket_lifecycle_configuration", _OF_BUCKET),
    setters=(
        Setter("put_bucket_lifecycle_configuration", {"rules": "LifecycleConfiguration.Rules"}, _OF_BUCKET),
    ),
    delete=Call("delete_bucket_lifecycle", _OF_BUCKET),
    more=_dates_as_text,
)


def _read_policy(cloud: Cloud, id: str, _known: Properties) -> Properties | None:
    try:
        return {"bucket": id, "policy": cloud.call("s3", "get_bucket_policy", Bucket=id)["Policy"]}
    except Gone:
        return None


BUCKET_POLICY = Row(
    type="aws:s3/bucketPolicy:BucketPolicy",
    service="s3",
    inputs={"bucket": _BUCKET, "policy": Input("Policy", required=True, form=POLICY)},
    create=Call("put_bucket_policy"),
    id="{bucket}",
    id_parts=("bucket",),
    read_with=_read_policy,
    setters=(Setter("put_bucket_policy", {"policy": "Policy"}, _OF_BUCKET),),
    delete=Call("delete_bucket_policy", _OF_BUCKET),
)

ROWS = (BUCKET, PUBLIC_ACCESS_BLOCK, ENCRYPTION, VERSIONING, LIFECYCLE, BUCKET_POLICY, *s3_access.ROWS)
