"""Keys of one's own: made the same way by every component."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_infra.aws.keys import own_key, use_through, via_service
from agent_infra.component import Component
from tests.unit.recording import ACCOUNT, Recorded, record

KEY = "aws:kms/key:Key"


class Holder(Component):
    def __init__(self, **options: Any) -> None:
        super().__init__("Holder", "it", None, tags={"team": "agents"})
        own_key(self, "it-key", **{"description": "Encrypts it", "recovery_days": 30, **options})
        self.register_outputs({})


def key_with(**options: Any) -> Recorded:
    return record(lambda: Holder(**options) and None)


def test_a_key_rotates_is_tagged_and_has_an_alias() -> None:
    recorded = key_with()
    key = recorded.one(KEY, "it-key")
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["tags"] == {"Name": "it-key", "managed-by": "agent-infra", "team": "agents"}
    assert key.parent == "it"
    assert recorded.one("aws:kms/alias:Alias", "it-key").inputs == {"targetKeyId": "key-of-it-key"}


@pytest.mark.parametrize(("asked", "waits"), [(0, 7), (7, 7), (20, 20), (35, 30)])
def test_a_deleted_key_waits_for_as_long_as_kms_allows(asked: int, waits: int) -> None:
    assert key_with(recovery_days=asked).one(KEY).inputs["deletionWindowInDays"] == waits


def test_without_statements_the_policy_is_kmss_own() -> None:
    assert "policy" not in key_with().one(KEY).inputs


def policy_of_a_key_used_through(service: str, *, region: str) -> list[dict[str, Any]]:
    def program() -> None:
        Holder(
            statements=[use_through(service, principals=["arn:role"], actions=["kms:Decrypt"], region=region)]
        )

    statements: list[dict[str, Any]] = json.loads(record(program).one(KEY).inputs["policy"])["Statement"]
    return statements


def test_who_looks_after_a_key_cannot_use_it_and_who_uses_it_does_so_through_one_service() -> None:
    policy = policy_of_a_key_used_through("sqs", region="cn-north-1")
    assert [item["Sid"] for item in policy] == ["Administration", "Use"]
    assert policy[0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    using = ("Decrypt", "Encrypt", "GenerateDataKey", "ReEncrypt", "CreateGrant", "*")
    assert not [action for action in policy[0]["Action"] if action.removeprefix("kms:").startswith(using)]
    assert policy[1]["Condition"] == {"StringEquals": {"kms:ViaService": "sqs.cn-north-1.amazonaws.com.cn"}}


def test_no_key_is_open_to_the_public() -> None:
    for statement in policy_of_a_key_used_through("sqs", region="eu-west-1"):
        assert "*" not in str(statement["Principal"])


def test_a_protected_key_is_not_deleted_by_pulumi() -> None:
    assert key_with(protect=True).one(KEY).protect
    assert not key_with().one(KEY).protect


def test_the_service_through_which_a_key_is_used_is_in_the_keys_region() -> None:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
    assert via_service("secretsmanager", arn) == "secretsmanager.eu-west-1.amazonaws.com"
