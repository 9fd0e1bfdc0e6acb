"""What many fleets have in common is said once, and what is wrong with many is told once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_infra import Settings, SettingsError
from agent_infra.fleet_defaults import laid_over
from agent_infra.parts import FleetSettings
from tests.unit.components import as_text

IMAGE = f"agents@sha256:{64 * '0'}"


def load(**said: Any) -> Settings:
    config = {f"agent-infra:{key}": as_text(value) for key, value in said.items()}
    return Settings.load({"aws:region": "eu-central-1", **config}, "prod")


def problems(**said: Any) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(**{"cache": {}, "database": {}, **said})
    return str(raised.value).splitlines()


def test_each_fleet_has_the_environments_models_where_it_says_no_others() -> None:
    common = {
        "secret": "llm",
        "model": "openai:gpt-5-mini",
        "limits": {"openai:a": {"requests_per_minute": 5}},
    }
    own = {"model": "openai:gpt-5", "limits": {"openai:b": {"requests_per_minute": 6}}}
    fleets = load(
        secrets={"llm": {}},
        cache={},
        llm=common,
        fleets={"a": {"image": IMAGE}, "b": {"image": IMAGE, "llm": own}},
    ).fleets
    assert (fleets["a"].llm.secret, fleets["a"].llm.model) == ("llm", "openai:gpt-5-mini")
    assert (fleets["b"].llm.secret, fleets["b"].llm.model) == ("llm", "openai:gpt-5")
    assert set(fleets["b"].llm.limits) == {"openai:a", "openai:b"}


def test_each_fleet_has_the_defaults_where_it_says_nothing_else() -> None:
    fleets = load(
        database={},
        fleet_defaults={
            "image": IMAGE,
            "replicas": {"min": 1, "max": 2},
            "worker": {},
            "environment": {"TEAM": "support", "CRM": "https://crm.example.com"},
            "synced_secrets": ["crm"],
            "log_level": "debug",
        },
        secrets={"crm": {}, "erp": {}},
        fleets={
            "a": {},
            "b": {
                "replicas": {"max": 9},
                "worker": None,
                "environment": {"TEAM": "sales", "CRM": None},
                "synced_secrets": ["erp"],
                "log_level": "info",
            },
        },
    ).fleets
    a, b = fleets["a"], fleets["b"]
    assert (a.image, a.replicas.max, a.worker is not None, a.log_level) == (IMAGE, 2, True, "debug")
    assert a.environment == {"TEAM": "support", "CRM": "https://crm.example.com"}
    assert (b.image, b.replicas.min, b.replicas.max) == (IMAGE, 1, 9), "mappings are merged"
    assert b.synced_secrets == ["erp"], "lists are replaced"
    assert b.worker is None, "null takes a default away"
    assert b.environment == {"TEAM": "sales"}
    assert b.log_level == "info"


def test_an_images_build_is_merged_and_a_ready_image_replaces_it() -> None:
    fleets = load(
        fleet_defaults={"image": {"context": "agent_app", "arguments": {"A": "1"}}},
        fleets={"a": {"image": {"arguments": {"B": "2"}}}, "b": {"image": IMAGE}},
    ).fleets
    assert fleets["a"].image.context == "agent_app"  # type: ignore[union-attr]
    assert fleets["a"].image.arguments == {"A": "1", "B": "2"}  # type: ignore[union-attr]
    assert fleets["b"].image == IMAGE


def test_the_queues_defaults_are_for_fleets_with_workers() -> None:
    fleets = load(
        database={},
        fleet_defaults={"image": IMAGE, "queue": {"max_receives": 3}},
        fleets={"a": {"worker": {}}, "b": {}},
    ).fleets
    assert fleets["a"].queue.max_receives == 3
    assert fleets["b"].queue == FleetSettings(image=IMAGE).queue


def test_a_program_may_say_settings_and_defaults_as_models() -> None:
    settings = Settings(
        environment="prod",
        region="eu-central-1",
        fleet_defaults={"replicas": {"min": 1}},
        fleets={"a": FleetSettings(image=IMAGE, replicas={"max": 4})},
    )
    assert (settings.fleets["a"].replicas.min, settings.fleets["a"].replicas.max) == (1, 4)
    assert Settings.model_validate(dict(settings)) == settings


_JSON = st.recursive(
    st.integers() | st.sampled_from("xyz") | st.booleans(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_MAPPING = st.dictionaries(st.sampled_from("abc"), _JSON, max_size=3)


@given(_MAPPING, _MAPPING)
def test_what_is_above_is_always_there_and_nothing_comes_from_elsewhere(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    both = laid_over(below, above)
    assert laid_over(both, above) == both
    assert laid_over({}, above) == above
    assert laid_over(below, {}) == below
    assert both.keys() == below.keys() | above.keys()


NAMES = [f"f{number:03}" for number in range(500)]


def many(**said: Any) -> dict[str, Any]:
    return {name: {"image": IMAGE, **said} for name in NAMES}


def test_what_is_wrong_with_a_default_is_told_once_and_where_it_is_said() -> None:
    told = problems(
        fleet_defaults={"imge": IMAGE, "port": 80, "log_level": "info"},
        llm={"requests_per_minute": 0},
        fleets=many(),
    )
    assert told[0] == "3 settings are wrong in Pulumi.prod.yaml:"
    assert told[1].startswith("  agent-infra:llm.requests_per_minute: 0 is wrong")
    assert told[2].startswith("  agent-infra:fleet_defaults.port: 80 is wrong")
    assert told[3].startswith("  agent-infra:fleet_defaults.imge: is not known; did you mean 'image'?")


def test_what_many_fleets_have_wrong_in_common_is_told_once() -> None:
    told = problems(fleets=many(port=80))
    assert told[0] == "500 settings are wrong in Pulumi.prod.yaml:"
    assert len(told) == 2
    assert told[1].startswith("  agent-infra:fleets.*.port: 80 is wrong:")
    assert told[1].endswith("(in f000, f001, f002 and 497 more)")


def test_of_many_different_problems_the_first_ones_are_told_and_how_many_more_there_are() -> None:
    fleets = {name: {"image": IMAGE, "port": number} for number, name in enumerate(NAMES)}
    told = problems(fleets=fleets)
    assert len(told) == 22
    assert told[-1] == "  ... and 480 more"


def test_the_problems_of_every_fleet_are_told_at_once() -> None:
    told = problems(
        fleets={
            "a": {"image": IMAGE, "llm": {"secret": "nobody"}},
            "b": {"image": IMAGE, "auth": {"api_keys": False}},
            "c": {"image": IMAGE, "identity": "irsa"},
        }
    )
    assert [line.split(":")[1] for line in told[1:]] == [
        "fleets.a.llm.secret",
        "fleets.b.auth",
        "fleets.c.identity",
    ]


def test_limits_and_budgets_of_several_processes_need_a_place_to_count_in() -> None:
    fleets = {"a": {"image": IMAGE, "llm": {"requests_per_minute": 60, "monthly_budget_usd": 10}}}
    told = "\n".join(problems(cache=None, database=None, fleets=fleets))
    assert "agent-infra:fleets.a.llm.requests_per_minute: would hold in each of 10 processes" in told
    assert "agent-infra:fleets.a.llm.monthly_budget_usd: would hold in each of 10 processes" in told


def test_a_fleet_with_a_key_of_its_own_has_limits_of_its_own() -> None:
    said = {"secret": "llm"}
    shared = load(secrets={"llm": {}}, fleets={"a": {"image": IMAGE, "llm": said}})
    own = load(fleets={"a": {"image": IMAGE, "secrets": {"llm": {}}, "llm": said}})
    chosen = load(fleets={"a": {"image": IMAGE, "secrets": {"llm": {}}, "llm": {**said, "quota": "acme"}}})
    found = [settings.fleets["a"].llm_of("a").quota for settings in (shared, own, chosen)]
    assert found == [None, "a", "acme"]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            {"agents": {"w": {"agent": "a:b", "max_attempts": 9}}, "worker": {}},
            "fleets.a: agents.w.max_attempts 9 is above the queue's max_receives 5",
        ),
        ({"environment": {"OPENAI_API_KEY": "sk-hidden"}}, "OPENAI_API_KEY may hold a secret"),
        ({"environment": {"AGENT_APP_MODEL": "sk-hidden"}}, "AGENT_APP_MODEL is what `llm.model` says"),
        (
            {"llm": {"fallback_models": ["openai:a", "openai:a"]}},
            "fleets.a.llm: fallback_models names a model",
        ),
    ],
)
def test_wrong_settings_of_agents_and_variables_are_told(said: dict[str, Any], problem: str) -> None:
    told = "\n".join(problems(fleets={"a": {"image": IMAGE, **said}}))
    assert problem in told
    assert "sk-hidden" not in told
