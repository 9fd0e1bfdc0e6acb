"""The aws stand-in where nothing runs: checks, comparisons, previews, names and the table itself."""

from __future__ import annotations

import importlib
import json
import keyword
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi._types import input_type_py_to_pulumi_names

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.aws import AwsStandin, invokes, not_simulated, table
from agent_infra.local.standins.aws.records import Records
from agent_infra.local.standins.aws.rows import ROWS
from agent_infra.local.standins.aws.values import (
    JSON,
    POLICY,
    SET,
    agrees,
    camel,
    differing,
    filled,
    pascal,
    same,
    without,
)
from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.standins.server import UNKNOWN, Properties, Refused, StandinError

QUEUE, ROLE, CLUSTER = "aws:sqs/queue:Queue", "aws:iam/role:Role", "aws:rds/cluster:Cluster"
EKS, BUCKET = "aws:eks/cluster:Cluster", "aws:s3/bucket:Bucket"


@pytest.fixture
def standin(tmp_path: Path) -> AwsStandin:
    """One whose services do not run: any call would fail."""
    made = AwsStandin(LocalEnvironment(tmp_path / "local"))
    made.configure({"region": "eu-west-1"})
    return made


def refusals(standin: AwsStandin, type: str, inputs: Properties) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        standin.check(type, "thing", {}, inputs)
    return dict(refused.value.failures)


def arguments(type: str) -> Any:
    """The Python SDK's own class of a type's inputs."""
    module, name = type.split(":")[1].split("/", maxsplit=1)[0], type.rsplit(":", 1)[1]
    sdk = importlib.import_module(f"pulumi_aws.{module}{'_' if keyword.iskeyword(module) else ''}")
    return getattr(sdk, f"{name}InitArgs", None) or getattr(sdk, f"{name}Args")


@pytest.mark.parametrize("type", sorted(ROWS))
def test_a_type_takes_exactly_the_inputs_that_the_sdk_has(type: str) -> None:
    assert ROWS[type].known == set(input_type_py_to_pulumi_names(arguments(type)).values())


def test_an_unknown_property_is_refused_with_the_close_ones(standin: AwsStandin) -> None:
    reasons = refusals(standin, QUEUE, {"visibilityTimeoutSecond": 3})
    assert reasons.keys() == {"visibilityTimeoutSecond"}
    assert "did you mean visibilityTimeoutSeconds" in reasons["visibilityTimeoutSecond"]
    assert "standins/aws/sqs.py" in reasons["visibilityTimeoutSecond"]


def test_an_output_given_as_an_input_is_refused_as_such(standin: AwsStandin) -> None:
    assert "it is an output" in refusals(standin, QUEUE, {"arn": "arn:aws:sqs:::q"})["arn"]


def test_every_missing_and_wrong_property_is_told_at_once(standin: AwsStandin) -> None:
    reasons = refusals(
        standin, EKS, {"vpcConfig": {"subnets": ["a"]}, "encryptionConfig": {"provider": {}}, "nam": "x"}
    )
    assert reasons.keys() == {
        "nam",
        "roleArn",
        "vpcConfig.subnets",
        "vpcConfig.subnetIds",
        "encryptionConfig.resources",
        "encryptionConfig.provider.keyArn",
    }
    assert "did you mean subnetIds?" in reasons["vpcConfig.subnets"]


def test_a_wrong_key_in_a_list_is_told_with_its_place(standin: AwsStandin) -> None:
    rules = [{"id": "a", "status": "Enabled"}, {"id": "b", "status": "Enabled", "expiration": {"day": 3}}]
    type = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    assert refusals(standin, type, {"bucket": "b", "rules": rules}).keys() == {"rules[1].expiration.day"}


def test_an_unknown_type_is_an_error_that_names_it_and_its_file(standin: AwsStandin) -> None:
    with pytest.raises(StandinError, match=r"no aws:sqs/queu:Queue\. Did you mean aws:sqs/queue:Queue"):
        standin.check("aws:sqs/queu:Queue", "q", {}, {})
    with pytest.raises(StandinError, match=r"standins/aws/lambda\.py"):
        standin.create("aws:lambda/function:Function", "f", {}, preview=True)


@pytest.mark.parametrize(
    ("type", "inputs", "failing"),
    [
        (QUEUE, {"name": "jobs", "fifoQueue": True}, "name"),
        (
            "aws:ec2/route:Route",
            {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0"},
            "carrierGatewayId",
        ),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"securityGroupId": "s", "ipProtocol": "-1"},
            "cidrIpv4",
        ),
        (
            CLUSTER,
            {"engine": "aurora-postgresql", "manageMasterUserPassword": True, "masterPassword": "x"},
            "masterPassword",
        ),
        (
            "aws:elasticache/replicationGroup:ReplicationGroup",
            {"description": "d", "numCacheClusters": 1, "automaticFailoverEnabled": True},
            "automaticFailoverEnabled",
        ),
        ("aws:ec2/flowLog:FlowLog", {"vpcId": "v", "subnetId": "s"}, "vpcId"),
    ],
)
def test_inputs_that_exclude_one_another_are_refused(
    standin: AwsStandin, type: str, inputs: Properties, failing: str
) -> None:
    assert refusals(standin, type, inputs).keys() == {failing}


def test_a_refusal_never_says_the_secret(standin: AwsStandin) -> None:
    wrong = {
        "engine": "aurora-postgresql",
        "manageMasterUserPassword": True,
        "masterPassword": "hunter2-secret",
    }
    assert "hunter2-secret" not in str(refusals(standin, CLUSTER, wrong))


def test_a_name_is_made_once_and_kept(standin: AwsStandin) -> None:
    first = standin.check(QUEUE, "jobs", {}, {})
    assert first["name"].startswith("jobs-")
    assert len(first["name"]) == len("jobs-") + 7
    assert standin.check(QUEUE, "jobs", first, {})["name"] == first["name"]
    assert standin.check(QUEUE, "jobs", {}, {})["name"] != first["name"], "a replacement has another one"
    assert standin.check(QUEUE, "jobs", first, {"name": "mine"})["name"] == "mine"


@given(st.text("abcDEF-_", min_size=1, max_size=300))
def test_made_names_are_within_their_limits(logical: str) -> None:
    standin = AwsStandin(LocalEnvironment(Path("nowhere")))
    for type, property, limit in ((ROLE, "name", 64), (QUEUE, "name", 80), (BUCKET, "bucket", 63)):
        inputs = {"assumeRolePolicy": "{}"} if type == ROLE else {}
        name = standin.check(type, logical, {}, inputs)[property]
        assert len(name) <= limit
        assert type != BUCKET or name == name.lower()
    fifo = standin.check(QUEUE, logical, {}, {"fifoQueue": True})["name"]
    assert fifo.endswith(".fifo")
    assert len(fifo) <= 80


def test_a_name_prefix_is_followed(standin: AwsStandin) -> None:
    first = standin.check(QUEUE, "jobs", {}, {"namePrefix": "work-"})
    assert first["name"].startswith("work-")
    assert standin.check(QUEUE, "jobs", first, {"namePrefix": "work-"})["name"] == first["name"]
    assert standin.check(QUEUE, "jobs", first, {"namePrefix": "other-"})["name"].startswith("other-")


def test_defaults_are_the_official_providers(standin: AwsStandin) -> None:
    inputs = standin.check(QUEUE, "jobs", {}, {})
    assert {key: value for key, value in inputs.items() if key != "name"} == {
        "contentBasedDeduplication": False,
        "delaySeconds": 0,
        "fifoQueue": False,
        "maxMessageSize": 262144,
        "messageRetentionSeconds": 345600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    }


def test_a_document_given_as_an_object_becomes_text(standin: AwsStandin) -> None:
    inputs = standin.check(ROLE, "r", {}, {"assumeRolePolicy": {"Version": "2012-10-17", "Statement": []}})
    assert json.loads(inputs["assumeRolePolicy"])["Statement"] == []


def test_unknown_values_pass_the_check_and_a_preview_makes_no_call(standin: AwsStandin) -> None:
    inputs = standin.check(
        EKS, "c", {}, {"roleArn": UNKNOWN, "vpcConfig": {"subnetIds": [UNKNOWN]}, "tags": {"a": "b"}}
    )
    id, state = standin.create(EKS, "c", inputs, preview=True)
    assert id == ""
    assert state["arn"] is UNKNOWN
    assert state["endpoint"] is UNKNOWN
    assert state["vpcConfig"]["clusterSecurityGroupId"] is UNKNOWN
    assert state["vpcConfig"]["endpointPublicAccess"] is True
    assert state["name"] == inputs["name"]
    assert state["tagsAll"] == {"a": "b"}
    assert standin.check(EKS, "c", {}, {"roleArn": "r", "vpcConfig": UNKNOWN})["vpcConfig"] is UNKNOWN


def test_an_updates_preview_keeps_what_aws_chose_and_makes_no_call(standin: AwsStandin) -> None:
    olds = standin.check(QUEUE, "q", {}, {"kmsMasterKeyId": "alias/a"})
    state = {**olds, "arn": "arn:q", "url": "http://q", "tagsAll": {}}
    news = {**olds, "delaySeconds": UNKNOWN}
    news.pop("kmsMasterKeyId")
    planned = standin.update(QUEUE, "http://q", olds, state, news, preview=True)
    assert (planned["arn"], planned["delaySeconds"]) == ("arn:q", UNKNOWN)
    assert "kmsMasterKeyId" not in planned


def test_a_change_is_an_update_or_a_replacement_as_on_aws(standin: AwsStandin) -> None:
    olds = standin.check(QUEUE, "q", {}, {})
    for key, value, replaces in (("delaySeconds", 5, False), ("fifoQueue", True, True), ("name", "x", True)):
        difference = standin.diff(QUEUE, "q", olds, olds, {**olds, key: value})
        assert difference.changed == [key]
        assert difference.replaces == ([key] if replaces else [])
    unknown = standin.diff(QUEUE, "q", olds, olds, {**olds, "name": UNKNOWN})
    assert unknown.replaces == ["name"]


def test_a_replacement_can_be_forced_by_a_part_of_a_property(standin: AwsStandin) -> None:
    olds = {
        "name": "c",
        "vpcConfig": {"subnetIds": ["a", "b"]},
        "kubernetesNetworkConfig": {"ipFamily": "ipv4"},
    }
    difference = standin.diff(
        EKS,
        "c",
        olds,
        olds,
        {**olds, "kubernetesNetworkConfig": {"ipFamily": "ipv6"}, "vpcConfig": {"subnetIds": ["b", "a"]}},
    )
    assert (difference.changed, difference.replaces) == (
        ["kubernetesNetworkConfig.ipFamily"],
        ["kubernetesNetworkConfig.ipFamily"],
    )
    balanced = {
        **olds,
        "kubernetesNetworkConfig": {"ipFamily": "ipv4", "elasticLoadBalancing": {"enabled": True}},
    }
    assert standin.diff(EKS, "c", olds, olds, balanced).replaces == []


def test_leaving_out_what_aws_chooses_is_no_change(standin: AwsStandin) -> None:
    olds = standin.check(CLUSTER, "d", {}, {"engine": "aurora-postgresql", "engineVersion": "16.6"})
    news = {key: value for key, value in olds.items() if key != "engineVersion"}
    assert standin.diff(CLUSTER, "d", olds, olds, news).changed == []
    protected = {**olds, "deletionProtection": True}
    assert standin.diff(CLUSTER, "d", protected, protected, olds).changed == ["deletionProtection"]


def test_another_default_tag_is_a_change_of_every_tagged_resource(standin: AwsStandin) -> None:
    standin.configure({"defaultTags": {"tags": {"team": "agents"}}})
    olds = standin.check(QUEUE, "q", {}, {"tags": {"a": "b"}})
    state = {**olds, "tagsAll": {"a": "b"}}
    assert standin.diff(QUEUE, "q", olds, state, olds).changed == ["tagsAll"]
    assert (
        standin.diff(QUEUE, "q", olds, {**state, "tagsAll": {"a": "b", "team": "agents"}}, olds).changed == []
    )


def test_an_unknown_setting_of_the_provider_is_refused(standin: AwsStandin) -> None:
    standin.configure({"region": "eu-west-1", "profile": "mine", "skipCredentialsValidation": "true"})
    with pytest.raises(StandinError, match=r"aws:regoin is not a setting .* Did you mean region"):
        standin.configure({"regoin": "eu-west-1"})


def test_without_services_an_update_says_what_to_run(standin: AwsStandin) -> None:
    with pytest.raises(StandinError, match="agent-infra up"):
        standin.create(QUEUE, "q", standin.check(QUEUE, "q", {}, {}), preview=False)


@pytest.mark.parametrize(
    ("old", "new", "form", "paths"),
    [
        (None, False, "plain", []),
        (None, "", "plain", []),
        ([], None, "plain", []),
        (0, None, "plain", []),
        (1, True, "plain", [""]),
        ("a", "b", "plain", [""]),
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}, "plain", ["b.c"]),
        ({"a": 1}, {"a": 1, "b": None}, "plain", []),
        ([1, 2], [2, 1], "plain", [""]),
        ([1, 2], [2, 1], SET, []),
        ([{"a": [1, 2], "b": 0}], [{"a": [2, 1]}], SET, []),
        ('{"a": 1}', '{ "a":1 }', JSON, []),
        ('{"a": [1]}', '{"a": 1}', JSON, [""]),
        ('{"Action": ["x"]}', '{"Action": "x"}', POLICY, []),
        ('{"Action": ["x", "y"]}', '{"Action": ["y", "x"]}', POLICY, []),
        ('{"Action": "x"}', '{"Action": "y"}', POLICY, [""]),
        ("not json", "not json either", JSON, [""]),
        ("", None, POLICY, []),
        ({"a": UNKNOWN}, {"a": 1}, "plain", ["a"]),
    ],
)
def test_values_differ_where_they_mean_something_else(
    old: Any, new: Any, form: str, paths: list[str]
) -> None:
    assert differing(old, new, form) == paths
    assert differing(new, old, form) == paths


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from(["plain", SET]))
def test_a_value_is_the_same_as_itself(value: Any, form: str) -> None:
    assert same(value, json.loads(json.dumps(value)), form)


@given(st.dictionaries(st.from_regex(r"[a-z][A-Za-z]{0,5}", fullmatch=True), json_values, max_size=4))
def test_camel_undoes_pascal_at_the_top(value: dict[str, Any]) -> None:
    assert set(camel(pascal(value))) == {key for key, item in value.items() if item is not None}


def test_what_only_aws_says_inside_a_structure_does_not_count() -> None:
    given_value, live = {"subnetIds": ["a"]}, {"subnetIds": ["a"], "vpcId": "v"}
    assert agrees(given_value, live, structured=True)
    assert not agrees(given_value, live)
    assert not agrees(given_value, {"subnetIds": ["b"]}, structured=True)
    assert without(live, ("vpcId",)) == given_value
    assert without({"a": {"b": 1, "c": 2}}, ("a.b",)) == {"a": {"c": 2}}


def test_a_template_gives_values_as_they_are() -> None:
    values = {"id": "q", "days": 7, "ids": ["a"]}
    template = {
        "Id": "{id}",
        "Arn": "arn:{id}",
        "Days": "{days}",
        "Ids": "{ids}",
        "No": "{none}",
        "K": ["{id}"],
    }
    assert filled(template, values) == {"Id": "q", "Arn": "arn:q", "Days": 7, "Ids": ["a"], "K": ["q"]}


def test_records_of_another_generation_are_gone(tmp_path: Path) -> None:
    environment = LocalEnvironment(tmp_path)
    environment.services_file.write_text('{"generation": "one", "services": {}}')
    records = Records(environment)
    records.put("type", "id", {"password": "x"})
    assert Records(environment).get("type", "id") == {"password": "x"}
    assert environment.records_file.stat().st_mode & 0o777 == 0o600
    environment.services_file.write_text('{"generation": "two", "services": {}}')
    assert records.get("type", "id") is None
    records.remove("type", "id")


def test_everything_that_has_no_effect_is_told_with_a_reason() -> None:
    told = not_simulated()
    assert NotSimulated("aws:eks/cluster:Cluster", "computeConfig", table.MOTO_DROPS) in told
    assert {item.type for item in told if item.property is None} == {
        row.type for row in ROWS.values() if row.recorded
    }
    assert all(item.reason for item in told)


def test_a_policy_document_is_written_as_the_official_provider_writes_it() -> None:
    source = json.dumps({"Version": "2012-10-17", "Statement": {"Sid": "a", "Effect": "Deny", "Action": "*"}})
    answer = invokes._policy_document(
        None,  # type: ignore[arg-type]  # it asks nobody
        {
            "sourcePolicyDocuments": [source],
            "statements": [
                {
                    "sid": "b",
                    "actions": ["s3:GetObject", "s3:PutObject"],
                    "resources": ["*"],
                    "principals": [{"type": "Service", "identifiers": ["eks.amazonaws.com"]}],
                    "conditions": [{"test": "StringEquals", "variable": "aws:x", "values": ["y"]}],
                },
                {
                    "actions": ["sts:AssumeRole"],
                    "effect": "Deny",
                    "principals": [{"type": "*", "identifiers": ["*"]}],
                },
            ],
            "overridePolicyDocuments": [source],
        },
    )
    document = json.loads(answer["json"])
    assert [statement.get("Sid") for statement in document["Statement"]] == ["b", None, "a"]
    assert document["Statement"][0] == {
        "Sid": "b",
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": "*",
        "Principal": {"Service": "eks.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:x": "y"}},
    }
    assert document["Statement"][1]["Principal"] == "*"
    assert json.loads(answer["minifiedJson"]) == document


def test_a_random_password_keeps_to_what_is_asked() -> None:
    for _ in range(20):
        password = invokes._password(
            None,  # type: ignore[arg-type]  # it asks nobody
            {"passwordLength": 16, "excludePunctuation": True, "excludeCharacters": "abc0"},
        )["randomPassword"]
        assert len(password) == 16
        assert password.isalnum()
        assert not set(password) & set("abc0")
        assert any(character.isdigit() for character in password)
