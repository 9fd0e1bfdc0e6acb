"""The task contract in a fleet's objects, and every place where one of its numbers can be said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_infra import AgentFleet, AgentFleetArgs, ArgsError, WorkQueue, task_contract
from agent_infra.contract import LONGEST_TASK_SECONDS, SETTLE_SECONDS, STOP_SECONDS, TaskContract
from agent_infra.fleet.disruption import disruption_budget
from agent_infra.fleet.names import Names
from agent_infra.local.standins.kubernetes import schema
from agent_infra.local.standins.kubernetes.kinds import parse
from agent_infra.settings import Settings, SettingsError
from tests.unit.components import as_text
from tests.unit.recording import Recorded, record

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
BUDGET = "kubernetes:policy/v1:PodDisruptionBudget"
IMAGE = f"registry.example/agents@sha256:{'1' * 64}"
QUEUE = {"url": "https://sqs/q", "arn": "arn:queue"}


def fleet(**args: Any) -> Recorded:
    return record(lambda: AgentFleet("support", {"image": IMAGE, **args}) and None)


def refused(**args: Any) -> str:
    with pytest.raises(ArgsError) as caught:
        AgentFleetArgs.parse({"image": IMAGE, **args}, owner="AgentFleet 'support'")
    return str(caught.value)


def deployment(recorded: Recorded, name: str = "support") -> dict[str, Any]:
    inputs: dict[str, Any] = recorded.one(DEPLOYMENT, name).inputs
    return inputs


def pod_spec(recorded: Recorded, name: str = "support") -> dict[str, Any]:
    spec: dict[str, Any] = deployment(recorded, name)["spec"]["template"]["spec"]
    return spec


def variables(recorded: Recorded) -> dict[str, str]:
    return recorded.settings()


def agent(grace: int | None = None, **container: Any) -> dict[str, Any]:
    spec = {} if grace is None else {"terminationGracePeriodSeconds": grace}
    return {"extra_pod_spec": {**spec, "containers": [{"name": "agent", **container}]}}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, LONGEST_TASK_SECONDS))
def test_pods_service_and_rollout_get_the_numbers_of_one_contract(task_timeout: int) -> None:
    recorded = fleet(task_timeout=task_timeout, queue=QUEUE)
    said = variables(recorded)
    task, drain = int(said["AGENT_APP_TASK_TIMEOUT"]), int(said["AGENT_APP_DRAIN_SECONDS"])
    hold = int(said["AGENT_APP_VISIBILITY_SECONDS"])
    assert task == task_timeout
    assert drain >= task + SETTLE_SECONDS
    for name in ("support", "support-worker"):
        made, spec = deployment(recorded, name), pod_spec(recorded, name)
        hook = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        grace = spec["terminationGracePeriodSeconds"]
        assert grace >= hook.get("seconds", 0) + drain + STOP_SECONDS
        deadline = made["spec"]["progressDeadlineSeconds"]
        starting = spec["containers"][0]["startupProbe"]
        assert deadline > grace + starting["periodSeconds"] * starting["failureThreshold"]
        assert int(made["metadata"]["annotations"]["pulumi.com/timeoutSeconds"]) >= deadline
        assert made["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": "25%"}
    assert hold <= task_contract(task_timeout).visibility


def test_a_worker_is_told_to_stop_at_once_and_an_api_pod_once_it_has_left_the_load_balancers() -> None:
    recorded = fleet(queue=QUEUE)
    assert pod_spec(recorded)["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert "lifecycle" not in pod_spec(recorded, "support-worker")["containers"][0]


def test_an_api_without_a_queue_runs_the_tasks_itself_and_gets_their_time() -> None:
    recorded = fleet(task_timeout=1800)
    assert pod_spec(recorded)["terminationGracePeriodSeconds"] == task_contract(1800).grace
    assert "AGENT_APP_VISIBILITY_SECONDS" not in variables(recorded)


@pytest.mark.parametrize(("kind", "name"), [("api", "support"), ("worker", "support-worker")])
def test_a_drain_of_nodes_takes_a_share_of_the_pods_and_never_waits_for_ever(kind: str, name: str) -> None:
    recorded = fleet(queue=QUEUE, replicas={"min": 1, "max": 1}, worker={"replicas": {"min": 1, "max": 1}})
    spec = recorded.one(BUDGET, name).inputs["spec"]
    # Rounded up by Kubernetes: one of one to four.
    assert spec["maxUnavailable"] == "25%"
    assert "minAvailable" not in spec
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    labels = deployment(recorded, name)["spec"]["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert labels["app.kubernetes.io/component"] == kind


def kept(recorded: Recorded, name: str) -> set[tuple[str, str]]:
    annotations = deployment(recorded, name)["spec"]["template"]["metadata"]["annotations"]
    return {item for item in annotations.items() if "karpenter" in item[0] or "cluster-autoscaler" in item[0]}


def test_nodes_of_workers_with_long_tasks_are_left_alone_and_no_others() -> None:
    both = {
        ("karpenter.sh/do-not-disrupt", "true"),
        ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
    }
    long = fleet(queue=QUEUE, task_timeout=3600)
    assert kept(long, "support-worker") == both
    assert not kept(long, "support")
    assert not kept(fleet(queue=QUEUE, task_timeout=300), "support-worker")
    assert kept(fleet(task_timeout=3600), "support") == both
    assert not kept(fleet(task_timeout=3600, contract={"protect": False}), "support")
    assert kept(fleet(queue=QUEUE, contract={"protect": True}), "support-worker") == both


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"contract": {"grace": 300}}, ["grace 300 is 35 seconds shorter", "a grace of 335 or more"]),
        ({"contract": {"drain": 100}}, ["drain 100 is 215 seconds shorter", "task_timeout of 85 or less"]),
        ({"contract": {"visibility": 300}, "queue": QUEUE}, ["visibility 300", "330 seconds", "31 short"]),
        ({"contract": {"hold": 5}}, ["hold 5", "15 or more"]),
        ({"contract": {"progress_deadline": 600}}, ["progress_deadline 600 is 335 seconds shorter"]),
        ({"contract": {"rollout_timeout": 600}}, ["rollout_timeout 600", "progress_deadline 935"]),
        ({"contract": {"node_grace": 120}}, ["grace 335 is 215 seconds longer than node_grace 120"]),
        (
            agent(60),
            ["grace 60 is 275 seconds shorter", "said by extra_pod_spec.terminationGracePeriodSeconds"],
        ),
        (
            {**agent(335, lifecycle={"preStop": {"sleep": {"seconds": 40}}})},
            ["grace 335 is 35 seconds shorter than pre_stop 40", "lifecycle.preStop.sleep.seconds"],
        ),
        (
            agent(lifecycle={"preStop": {"exec": {"command": ["drain"]}}}),
            ["preStop may take any time", "contract.pre_stop"],
        ),
        (
            {"extra_environment": {"AGENT_APP_TASK_TIMEOUT": "900"}},
            ["900, 600 seconds longer than task_timeout"],
        ),
        (
            {"extra_environment": {"AGENT_APP_DRAIN_SECONDS": "30"}},
            ["drain 30", "by AGENT_APP_DRAIN_SECONDS"],
        ),
        ({"extra_environment": {"AGENT_APP_VISIBILITY_SECONDS": "3"}}, ["hold 3", "AGENT_APP_VISIBILITY"]),
        (agent(env=[{"name": "AGENT_APP_DRAIN_SECONDS", "value": "1"}]), ["drain 1 is 314 seconds shorter"]),
        (
            {"task_timeout": 1, "extra_environment": {"AGENT_APP_POLL_SECONDS": "20"}},
            ["AGENT_APP_POLL_SECONDS 20 is 4 seconds longer than drain 16"],
        ),
        (
            {"extra_environment": {"AGENT_APP_AGENTS": json.dumps({"a": {"agent": "m:a", "timeout": 301}})}},
            ["the timeout of 'a' in AGENT_APP_AGENTS is 301, 1 seconds longer"],
        ),
        (
            {"secret_environment": {"AGENT_APP_DRAIN_SECONDS": {"name": "s", "key": "k"}}},
            ["AGENT_APP_DRAIN_SECONDS comes from a Kubernetes secret"],
        ),
        ({"extra_environment": {"AGENT_APP_DRAIN_SECONDS": "soon"}}, ["is no number of seconds"]),
        ({"queue": {**QUEUE, "visibility": 30}}, ["visibility 30", "331 or more", "the queue's visibility"]),
        (
            {"contract": {"grace": 400}, **agent(500)},
            ["contract.grace is 400", "terminationGracePeriodSeconds is 500", "say it in one place"],
        ),
    ],
)
def test_a_number_that_breaks_the_contract_is_refused_and_says_which(
    args: dict[str, Any], says: list[str]
) -> None:
    message = refused(**args)
    for part in says:
        assert part in message


def test_a_number_that_only_up_would_know_is_refused() -> None:
    def program() -> None:
        AgentFleet(
            "support",
            {
                "image": IMAGE,
                "extra_environment": {"AGENT_APP_DRAIN_SECONDS": pulumi.Output.from_input("400")},
            },
        )

    with pytest.raises(ArgsError, match="known only while `up` runs"):
        record(program)


def test_several_contradictions_are_told_at_once() -> None:
    message = refused(contract={"hold": 5}, **agent(60), extra_environment={"AGENT_APP_TASK_TIMEOUT": "x"})
    assert "hold 5" in message
    assert "grace 60" in message


def test_an_override_that_keeps_the_contract_is_taken_everywhere() -> None:
    recorded = fleet(
        queue={**QUEUE, "visibility": 1200}, contract={"drain": 400, "hold": 30, "pre_stop": 20, "start": 300}
    )
    assert variables(recorded)["AGENT_APP_DRAIN_SECONDS"] == "400"
    assert variables(recorded)["AGENT_APP_VISIBILITY_SECONDS"] == "30"
    spec = pod_spec(recorded)
    assert spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 20
    assert spec["terminationGracePeriodSeconds"] == 435
    assert deployment(recorded)["spec"]["progressDeadlineSeconds"] == 735
    assert deployment(recorded)["metadata"]["annotations"]["pulumi.com/timeoutSeconds"] == "1035"


def test_a_grace_in_the_pod_spec_moves_the_rollouts_deadline() -> None:
    recorded = fleet(**agent(1000))
    assert pod_spec(recorded)["terminationGracePeriodSeconds"] == 1000
    assert deployment(recorded)["spec"]["progressDeadlineSeconds"] == 1600


def test_a_hook_of_ones_own_takes_the_place_of_the_sleep() -> None:
    hook = {"exec": {"command": ["/bin/leave"]}}
    recorded = fleet(contract={"pre_stop": 30}, **agent(lifecycle={"preStop": hook}))
    assert pod_spec(recorded)["containers"][0]["lifecycle"]["preStop"] == hook
    assert pod_spec(recorded)["terminationGracePeriodSeconds"] == 360
    none = fleet(contract={"pre_stop": 0})
    assert "lifecycle" not in pod_spec(none)["containers"][0]
    assert pod_spec(none)["terminationGracePeriodSeconds"] == 330


def test_a_drain_in_the_environment_moves_the_grace() -> None:
    recorded = fleet(extra_environment={"AGENT_APP_DRAIN_SECONDS": "400"})
    assert variables(recorded)["AGENT_APP_DRAIN_SECONDS"] == "400"
    assert pod_spec(recorded)["terminationGracePeriodSeconds"] == 420


def test_a_shorter_limit_in_the_environment_keeps_the_contract() -> None:
    assert (
        variables(fleet(extra_environment={"AGENT_APP_TASK_TIMEOUT": "0.5"}))["AGENT_APP_TASK_TIMEOUT"]
        == "0.5"
    )


def test_a_queue_takes_a_visibility_that_covers_its_tasks_and_no_other() -> None:
    recorded = record(lambda: WorkQueue("tasks", {"task_timeout": 900, "visibility": 1000}) and None)
    assert recorded.one("aws:sqs/queue:Queue", "tasks").inputs["visibilityTimeoutSeconds"] == 1000
    with pytest.raises(ArgsError, match="visibility 900 is not longer than a worker may have a message"):
        WorkQueue("tasks", {"task_timeout": 900, "visibility": 900})


def loaded(**spec: Any) -> Settings:
    config = {
        "agent-infra:network": "{}",
        "agent-infra:cluster": "{}",
        "agent-infra:database": "{}",
        "agent-infra:fleets": as_text({"support": {"image": IMAGE, **spec}}),
        "aws:region": "eu-central-1",
    }
    return Settings.load(config, "dev")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"contract": {"grace": 100}}, "grace 100 is 235 seconds shorter"),
        ({"extra_pod_spec": {"terminationGracePeriodSeconds": 30}}, "grace 30 is 305 seconds shorter"),
        ({"environment": {"AGENT_APP_TASK_TIMEOUT": "600"}}, "300 seconds longer than task_timeout 300"),
        ({"worker": {}, "queue": {"existing": {**QUEUE, "visibility": 60}}}, "visibility 60 is not longer"),
        ({"worker": {}, "contract": {"visibility": 100}}, "visibility 100 is not longer"),
    ],
)
def test_settings_that_break_the_contract_are_refused(spec: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        loaded(**spec)
    assert "agent-infra:fleets.support" in str(caught.value)


def test_settings_hand_a_visibility_to_the_queue_that_is_made() -> None:
    from agent_infra import AgentPlatform  # imported late: it brings all of AWS

    settings = loaded(worker={}, contract={"visibility": 2000, "hold": 45})
    recorded = record(lambda: AgentPlatform("agents", {"settings": settings}) and None)
    queue = recorded.one("aws:sqs/queue:Queue", "agents-support-tasks").inputs
    assert queue["visibilityTimeoutSeconds"] == 2000
    assert variables(recorded)["AGENT_APP_VISIBILITY_SECONDS"] == "45"


#: The table's columns, and its rows: what a number is called and how it comes about.
SHOWN = (60, 300, 1800, LONGEST_TASK_SECONDS)
ROWS = {
    "pre_stop": ("`preStop` of API pods", "5"),
    "drain": ("`AGENT_APP_DRAIN_SECONDS`", "task_timeout + 15 to settle it"),
    "grace": ("`terminationGracePeriodSeconds`", "pre_stop + drain + 15 to end"),
    "visibility": ("the queue's visibility timeout", "task_timeout + 15 + 15 + 30"),
    "hold": ("`AGENT_APP_VISIBILITY_SECONDS`", "60, or visibility"),
    "heartbeat": ("between two heartbeats", "a third of hold"),
    "start": ("until a new pod is ready", "600"),
    "progress_deadline": ("`progressDeadlineSeconds`", "start + grace"),
    "rollout_timeout": ("`pulumi.com/timeoutSeconds`", "progress_deadline + start"),
    "node_grace": ("a node's `terminationGracePeriod`", "86400, EKS Auto Mode's"),
    "protect": ("nodes are left alone", "where grace is over 600"),
    "max_unavailable": ("a rollout's `maxUnavailable`", "0"),
    "max_surge": ("a rollout's `maxSurge`", "25%"),
    "disrupted": ("PodDisruptionBudget `maxUnavailable`", "25%"),
}


def the_table() -> str:
    """The contract as the docs have it."""
    contracts = [task_contract(length) for length in SHOWN]
    lines = [
        "| number | what it is | how it follows | " + " | ".join(f"{length} s" for length in SHOWN) + " |",
        "|---|---|---|" + "---|" * len(SHOWN),
    ]
    for name, (what, how) in ROWS.items():
        values = [getattr(contract, name) for contract in contracts]
        told = ["yes" if value is True else "no" if value is False else str(value) for value in values]
        lines.append(f"| `{name}` | {what} | {how} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def test_the_table_in_the_docs_is_the_contracts() -> None:
    page = Path("docs/components/agent-fleet.md").read_text()
    _, _, rest = page.partition("<!-- the contract's table: tests/unit/test_fleet_contract.py -->\n")
    table, _, _ = rest.partition("\n<!-- the end of the contract's table -->")
    assert table == the_table()
    assert {field.name for field in dataclasses.fields(TaskContract)} == {"task_timeout", *ROWS}


def test_the_error_in_the_docs_is_what_people_see() -> None:
    page = " ".join(Path("docs/components/agent-fleet.md").read_text().split())
    message = refused(task_timeout=1800, contract={"pre_stop": 20, "hold": 30}, **agent(600)).removeprefix(
        "AgentFleet 'support': "
    )
    assert message in page


def test_a_local_cluster_takes_the_budget() -> None:
    budget = disruption_budget(task_contract(300), Names("support", "default", "agents"), "worker")
    assert schema.failures(parse("kubernetes:policy/v1:PodDisruptionBudget"), budget) == []
