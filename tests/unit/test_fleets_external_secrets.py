"""What stands for the External Secrets operator on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent_infra.local.fleets import external_secrets
from agent_infra.local.fleets.external_secrets import ExternalSecrets, seconds
from agent_infra.local.fleets.manifests import Manifests

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:llm-AbCdEf"
AWS = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


class Manager:
    """A Secrets Manager with one secret; counts who asks."""

    def __init__(self) -> None:
        self.content: dict[str, Any] | None = {"OPENAI_API_KEY": "sk-1", "LIMITS": {"rpm": 5}}
        self.asked: list[tuple[str, str]] = []

    def read(self, arn: str, region: str, aws: Mapping[str, str]) -> str:
        self.asked.append((arn, region))
        if self.content is None:
            raise LookupError(arn)
        return json.dumps(self.content)


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(external_secrets, "time", made)
    return made


@pytest.fixture
def manager() -> Manager:
    return Manager()


def manifests(*, annotations: dict[str, str] | None = None, **spec: Any) -> Manifests:
    store = {"spec": {"provider": {"aws": {"service": "SecretsManager", "region": "eu-west-1"}}}}
    external = {
        "kind": "ExternalSecret",
        "metadata": {"name": "llm", "namespace": "agents", "annotations": annotations or {}},
        "spec": {
            "secretStoreRef": {"name": "store"},
            "refreshInterval": "300s",
            "target": {"name": "llm-keys"},
            **(spec or {"dataFrom": [{"extract": {"key": ARN}}]}),
        },
    }
    return Manifests(
        "digest",
        {("SecretStore", "agents", "store"): store, ("ExternalSecret", "agents", "llm"): external},
    )


def secret(now: Manifests) -> dict[str, str] | None:
    found = now.find("Secret", "agents", "llm-keys")
    return found["stringData"] if found else None


@pytest.mark.usefixtures("clock")
def test_every_key_of_the_source_is_there_as_a_text(manager: Manager) -> None:
    now = ExternalSecrets(manager.read).applied(manifests(), aws=AWS, fresh=False)
    assert secret(now) == {"OPENAI_API_KEY": "sk-1", "LIMITS": '{"rpm": 5}'}
    assert manager.asked == [(ARN, "eu-west-1")]
    assert now.digest == "digest", "what is written has not changed"


@pytest.mark.usefixtures("clock")
def test_some_keys_are_there_under_their_new_names(manager: Manager) -> None:
    data = [{"secretKey": "openai", "remoteRef": {"key": ARN, "property": "OPENAI_API_KEY"}}]
    assert secret(ExternalSecrets(manager.read).applied(manifests(data=data), aws=AWS, fresh=False)) == {
        "openai": "sk-1"
    }


def test_a_change_is_seen_at_the_next_refresh_and_changes_the_digest(manager: Manager, clock: Clock) -> None:
    secrets = ExternalSecrets(manager.read)
    secrets.applied(manifests(), aws=AWS, fresh=False)
    before = secrets.digest
    manager.content = {"OPENAI_API_KEY": "sk-2"}
    clock.now += 299
    assert secret(secrets.applied(manifests(), aws=AWS, fresh=False)) != manager.content
    assert secrets.digest == before
    clock.now += 2
    assert secret(secrets.applied(manifests(), aws=AWS, fresh=False)) == manager.content
    assert secrets.digest != before
    assert "sk-2" not in secrets.digest


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("how", [{"fresh": True}, {"annotations": {"agent-infra/version": "v2"}}])
def test_a_change_is_seen_at_once_after_up_or_by_another_annotation(
    manager: Manager, how: dict[str, Any]
) -> None:
    secrets = ExternalSecrets(manager.read)
    secrets.applied(manifests(), aws=AWS, fresh=False)
    manager.content = {"OPENAI_API_KEY": "sk-2"}
    later = manifests(annotations=how.get("annotations"))
    assert secret(secrets.applied(later, aws=AWS, fresh=how.get("fresh", False))) == manager.content


def test_what_was_read_stays_when_it_cannot_be_read_and_is_tried_again(
    manager: Manager, clock: Clock
) -> None:
    secrets = ExternalSecrets(manager.read)
    content = secret(secrets.applied(manifests(), aws=AWS, fresh=False))
    manager.content = None
    assert secret(secrets.applied(manifests(), aws=AWS, fresh=True)) == content
    manager.content = {"OPENAI_API_KEY": "sk-2"}
    clock.now += 6
    assert secret(secrets.applied(manifests(), aws=AWS, fresh=False)) == manager.content


@pytest.mark.usefixtures("clock")
def test_without_aws_nothing_is_read(manager: Manager) -> None:
    assert secret(ExternalSecrets(manager.read).applied(manifests(), aws={}, fresh=True)) is None
    assert manager.asked == []


@pytest.mark.parametrize(("said", "means"), [("300s", 300), ("1h0m0s", 3600), ("1h30m", 5400), ("0s", 0)])
def test_durations_are_gos(said: str, means: float) -> None:
    assert seconds(said) == means
