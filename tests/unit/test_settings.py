"""What Pulumi.<environment>.yaml may say, and how wrong settings are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_infra import Settings, SettingsError
from tests.unit.components import as_text

ROOT = Path(__file__).parents[2]
REGION = {"aws:region": "eu-central-1"}


def load(config: dict[str, Any], **options: Any) -> Settings:
    """As the engine hands a configuration over: objects are JSON, all else is text."""
    texts = {key: as_text(value) for key, value in config.items()}
    return Settings.load(texts, "dev", **options)


def problems(config: dict[str, Any], **options: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        load({**REGION, **config}, **options)
    return str(raised.value)


def shipped(environment: str) -> Settings:
    return load(yaml.safe_load((ROOT / f"Pulumi.{environment}.yaml").read_text())["config"])


def test_the_local_environment_has_two_replicas_and_a_worker_and_nothing_that_costs() -> None:
    settings = shipped("local")
    fleet = settings.fleets["support"]
    assert (fleet.replicas.min, fleet.replicas.max) == (2, 2)
    assert fleet.worker is not None
    assert fleet.worker.replicas.max == 1
    assert settings.network.nat == "none"
    assert settings.protect is False
    assert settings.secrets["llm"].from_environment == ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"]


def test_only_an_environment_on_this_machine_says_what_stands_for_its_cluster() -> None:
    config = {"aws:region": "eu-central-1", "agent-infra:kubernetes": "simulated"}
    assert Settings.load(config, "local").kubernetes == "simulated"
    told = problems({"agent-infra:kubernetes": "simulated"})
    assert "--stack dev --rehearse --kubernetes simulated" in told
    wrong = {**config, "agent-infra:kubernetes": "kind"}
    with pytest.raises(SettingsError, match=r"agent-infra:kubernetes: .*'files' or 'simulated'"):
        Settings.load(wrong, "local")


def test_dev_pauses_when_idle() -> None:
    database = shipped("dev").database
    assert database is not None
    assert (database.mode, database.min_capacity) == ("aurora-serverless", 0)


def test_prod_outlives_a_zone_and_is_protected() -> None:
    settings = shipped("prod")
    assert (settings.network.zones, settings.network.nat) == (3, "per-zone")
    assert settings.database is not None
    assert settings.database.multi_az
    assert settings.protect


def test_a_rehearsal_differs_in_protection_alone() -> None:
    settings = shipped("prod")
    rehearsed = settings.for_rehearsal()
    assert rehearsed.protect is False
    assert rehearsed.model_copy(update={"protect": True}) == settings


def test_parts_that_are_not_said_are_not_made() -> None:
    settings = load(REGION)
    assert (settings.cache, settings.database, settings.storage, settings.fleets) == (None, None, None, {})


def test_an_empty_mapping_is_a_part_with_its_defaults() -> None:
    cache = load({**REGION, "agent-infra:cache": {}}).cache
    assert cache is not None
    assert cache.replicas == 1


def test_plain_texts_become_what_they_say() -> None:
    assert load({**REGION, "agent-infra:protect": "false"}).protect is False


def test_keys_of_other_namespaces_are_not_ours_to_judge() -> None:
    load({**REGION, "aws:allowedAccountIds": ["123456789012"], "other:key": "value"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"agent-infra:netwrk": {}}, "agent-infra:netwrk: is not known; did you mean 'agent-infra:network'?"),
        (
            {"agent-infra:network": {"natt": "one"}},
            "agent-infra:network.natt: is not known; did you mean 'nat'? Allowed: cidr, discovery, existing,",
        ),
        (
            {"agent-infra:network": {"nat": "two"}},
            "agent-infra:network.nat: 'two' is wrong: input should be 'none', 'one' or 'per-zone'",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "replicas": {"min": 0}}}},
            "fleets.support.replicas: min 0 needs KEDA, and the cluster has none; install it",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "replicas": {"min": 9, "max": 3}}}},
            "agent-infra:fleets.support.replicas: min 9 is above max 3; lower min or raise max",
        ),
        ({"agent-infra:fleets": {"support": {}}}, "agent-infra:fleets.support.image: is required"),
        (
            {"agent-infra:fleets": {"support": {"image": {"contxt": "x"}}}},
            "agent-infra:fleets.support.image.contxt: is not known; did you mean 'context'?",
        ),
        (
            {"agent-infra:fleets": {"Support": {"image": "a"}}},
            "agent-infra:fleets.Support: 'Support' is wrong: say up to 40 lower-case letters",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "llm": {"secret": "keys"}}}},
            "fleets.support.llm.secret: names a secret that `secrets` does not have",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "worker": {}}}},
            "fleets.support.worker: works on tasks, and their results are kept in a database",
        ),
        (
            {"agent-infra:cluster": None, "agent-infra:fleets": {"support": {"image": "a"}}},
            "fleets support run in a cluster, and `cluster` is null",
        ),
        ({"agent-infra:network": None}, "cluster would be made in a network, and `network` is null"),
        (
            {"agent-infra:cache": {"existing": {"url": "rediss://a:6379/0"}, "replicas": 2}},
            "agent-infra:cache: `existing` names what is there already, and replicas would say how to make a",
        ),
        (
            {"agent-infra:secrets": {"llm": {"existing": "arn:llm"}}},
            "agent-infra:secrets.llm.existing: is wrong: say a secret's whole ARN, such as arn:aws:",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "synced_secrets": ["crm"]}}},
            "fleets.support.synced_secrets: names a secret that `secrets` does not have (it has none)",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "identity": "irsa"}}},
            "fleets.support.identity: is irsa, and the cluster has no OIDC provider; add `irsa: true`",
        ),
        (
            {
                "agent-infra:database": {},
                "agent-infra:fleets": {
                    "support": {
                        "image": "a",
                        "worker": {},
                        "task_timeout": 40000,
                        "queue": {"max_receives": 99},
                    }
                },
            },
            "would drop a task before its last try",
        ),
        (
            {"agent-infra:database": {"existing": {"url": "postgresql://u:p@host/db"}}},
            "the address holds a password; put it as",
        ),
        (
            {"agent-infra:cache": {"existing": {"url": "host:6379"}}},
            "say an address such as rediss://host.example.com",
        ),
        (
            {"agent-infra:cluster": {"existing": {"name": "shared"}}},
            "`cluster.existing` is in a network of its own, and `network` would make another",
        ),
        ({"agent-infra:clients": {"cluster": "sg-0123456789abcdef"}}, "clients.cluster is the cluster's own"),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "queue": {"max_receives": 7}}}},
            "`queue` is for workers, and `worker` is not said; add `worker: {}`",
        ),
        (
            {
                "agent-infra:database": {},
                "agent-infra:fleets": {
                    "x": {"image": "a", "worker": {}},
                    "x-worker": {"image": "a"},
                },
            },
            "fleets.x-worker: would have the name of the workers of fleets.x; rename one",
        ),
        (
            {
                "agent-infra:fleets": {
                    "a": {"image": "a", "secrets": {"b-c": {}}, "synced_secrets": ["b-c"]},
                    "a-b": {"image": "a", "secrets": {"c": {}}, "synced_secrets": ["c"]},
                }
            },
            "fleets.a.secrets.b-c and fleets.a-b.secrets.c would both be the Kubernetes secret 'a-b-c'",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "auth": {"api_keys_secret": "keys"}}}},
            "fleets.support.auth.api_keys_secret: names a secret that `secrets` does not have",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "auth": {"api_keys": False}}}},
            "fleets.support.auth: says `api_keys: false` and no `oidc`: anybody could ask",
        ),
        (
            {"agent-infra:fleets": {"support": {"image": "a", "secrets": {"api-keys": {}}}}},
            "add `auth: {api_keys_secret: api-keys}` to use yours",
        ),
        (
            {
                "agent-infra:secrets": {"keys": {}},
                "agent-infra:fleets": {
                    "support": {"image": "a", "auth": {"api_keys": True, "api_keys_secret": "keys"}}
                },
            },
            "fleets.support.auth: `api_keys_secret` names the secret of the keys",
        ),
        (
            {
                "agent-infra:fleets": {
                    "support": {
                        "image": "a",
                        "auth": {"oidc": {"issuer": "http://login.example.com", "audience": "agents"}},
                    }
                }
            },
            "fleets.support.auth.oidc.issuer: 'http://login.example.com' is wrong: say the issuer's URL",
        ),
        ({"agent-infra:clients": {"bastion": "bastion"}}, "say a security group's id, such as sg-"),
        ({"agent-infra:cluster": {"version": 1.34}}, "put it in quotes"),
        ({"agent-infra:protect": "maybe"}, "agent-infra:protect: 'maybe' is wrong: it must be true or false"),
        ({"agent-infra:cache": "yes"}, "agent-infra:cache: is wrong: it must be a mapping"),
        ({"aws:region": "europe"}, "aws:region: 'europe' is wrong: say an AWS region, such as eu-central-1"),
    ],
)
def test_a_wrong_setting_is_told_by_its_key_its_value_and_what_is_allowed(
    config: dict[str, Any], said: str
) -> None:
    assert said in problems(config)


def test_a_missing_region_is_told_by_its_own_key() -> None:
    with pytest.raises(SettingsError, match="aws:region: is required"):
        load({})


def test_all_problems_are_told_at_once() -> None:
    text = problems(
        {"agent-infra:netwrk": {}, "agent-infra:cache": {"replicas": 9}, "agent-infra:protect": "?"}
    )
    assert text.startswith("3 settings are wrong in Pulumi.dev.yaml:\n")


@pytest.mark.parametrize(
    "config",
    [
        {"agent-infra:openaiKey": "sk-hidden"},
        {"agent-infra:secrets": {"llm": {"value": "sk-hidden"}}},
        {"agent-infra:secrets": {"llm": "sk-hidden"}},
        {"agent-infra:secrets": {"llm": {"from_environment": "sk-hidden"}}},
        {"agent-infra:secrets": {"llm": {"from_environment": ["sk-hidden"]}}},
        {"agent-infra:fleets": {"a": {"image": "a", "environment": {"KEY": ["sk-hidden"]}}}},
        {"agent-infra:fleets": {"a": {"image": "a", "secret_environment": {"KEY": "sk-hidden"}}}},
        {"agent-infra:fleets": {"a": {"image": "a", "llm": {"secret": "sk-hidden"}}}},
        {"agent-infra:fleets": {"a": {"image": "a", "synced_secrets": "sk-hidden"}}},
        {"agent-infra:fleets": {"a": {"image": "a", "auth": {"api_keys_secret": "sk-hidden"}}}},
        {"agent-infra:cache": {"existing": {"url": "rediss://:sk-hidden@host:6379"}}},
        {"agent-infra:cache": "rediss://:sk-hidden@host:6379"},
        {"agent-infra:database": {"existing": {"url": "postgresql://host/db?password=sk-hidden"}}},
        {"agent-infra:database": {"existing": "postgresql://u:sk-hidden@host/db"}},
    ],
)
def test_what_may_be_secret_is_never_repeated(config: dict[str, Any]) -> None:
    assert "sk-hidden" not in problems(config)


def test_an_encrypted_setting_is_refused_without_its_value() -> None:
    text = problems({"agent-infra:namespace": "hidden"}, secret_keys=["agent-infra:namespace"])
    assert "agent-infra:namespace: is encrypted" in text
    assert "hidden" not in text
