"""`ArtifactStore`: a bucket that is closed, versioned and encrypted."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra import ArgsError, ArtifactStore
from agent_infra.aws.bucket_rules import LONGEST_NAME, expiry_problem, lifecycle_rule, name_problem
from tests.unit.components import made
from tests.unit.recording import ACCOUNT, Recorded, record

KEY = "arn:aws:kms:eu-central-1:123456789012:key/artifacts"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LOGGING = "aws:s3/bucketLogging:BucketLogging"


def store(**args: Any) -> Recorded:
    return made(ArtifactStore, args)


def rule_of(recorded: Recorded) -> Any:
    (rule,) = recorded.one(LIFECYCLE).inputs["rules"]
    return rule


def statements(recorded: Recorded) -> list[Any]:
    found: list[Any] = json.loads(recorded.one("aws:s3/bucketPolicy:BucketPolicy").inputs["policy"])[
        "Statement"
    ]
    return found


def test_a_bucket_is_closed_versioned_and_encrypted() -> None:
    recorded = store(expire_after_days=30)
    block = recorded.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    assert {key for key, value in block.items() if value is True} == {
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
    }
    versioning = recorded.one("aws:s3/bucketVersioning:BucketVersioning").inputs
    assert versioning["versioningConfiguration"] == {"status": "Enabled"}
    assert rule_of(recorded)["expiration"] == {"days": 30}
    assert recorded.one("aws:s3/bucket:Bucket").inputs["forceDestroy"] is False
    (encryption,) = recorded.one(ENCRYPTION).inputs["rules"]
    assert encryption == {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}


def test_whoever_uploads_the_bucket_owns_the_object_and_lists_of_access_are_off() -> None:
    owned = store().one("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
    assert owned["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_a_bucket_policy_lets_no_other_account_in() -> None:
    assert all(item["Effect"] == "Deny" for item in statements(store()))


def test_a_key_of_ones_own_is_used_for_many_objects_at_once() -> None:
    (rule,) = store(kms_key_arn=KEY).one(ENCRYPTION).inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}
    assert rule["bucketKeyEnabled"] is True


def test_a_store_tells_its_key_and_none_where_s3_has_its_own() -> None:
    keys = record(
        lambda: [ArtifactStore("a", {"kms_key_arn": KEY}).kms_key_arn, ArtifactStore("b").kms_key_arn]
    )
    assert keys.result == [KEY, None]


def test_without_an_expiry_lone_delete_markers_are_tidied_up() -> None:
    assert rule_of(store())["expiration"] == {"expiredObjectDeleteMarker": True}


@pytest.mark.parametrize(
    ("transition", "storage_class"),
    [("intelligent-tiering", "INTELLIGENT_TIERING"), ("glacier-ir", "GLACIER_IR")],
)
def test_objects_move_to_what_was_said(transition: str, storage_class: str) -> None:
    rule = rule_of(store(transition=transition, transition_after_days=7))
    assert rule["transitions"] == [{"days": 7, "storageClass": storage_class}]
    assert "transitions" not in rule_of(store())


def test_requests_are_logged_into_another_bucket_where_it_is_said() -> None:
    assert not store().of(LOGGING)
    inputs = store(access_log_bucket="acme-logs").one(LOGGING).inputs
    assert (inputs["targetBucket"], inputs["targetPrefix"]) == ("acme-logs", "it/")
    prefixed = store(access_log_bucket="acme-logs", access_log_prefix="prod/").one(LOGGING).inputs
    assert prefixed["targetPrefix"] == "prod/"


def test_a_bucket_for_logs_lets_s3_write_those_of_its_own_account() -> None:
    delivery, refusal = statements(store(receives_access_logs=True))
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert delivery["Action"] == ["s3:PutObject"]
    assert delivery["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert refusal["Effect"] == "Deny"


def test_one_store_sends_its_logs_to_another() -> None:
    def program() -> None:
        logs = ArtifactStore("logs", {"receives_access_logs": True})
        ArtifactStore("files", {"access_log_bucket": logs.bucket})

    inputs = record(program).one(LOGGING).inputs
    assert (inputs["bucket"], inputs["targetBucket"]) == ("files-id", "logs")


def test_failing_requests_are_watched_where_they_are_counted_and_somebody_is_told() -> None:
    alarm_type, metric_type = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:s3/bucketMetric:BucketMetric"
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    recorded = store(request_metrics=True, alarms={"notify": [topic]})
    assert recorded.one(metric_type).inputs == {"bucket": "it-id", "name": "all-requests"}
    alarm = recorded.one(alarm_type, "it-failing").inputs
    assert alarm["dimensions"] == {"BucketName": "it", "FilterId": "all-requests"}
    assert (alarm["metricName"], alarm["statistic"], alarm["threshold"]) == ("5xxErrors", "Average", 0.01)
    assert alarm["alarmActions"] == [topic]
    assert not store(alarms={}).of(alarm_type), "nothing is counted"
    assert not store(request_metrics=True).of(alarm_type), "nobody is told"


def test_a_store_of_the_first_cut_keeps_its_bucket() -> None:
    recorded = store()
    bucket = recorded.one("aws:s3/bucket:Bucket", "it")
    assert bucket.inputs.keys() == {"forceDestroy", "tags"}
    assert {item.name for item in recorded.resources if item.type.startswith("aws:s3")} == {"it"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"bucket_name": "Acme"}, "bucket_name: 'Acme' is wrong: lower-case letters"),
        ({"bucket_name": "acme.files"}, "say dashes in place of dots"),
        ({"bucket_name": "ab"}, "it has 2 characters; S3 takes 3 to 63"),
        ({"bucket_name": "sthree-files"}, "names that begin with sthree- are S3's own"),
        ({"access_log_bucket": "s3://logs"}, "access_log_bucket: 's3://logs' is wrong: lower-case letters"),
        ({"access_log_prefix": "logs/"}, "there is no `access_log_bucket`"),
        ({"receives_access_logs": True, "kms_key_arn": KEY}, "leave `kms_key_arn` out"),
        ({"receives_access_logs": True, "access_log_bucket": "acme-logs"}, "leave `access_log_bucket` or"),
        ({"transition": "glacier-ir", "expire_after_days": 30}, "say 31 or more"),
        ({"transition": "glacier"}, "transition: 'glacier' is wrong"),
        ({"old_versions_days": 0}, "old_versions_days: 0 is wrong"),
    ],
)
def test_what_s3_would_refuse_is_refused_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError, match=re.escape(said)):
        store(**args)


@pytest.mark.parametrize("name", ["my_files", "x" * 56, "-files"])
def test_a_logical_name_that_s3_would_not_take_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ArgsError, match=r"name: .* or set `bucket_name`"):
        record(lambda: ArtifactStore(name) and None)


def test_with_a_bucket_name_the_logical_name_may_be_anything() -> None:
    recorded = record(lambda: ArtifactStore("my_files", {"bucket_name": "acme-files"}) and None)
    assert recorded.one("aws:s3/bucket:Bucket").inputs["bucket"] == "acme-files"


def test_a_log_bucket_that_only_the_update_knows_is_not_checked() -> None:
    recorded = record(
        lambda: ArtifactStore("it", {"access_log_bucket": pulumi.Output.from_input("acme-logs")}) and None
    )
    assert recorded.one(LOGGING).inputs["targetBucket"] == "acme-logs"


@settings(max_examples=50)
@given(st.text(alphabet="aZ9.-_", max_size=LONGEST_NAME + 2))
def test_a_name_is_either_all_of_s3s_grammar_or_refused(name: str) -> None:
    if name_problem(name, dots=False) is None:
        assert 3 <= len(name) <= LONGEST_NAME
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", name)


@settings(max_examples=50)
@given(st.integers(1, 4000), st.integers(0, 4000))
def test_an_object_never_expires_before_it_moves(expire: int, move: int) -> None:
    problem = expiry_problem(expire_after_days=expire, transition="glacier-ir", after_days=move)
    rule = lifecycle_rule(
        expire_after_days=expire, old_versions_days=1, transition="glacier-ir", after_days=move
    )
    later = rule["expiration"]["days"] > rule["transitions"][0]["days"]
    assert (problem is None) == later
