"""`Secrets`: what is secret stays so, whose it is, who may read it, and how it rotates."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from agent_infra import ArgsError, Secrets
from agent_infra.aws.secret_policies import read_statements
from agent_infra.aws.secrets_args import as_json
from tests.unit.components import made
from tests.unit.recording import ACCOUNT, REGION, Recorded, record

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
KEY = "aws:kms/key:Key"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate-llm"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd"
OTHERS_ROLE = "arn:aws:iam::210987654321:role/audit"
BY_HAND: dict[str, Any] = {"values": {"llm": None}}


def problem(args: dict[str, Any]) -> str:
    with pytest.raises(ArgsError) as raised:
        made(Secrets, args)
    return str(raised.value)


def policy_of(recorded: Recorded, name: str = "it-llm") -> dict[str, dict[str, Any]]:
    statements = json.loads(recorded.one(POLICY, name).inputs["policy"])["Statement"]
    return {statement["Sid"]: statement for statement in statements}


def test_secrets_are_marked_secret_and_those_filled_by_hand_are_left_alone() -> None:
    def program() -> None:
        given = pulumi.Output.from_input({"OPENAI_API_KEY": "sk-1"})
        Secrets("it", {"values": {"given": given, "by-hand": None}})

    recorded = record(program)
    given = recorded.one(VERSION, "it-given")
    assert json.loads(given.inputs["secretString"]) == {"OPENAI_API_KEY": "sk-1"}
    assert "secretString" in given.secrets
    assert given.ignore_changes == []
    by_hand = recorded.one(VERSION, "it-by-hand")
    assert by_hand.inputs["secretString"] == "{}"
    assert by_hand.ignore_changes == ["secretString", "versionStages"]


def test_the_first_version_of_a_secret_filled_by_hand_is_kept_so_that_no_refresh_makes_it_anew() -> None:
    stages = made(Secrets, BY_HAND).one(VERSION).inputs["versionStages"]
    assert stages == ["AWSCURRENT", "agent-infra-first"]


def test_a_first_value_is_drawn_once_and_never_told() -> None:
    recorded = made(Secrets, {**BY_HAND, "generated": {"llm": "first"}})
    version = recorded.one(VERSION)
    assert json.loads(version.inputs["secretString"]) == {"first": "drawn-password"}
    assert "secretString" in version.secrets
    assert version.ignore_changes == ["secretString", "versionStages"]
    assert version.inputs["versionStages"] == ["AWSCURRENT", "agent-infra-first"]


def test_a_plain_text_is_refused_where_a_secret_belongs_and_not_repeated() -> None:
    assert "sk-1" not in problem({"values": {"llm": "sk-1"}})
    assert "sk-1" not in problem({"agents": {"support": {"llm": "sk-1"}}})


def test_a_secret_of_the_first_release_keeps_its_name_and_its_key() -> None:
    secret = made(Secrets, BY_HAND).one(SECRET)
    assert secret.name == "it-llm"
    assert secret.inputs["description"] == "llm, as JSON"
    assert not {"name", "kmsKeyId", "replicas"} & secret.inputs.keys()


def test_every_secret_says_whose_it_is() -> None:
    recorded = made(
        Secrets,
        {
            "values": {"llm": None},
            "agents": {"support": {"crm": None}},
            "environment": "prod",
            "tags": {"team": "agents"},
        },
    )
    shared = recorded.one(SECRET, "it-llm").inputs["tags"]
    own = recorded.one(SECRET, "it-support-crm").inputs
    assert shared == {
        "Name": "it-llm",
        "managed-by": "agent-infra",
        "team": "agents",
        "environment": "prod",
    }
    assert own["tags"]["agent"] == "support"
    assert own["description"] == "crm of support, as JSON"
    assert "name" not in own


def test_names_by_path_are_the_environments_and_the_agent_types() -> None:
    args = {"values": {"llm": None}, "agents": {"support": {"crm": None}}, "environment": "prod"}
    recorded = made(Secrets, {**args, "naming": "by-path"})
    assert {item.inputs["name"] for item in recorded.of(SECRET)} == {"prod/llm", "prod/support/crm"}


def test_a_secret_is_found_by_its_path_and_an_agent_type_finds_its_own() -> None:
    def program() -> Any:
        secrets = Secrets("it", {"values": {"llm": None}, "agents": {"support": {"llm": None}}})
        return {"arns": secrets.arns, "own": secrets.of_agent("support"), "versions": secrets.versions}

    result = record(program).result
    assert result["arns"].keys() == result["versions"].keys() == {"llm", "support/llm"}
    assert result["own"] == {"llm": result["arns"]["support/llm"]}
    assert result["versions"]["support/llm"] == "version-of-it-support-llm"


def test_a_role_may_read_the_secrets_that_it_needs_and_no_other() -> None:
    def program() -> Any:
        secrets = Secrets("it", {"values": {"llm": None}, "agents": {"support": {"crm": None}}})
        with pytest.raises(ValueError, match="'crm' is none of the secrets; say one of llm, support/crm"):
            secrets.read_statements("crm")
        return {"statements": secrets.read_statements("support/crm"), "arn": secrets.arns["support/crm"]}

    result = record(program).result
    assert result["statements"] == [
        {
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue"],
            "Resource": [result["arn"]],
        }
    ]


def test_a_reader_may_use_a_key_of_ones_own_through_secrets_manager_alone() -> None:
    statements = record(lambda: read_statements(["arn:a"], key_arns=[KEY_ARN, KEY_ARN])).result
    assert statements[1] == {
        "Sid": "KeysOfSecrets",
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": [KEY_ARN],
        "Condition": {"StringEquals": {"kms:ViaService": [f"secretsmanager.{REGION}.amazonaws.com"]}},
    }


def test_nobody_reads_without_tls_or_from_another_account() -> None:
    recorded = made(Secrets, BY_HAND)
    assert recorded.one(POLICY).inputs["blockPublicPolicy"] is True
    policy = policy_of(recorded)
    assert policy.keys() == {"DenyPlainHttp", "DenyOtherAccounts"}
    assert policy["DenyPlainHttp"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert policy["DenyOtherAccounts"]["Condition"] == {
        "StringNotEquals": {"aws:PrincipalAccount": [ACCOUNT]},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }


def test_a_reader_of_another_account_is_let_in_where_the_key_is_ones_own() -> None:
    recorded = made(Secrets, {**BY_HAND, "encryption": "own-key", "readers": [OTHERS_ROLE]})
    policy = policy_of(recorded)
    assert policy["Readers"]["Principal"] == {"AWS": [OTHERS_ROLE]}
    accounts = policy["DenyOtherAccounts"]["Condition"]["StringNotEquals"]["aws:PrincipalAccount"]
    assert accounts == sorted([ACCOUNT, "210987654321"])
    key_policy = json.loads(recorded.one(KEY).inputs["policy"])["Statement"]
    assert key_policy[-1]["Principal"] == {"AWS": [OTHERS_ROLE]}
    assert key_policy[-1]["Action"] == ["kms:Decrypt"]


def test_a_reader_of_another_account_is_refused_where_awss_key_encrypts() -> None:
    with pytest.raises(ArgsError, match=r"role of another account.*say `encryption: own-key`"):
        made(Secrets, {**BY_HAND, "readers": [OTHERS_ROLE]})


def test_a_key_of_ones_own_rotates_and_is_used_for_secrets_alone() -> None:
    recorded = made(Secrets, {**BY_HAND, "encryption": "own-key"})
    key = recorded.one(KEY, "it-key")
    assert key.inputs["enableKeyRotation"] is True
    assert recorded.one(SECRET).inputs["kmsKeyId"] == f"arn:aws:kms:{REGION}:{ACCOUNT}:it-key"
    administration, use = json.loads(key.inputs["policy"])["Statement"]
    assert not {"kms:*", "kms:Decrypt", "kms:GenerateDataKey"} & set(administration["Action"])
    assert "kms:PutKeyPolicy" in administration["Action"], "or nobody could ever change the policy"
    assert use["Principal"] == {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]}
    assert use["Condition"] == {"StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"}}


def test_a_key_without_which_nothing_can_be_read_is_not_deleted_by_chance() -> None:
    key = made(Secrets, {**BY_HAND, "encryption": "own-key"}).one(KEY)
    assert (key.protect, key.inputs["deletionWindowInDays"]) == (True, 30)
    key = made(Secrets, {**BY_HAND, "encryption": "own-key", "recovery_days": 0}).one(KEY)
    assert (key.protect, key.inputs["deletionWindowInDays"]) == (False, 7)


def test_a_key_that_is_there_already_is_used_and_none_is_made() -> None:
    recorded = made(Secrets, {**BY_HAND, "kms_key_arn": KEY_ARN})
    assert recorded.one(SECRET).inputs["kmsKeyId"] == KEY_ARN
    assert not recorded.of(KEY)


def test_replicas_are_in_other_regions_with_keys_of_their_own() -> None:
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/5678"
    replicas = [{"region": "eu-west-1", "kms_key_arn": key}, {"region": "us-east-1"}]
    secret = made(Secrets, {**BY_HAND, "replicas": replicas}).one(SECRET)
    assert secret.inputs["replicas"] == [{"region": "eu-west-1", "kmsKeyId": key}, {"region": "us-east-1"}]


def test_a_rotation_calls_its_function_every_thirty_days_and_may_do_so() -> None:
    recorded = made(Secrets, {**BY_HAND, "rotation": {"llm": {"lambda_arn": LAMBDA}}})
    rotation = recorded.one(ROTATION, "it-llm").inputs
    assert rotation["rotationLambdaArn"] == LAMBDA
    assert rotation["rotationRules"] == {"automaticallyAfterDays": 30}
    assert rotation["rotateImmediately"] is False
    permission = recorded.one("aws:lambda/permission:Permission", "it-llm-rotation").inputs
    assert permission["principal"] == "secretsmanager.amazonaws.com"
    assert permission["sourceAccount"] == ACCOUNT


def test_a_rotation_follows_its_schedule_and_window() -> None:
    rotation = {
        "lambda_arn": LAMBDA,
        "schedule": "cron(0 8 1 * ? *)",
        "window_hours": 3,
        "allow_invoke": False,
    }
    recorded = made(Secrets, {"agents": {"support": {"crm": None}}, "rotation": {"support/crm": rotation}})
    assert recorded.one(ROTATION, "it-support-crm").inputs["rotationRules"] == {
        "scheduleExpression": "cron(0 8 1 * ? *)",
        "duration": "3h",
    }
    assert not recorded.of("aws:lambda/permission:Permission")


def test_a_failed_rotation_is_told() -> None:
    args = {**BY_HAND, "rotation": {"llm": {"lambda_arn": LAMBDA}}}
    assert not made(Secrets, args).of(ALARM)
    alarm = made(Secrets, {**args, "alarms": {"notify": ["arn:topic"]}}).one(ALARM, "it-llm-rotation").inputs
    assert alarm["dimensions"] == {"FunctionName": "rotate-llm"}
    assert alarm["alarmActions"] == ["arn:topic"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (
            {"recovery_days": 3},
            "recovery_days: 3 is wrong: say 7 to 30, which Secrets Manager takes, or 0",
        ),
        ({"recovery_days": 31}, "recovery_days: 31 is wrong"),
        ({"values": {"a/b": None}}, "say up to 128 letters, digits and _+=.@-, without a slash"),
        ({"agents": {"Support": {}}}, "say up to 40 lower-case letters"),
        (
            {"values": {"a-b": None}, "agents": {"a": {"b": None}}},
            "would both be 'a-b' in the stack; rename one",
        ),
        ({"naming": "by-path"}, "say `environment`, such as prod"),
        (
            {"naming": "by-path", "environment": "prod", "values": {"llm-secret": None}},
            "say such as prod/llm_secret",
        ),
        ({"naming": "by-path", "environment": "a b", "values": {"llm": None}}, "cannot be a secret's name"),
        ({"values": {"k" * 100: None}, "agents": {}, "encryption": "mine"}, "encryption: 'mine' is wrong"),
        ({"encryption": "own-key", "kms_key_arn": KEY_ARN}, "leave one of them out"),
        ({"kms_key_arn": "alias/mine"}, "say a key's ARN"),
        ({"readers": ["arn:aws:iam::123456789012:role/*"]}, "without a star"),
        ({"replicas": [{"region": "Ireland"}]}, "say an AWS region"),
        ({"replicas": [{"region": "eu-west-1"}] * 2}, "eu-west-1 is said more than once"),
        (
            {"replicas": [{"region": "eu-west-1", "kms_key_arn": KEY_ARN}]},
            "is a key of another region than eu-west-1",
        ),
        ({**BY_HAND, "rotation": {"llms": {"lambda_arn": LAMBDA}}}, "none of the secrets; say one of llm"),
        ({**BY_HAND, "generated": {"llms": "first"}}, "generated names 'llms', which is none of the secrets"),
        ({**BY_HAND, "generated": {"llm": "a b"}}, "say up to 64 letters"),
    ],
)
def test_what_aws_would_refuse_is_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    assert said in problem(args)


@pytest.mark.parametrize(
    "also", [{"rotation": {"llm": {"lambda_arn": LAMBDA}}}, {"generated": {"llm": "first"}}]
)
def test_what_the_program_writes_cannot_also_rotate_or_be_drawn(also: dict[str, Any]) -> None:
    def program() -> None:
        given = pulumi.Output.from_input({"OPENAI_API_KEY": "sk-1"})
        Secrets("it", {"values": {"llm": given}, **also})

    with pytest.raises(ArgsError, match="would undo each other; say None as its content"):
        record(program)


def test_a_name_too_long_is_told_before_anything_is_made() -> None:
    with pytest.raises(ArgsError, match="too long for a secret's name; say up to 504 characters"):
        record(lambda: Secrets("n" * 501, BY_HAND) and None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sk-1", "its content is a str; say a mapping"),
        (["sk-1"], "its content is a list; say a mapping"),
        ({"key": {"sk-1"}}, "a value that JSON has no form for"),
        ({"key": "sk-1" * 20_000}, "bytes and Secrets Manager takes 65536"),
    ],
)
def test_content_that_is_no_json_object_is_refused_and_not_repeated(content: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        as_json("Secrets 'it': llm", content)
    assert "sk-1" not in str(raised.value)
