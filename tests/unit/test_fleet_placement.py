"""Where a fleet's pods run, and how they are asked how they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_infra import ArgsError
from agent_infra.contract import task_contract
from agent_infra.fleet.placement_args import SPOT_NOTICE_SECONDS, Placement, check_spot
from agent_infra.fleet.probes import Probes, probes
from tests.unit.fleet_objects import QUEUE, pod_spec, recorded


def spread(**placement: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pod_spec(placement=placement)["topologySpreadConstraints"]
    return found


def test_pods_are_spread_over_zones_and_nodes_where_that_can_be() -> None:
    assert [(each["topologyKey"], each["whenUnsatisfiable"]) for each in spread()] == [
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
        ("kubernetes.io/hostname", "ScheduleAnyway"),
    ]
    assert not {"nodeSelector", "tolerations", "affinity", "priorityClassName"} & set(pod_spec())


def test_pods_are_spread_without_exception_where_that_was_chosen() -> None:
    zones, nodes = spread(zones="require", min_zones=3, nodes="require")
    assert (zones["whenUnsatisfiable"], zones["minDomains"]) == ("DoNotSchedule", 3)
    assert (nodes["whenUnsatisfiable"], "minDomains" in nodes) == ("DoNotSchedule", False)


def test_nodes_are_chosen_by_what_they_are() -> None:
    spec = pod_spec(
        placement={
            "architecture": "arm64",
            "capacity": "on-demand",
            "priority_class": "agents",
            "node_selector": {"example.com/pool": "agents"},
            "tolerations": [
                {"key": "agents", "value": "yes", "effect": "NoSchedule"},
                {"operator": "Exists", "effect": "NoExecute", "seconds": 60},
            ],
            "affinity": {"nodeAffinity": {}},
        }
    )
    assert spec["nodeSelector"] == {
        "kubernetes.io/arch": "arm64",
        "karpenter.sh/capacity-type": "on-demand",
        "example.com/pool": "agents",
    }
    assert spec["priorityClassName"] == "agents"
    assert spec["tolerations"] == [
        {"key": "agents", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
    ]
    assert spec["affinity"] == {"nodeAffinity": {}}


def test_workers_can_run_elsewhere() -> None:
    args = {
        "queue": QUEUE,
        "placement": {"capacity": "on-demand"},
        "worker": {"placement": {"zones": "require"}},
    }
    assert pod_spec(**args)["nodeSelector"] == {"karpenter.sh/capacity-type": "on-demand"}
    worker = pod_spec("support-worker", **args)
    assert "nodeSelector" not in worker
    assert worker["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"


def test_a_built_image_runs_on_the_nodes_that_it_was_built_for(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    build = {"context": str(tmp_path), "repository_url": "registry.example/agents"}
    assert pod_spec(image=build)["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    with pytest.raises(ArgsError, match=r"placement.architecture is arm64, and the image is built for amd64"):
        recorded(image=build, placement={"architecture": "arm64"})


@given(st.integers(1, 3000))
def test_tasks_on_spot_nodes_end_before_the_node_does(timeout: int) -> None:
    fits = task_contract(timeout).grace <= SPOT_NOTICE_SECONDS
    try:
        check_spot(Placement(capacity="spot"), task_contract(timeout))
    except ValueError as error:
        assert not fits
        longest = int(str(error).rpartition("task_timeout of ")[2].split()[0])
        check_spot(Placement(capacity="spot"), task_contract(longest))
        assert task_contract(longest + 1).grace > SPOT_NOTICE_SECONDS
    else:
        assert fits


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"placement": {"min_zones": 3}}, "min_zones 3 counts where zones are required"),
        ({"placement": {"capacity": "spot"}}, "or a task_timeout of 85 or less"),
        (
            {"placement": {"node_selector": {"karpenter.sh/capacity-type": "spot"}}},
            "capacity spot: such a node",
        ),
        (
            {"queue": QUEUE, "worker": {"placement": {"capacity": "spot"}}, "task_timeout": 600},
            "a pod needs 635 to end its longest task",
        ),
        (
            {"placement": {"architecture": "arm64", "node_selector": {"kubernetes.io/arch": "amd64"}}},
            "architecture is arm64, and node_selector says kubernetes.io/arch amd64",
        ),
        ({"placement": {"architecture": "x86"}}, "placement.architecture: 'x86' is wrong"),
        ({"placement": {"node_selector": {"a b": "c"}}}, "say a label's key"),
        ({"placement": {"affinity": {"nodeAfinity": {}}}}, "nodeAfinity is no affinity; say one of"),
        ({"placement": {"tolerations": [{"value": "a"}]}}, "operator Equal needs a key"),
        ({"placement": {"tolerations": [{"operator": "Exists", "value": "a"}]}}, "Exists takes no value"),
        (
            {"placement": {"tolerations": [{"key": "a", "seconds": 3}]}},
            "seconds is about the effect NoExecute",
        ),
        ({"placement": {"priority_class": "High Priority"}}, "say the name of a Kubernetes object"),
        ({"probes": {"live_timeout": 20}}, "live_timeout 20 is above live_period 10"),
        ({"probes": {"live_period": 5}}, "a pod would be killed in the midst of its task after 15 seconds"),
        ({"probes": {"ready_path": "readyz"}}, "probes.ready_path: 'readyz' is wrong: say a path"),
        ({"probes": {"start_seconds": 9000}}, "probes.start_seconds: 9000 is wrong"),
        ({"probes": {"start_seconds": 900}}, "probes.start_seconds 900 is above the contract's start 600"),
    ],
)
def test_places_that_cannot_be_are_told_with_the_way_out(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgsError) as raised:
        recorded(**args)
    assert said in str(raised.value)


def test_probes_ask_what_was_said() -> None:
    said = {"live_path": "/alive", "ready_path": "/ready", "start_seconds": 301, "ready_period": 7}
    (container,) = pod_spec(probes=said)["containers"]
    assert container["startupProbe"]["httpGet"] == {"path": "/alive", "port": "http"}
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 301
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
    assert container["readinessProbe"]["periodSeconds"] == 7


@given(
    st.fixed_dictionaries(
        {name: st.integers(0, 400) for name in Probes.model_fields if not name.endswith("path")}
    )
)
def test_probes_that_are_taken_are_sane(numbers: dict[str, int]) -> None:
    try:
        made = probes(Probes(**numbers))
    except ValidationError:
        return
    for kind in ("livenessProbe", "readinessProbe"):
        assert 1 <= made[kind]["timeoutSeconds"] <= made[kind]["periodSeconds"]
    assert made["livenessProbe"]["periodSeconds"] * made["livenessProbe"]["failureThreshold"] >= 20
    assert made["startupProbe"]["periodSeconds"] * made["startupProbe"]["failureThreshold"] <= 3600
