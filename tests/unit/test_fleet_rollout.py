"""How a new revision takes over: what may be said of it, and the objects that it makes."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra import AgentFleet, ArgsError
from agent_infra.fleet import Rollout
from agent_infra.fleet.configuration import held
from agent_infra.local.fleets.manifests import Manifests
from agent_infra.local.fleets.pod import plan
from tests.unit.recording import Recorded, record

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SERVICE = "kubernetes:core/v1:Service"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
HPA = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
QUEUE = {"url": "https://sqs/q", "arn": "arn:queue"}
CANARY = {"strategy": "canary"}
DATABASE = {"url": "postgresql://db:5432/agents?sslmode=require"}
LEVEL = {"name": "AGENT_APP_EXTRA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}


def fleet(**args: Any) -> Recorded:
    return record(lambda: AgentFleet("support", {"image": IMAGE, **args}) and None)


def labels(recorded: Recorded, name: str) -> dict[str, str]:
    found: dict[str, str] = recorded.one(DEPLOYMENT, name).inputs["spec"]["template"]["metadata"]["labels"]
    return found


def selector(recorded: Recorded, name: str) -> dict[str, str]:
    found: dict[str, str] = recorded.one(DEPLOYMENT, name).inputs["spec"]["selector"]["matchLabels"]
    return found


def environment(recorded: Recorded, name: str) -> dict[str, Any]:
    (container,) = recorded.one(DEPLOYMENT, name).inputs["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", [])}


def revision(recorded: Recorded, name: str = "support") -> str:
    return str(recorded.one(DEPLOYMENT, name).inputs["metadata"]["annotations"]["agent-infra/revision"])


@pytest.fixture(scope="module")
def canary() -> Recorded:
    return fleet(rollout=CANARY, queue=QUEUE, replicas={"min": 2, "max": 5})


def test_a_fleet_that_says_nothing_rolls_and_keeps_earlier_revisions() -> None:
    recorded = fleet()
    spec = recorded.one(DEPLOYMENT).inputs["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["revisionHistoryLimit"] == 5


def test_the_selector_of_an_existing_deployment_stays_what_it_was() -> None:
    for strategy in ("rolling", "canary"):
        recorded = fleet(rollout={"strategy": strategy}, queue=QUEUE)
        for name, kind in (("support", "api"), ("support-worker", "worker")):
            assert selector(recorded, name) == {
                "app.kubernetes.io/name": "support",
                "app.kubernetes.io/component": kind,
            }


def test_a_canary_rests_without_pods_beside_each_deployment(canary: Recorded) -> None:
    assert {item.name for item in canary.of(DEPLOYMENT)} == {
        "support-canary",
        "support-worker-canary",
        "support",
        "support-worker",
    }
    for name in ("support-canary", "support-worker-canary"):
        made = canary.one(DEPLOYMENT, name).inputs
        assert made["spec"]["replicas"] == 0
        assert made["metadata"]["name"] == name


def test_only_the_stable_pods_are_an_autoscalers(canary: Recorded) -> None:
    scaled = {item.inputs["spec"]["scaleTargetRef"]["name"] for item in canary.of(HPA)}
    assert scaled == {"support", "support-worker"}


def test_no_deployment_owns_anothers_pods(canary: Recorded) -> None:
    names = [item.name for item in canary.of(DEPLOYMENT)]
    for name in names:
        owns = [other for other in names if selector(canary, name).items() <= labels(canary, other).items()]
        assert owns == [name]


def test_the_service_leads_to_stable_and_canary_pods_of_the_api_and_to_no_worker(canary: Recorded) -> None:
    chosen = canary.one(SERVICE).inputs["spec"]["selector"]
    behind = {
        item.name for item in canary.of(DEPLOYMENT) if chosen.items() <= labels(canary, item.name).items()
    }
    assert behind == {"support-canary", "support"}


def test_canary_pods_differ_from_stable_ones_by_their_labels_alone(canary: Recorded) -> None:
    stable, trial = (
        canary.one(DEPLOYMENT, name).inputs["spec"]["template"] for name in ("support", "support-canary")
    )
    assert trial["spec"] == stable["spec"]
    assert labels(canary, "support")["agent-infra/track"] == "stable"
    assert labels(canary, "support-canary")["agent-infra/track"] == "canary"


@pytest.mark.parametrize("strategy", ["rolling", "canary"])
def test_each_revision_has_its_own_settings_and_no_map_that_is_changed_under_the_other(strategy: str) -> None:
    recorded = fleet(rollout={"strategy": strategy}, queue=QUEUE, database=DATABASE)
    assert not recorded.of(CONFIG_MAP)
    for name in ("support", "support-worker"):
        spec = recorded.one(DEPLOYMENT, name).inputs["spec"]["template"]["spec"]
        for container in (*spec["initContainers"], *spec["containers"]):
            said = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert said["AGENT_APP_FLEET"] == "support"
            assert "envFrom" not in container


def test_a_container_of_ones_own_has_no_settings_and_says_others_in_the_agents() -> None:
    own = [{"name": "proxy", "image": "proxy:1"}, {"name": "agent", "env": [LEVEL]}]
    recorded = fleet(extra_pod_spec={"containers": own})
    agent, proxy = recorded.one(DEPLOYMENT).inputs["spec"]["template"]["spec"]["containers"]
    assert "env" not in proxy
    assert [entry for entry in agent["env"] if entry["name"] == LEVEL["name"]] == [LEVEL]


def test_a_setting_that_is_a_secret_is_one_to_pulumi_and_the_others_stay_readable() -> None:
    def program() -> None:
        hidden = {"PLACE": pulumi.Output.secret("do-not-show")}
        AgentFleet("support", {"image": IMAGE, "extra_environment": hidden})

    made = record(program).one(DEPLOYMENT)
    assert made.secrets == {"spec"}
    assert fleet().one(DEPLOYMENT).secrets == set()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="$()AB 5"))
def test_a_setting_reaches_a_process_of_this_machine_as_it_was_said(value: str) -> None:
    said = {"name": "agent", "command": ["sh"]}
    deployment = {
        "metadata": {"name": "support", "namespace": "agents"},
        "spec": {"template": {"spec": held({"containers": [said]}, {"B": value}, containers={"agent"})}},
    }
    assert plan(deployment, Manifests(""), identity={}).variables["B"] == value


@pytest.mark.parametrize("strategy", ["rolling", "canary"])
def test_settings_in_the_template_are_read_as_they_would_be_from_a_map(strategy: str) -> None:
    def program() -> None:
        args = {
            "image": IMAGE,
            "rollout": {"strategy": strategy},
            "extra_environment": {"GREETING": "$(HOME) for $5", "LATE": pulumi.Output.from_input("$(x)")},
            "secret_environment": {"AGENT_APP_LOG_LEVEL": {"name": "choices", "key": "level"}},
        }
        AgentFleet("support", args)

    recorded = record(program)
    found = environment(recorded, "support")
    assert found["GREETING"] == "$$(HOME) for $$5"  # Kubernetes replaces $(NAME) there, and reads $$ as $
    assert found["LATE"] == "$$(x)"
    assert "secretKeyRef" in found["AGENT_APP_LOG_LEVEL"]  # a secret still wins over a setting


def test_a_container_beside_the_agent_keeps_its_own_environment() -> None:
    beside = {"containers": [{"name": "proxy", "image": "proxy:1", "env": [{"name": "A", "value": "1"}]}]}
    recorded = fleet(rollout=CANARY, extra_pod_spec=beside)
    containers = recorded.one(DEPLOYMENT, "support").inputs["spec"]["template"]["spec"]["containers"]
    assert containers[1]["env"] == [{"name": "A", "value": "1"}]


def test_a_change_of_any_kind_of_pods_is_a_revision_of_the_whole_fleet() -> None:
    before = fleet(rollout=CANARY, queue=QUEUE)
    after = fleet(rollout=CANARY, queue=QUEUE, worker={"resources": {"memory": "300Mi"}})
    assert revision(before) == revision(before, "support-worker")
    assert revision(after) == revision(after, "support-worker") != revision(before)


def test_a_change_of_replicas_is_no_new_revision() -> None:
    more = {"min": 7, "max": 7}
    assert revision(fleet(rollout=CANARY)) == revision(fleet(rollout=CANARY, replicas=more))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"strategy": "blue-green"}, "strategy"),
        ({"steps": [{"weight": 5, "minutes": 5}]}, "the strategy is rolling; say strategy: canary"),
        ({"analysis": {"max_error_rate": 0.1}}, "the strategy is rolling; say strategy: canary"),
        ({"strategy": "canary", "steps": []}, "say at least one, such as"),
        ({"strategy": "canary", "steps": [{"weight": 5}]}, "minutes"),
        ({"strategy": "canary", "steps": [{"weight": 100, "minutes": 1}]}, "less than or equal to 99"),
        ({"strategy": "canary", "steps": [{"weight": 0, "minutes": 1}]}, "greater than or equal to 1"),
        ({"strategy": "canary", "steps": [{"weight": 5, "minutes": 0}]}, "greater than 0"),
        (
            {"strategy": "canary", "steps": [{"weight": 20, "minutes": 1}, {"weight": 20, "minutes": 1}]},
            "go from 20 % to 20 %; each weight has to be above the one before it",
        ),
        ({"strategy": "canary", "analysis": {"max_error_rate": 5}}, "less than or equal to 1"),
        ({"strategy": "canary", "analysis": {"max_latency_ratio": 0.5}}, "greater than or equal to 1"),
        ({"strategy": "canary", "analysis": {"evaluation": {}}}, "say one of the two, such as"),
        (
            {"strategy": "canary", "analysis": {"evaluation": {"cases": [{"prompt": "Hello?"}]}}},
            "any answer would do",
        ),
        (
            {"strategy": "canary", "analysis": {"prometheus_url": "http://prometheus:9090"}},
            "leave it out",
        ),
        ({"revisions": 0}, "greater than or equal to 1"),
    ],
)
def test_what_no_rollout_can_be_is_refused_with_the_way_out(said: dict[str, Any], told: str) -> None:
    with pytest.raises(ArgsError, match=r"rollout") as refused:
        fleet(rollout=said)
    assert told in str(refused.value)


def test_the_defaults_are_a_canary_of_twenty_minutes() -> None:
    rollout = Rollout(strategy="canary")
    assert [(step.weight, step.minutes) for step in rollout.steps] == [(5, 5), (25, 5), (50, 10)]
