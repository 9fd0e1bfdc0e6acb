"""Which fleets' pods go before which."""

from __future__ import annotations

from typing import Any

import pytest

from agent_infra import SettingsError
from tests.unit.test_platform import IMAGE, platform

FLEETS = {"support": {"image": IMAGE, "placement": {"priority_class": "agents"}}}


def test_an_environment_makes_the_classes_that_its_fleets_name() -> None:
    classes = {"agents": {"value": 1000}, "batch": {"value": -10, "preempts": False}}
    recorded = platform("prod", change={"priority_classes": classes, "fleets": FLEETS})
    made = {
        item.inputs["metadata"]["name"]: (item.inputs["value"], item.inputs["preemptionPolicy"])
        for item in recorded.of("kubernetes:scheduling.k8s.io/v1:PriorityClass")
    }
    assert made == {"agents": (1000, "PreemptLowerPriority"), "batch": (-10, "Never")}
    pod = recorded.one("kubernetes:apps/v1:Deployment", "support").inputs["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == "agents"


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"agents": {"value": 2_000_000_000}}, "priority_classes.agents.value: 2000000000 is wrong"),
        ({"agents": {}}, "priority_classes.agents.value: is required"),
        ({"system-agents": {"value": 1}}, "names with system- in front are Kubernetes' own"),
        ({"Agents": {"value": 1}}, "say the name of a Kubernetes object"),
    ],
)
def test_classes_that_cannot_be_are_told_with_the_way_out(classes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        platform("prod", change={"priority_classes": classes})
    assert said in str(raised.value)
