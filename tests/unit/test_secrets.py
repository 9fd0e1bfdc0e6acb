"""`Secrets`: what is secret stays so."""

from __future__ import annotations

import json

import pulumi
import pytest

from agent_infra import (
    ArgsError,
    Secrets,
)
from tests.unit.components import made
from tests.unit.recording import record


def test_secrets_are_marked_secret_and_those_filled_by_hand_are_left_alone() -> None:
    def program() -> None:
        given = pulumi.Output.from_input({"OPENAI_API_KEY": "sk-1"})
        Secrets("it", {"values": {"given": given, "by-hand": None}})

    recorded = record(program)
    given = recorded.one("aws:secretsmanager/secretVersion:SecretVersion", "it-given")
    assert json.loads(given.inputs["secretString"]) == {"OPENAI_API_KEY": "sk-1"}
    assert "secretString" in given.secrets
    assert given.ignore_changes == []
    by_hand = recorded.one("aws:secretsmanager/secretVersion:SecretVersion", "it-by-hand")
    assert by_hand.inputs["secretString"] == "{}"
    assert by_hand.ignore_changes == ["secretString"]


def test_a_plain_text_is_refused_where_a_secret_belongs_and_not_repeated() -> None:
    with pytest.raises(ArgsError) as raised:
        made(Secrets, {"values": {"llm": "sk-1"}})
    assert "sk-1" not in str(raised.value)
