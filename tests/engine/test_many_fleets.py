"""Ten fleets of different agent types out of settings alone, planned by the real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_infra.automation import Environment, Event, Step, UpdateFailed
from tests.engine.conftest import change_settings, copy_project, end_all

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600), pytest.mark.xdist_group("dev")]

NAMES = [f"agents-{number}" for number in range(10)]


def _ten_fleets(config: dict[str, Any]) -> None:
    config["agent-infra:llm"] = {"secret": "llm", "monthly_budget_usd": 100}
    config["agent-infra:fleet_defaults"] = {
        "image": "agent-app:local",
        "replicas": {"min": 1, "max": 1},
        "worker": {"replicas": {"min": 1, "max": 1}},
    }
    config["agent-infra:fleets"] = {
        name: {
            "agents": {name: {"agent": "agent_app.agents.wait:agent", "timeout": 60}},
            "llm": {"monthly_budget_usd": number + 1},
            **({"worker": None} if number % 2 else {}),
        }
        for number, name in enumerate(NAMES)
    }


def test_ten_fleets_of_settings_alone_are_planned_and_what_is_wrong_with_all_is_told_once(
    tmp_path: Path,
) -> None:
    project = copy_project(tmp_path)
    change_settings(project, "local", _ten_fleets)
    environment = Environment.open("local", project=project)
    planned: set[tuple[str, str]] = set()

    def note(event: Event) -> None:
        if isinstance(event, Step) and event.op == "create":
            planned.add((event.type, event.name))

    try:
        environment.preview(listener=note)
        deployments = {name for type, name in planned if type == "kubernetes:apps/v1:Deployment"}
        # `null` reaches the program: the engine keeps it in what it hands over.
        assert deployments == {*NAMES, *(f"{name}-worker" for name in NAMES[::2])}
        queues = {name for type, name in planned if type == "aws:sqs/queue:Queue"}
        assert {f"agents-{name}-tasks" for name in NAMES[::2]} <= queues

        def misspell(config: dict[str, Any]) -> None:
            config["agent-infra:fleet_defaults"]["log_level"] = "loud"
            for fleet in config["agent-infra:fleets"].values():
                fleet["port"] = 80

        change_settings(project, "local", misspell)
        with pytest.raises(UpdateFailed, match=r"fleets\.\*\.port: 80 is wrong") as told:
            environment.preview()
        assert str(told.value).count("80 is wrong") == 1
        assert "agent-infra:fleet_defaults.log_level: 'loud' is wrong" in str(told.value)
    finally:
        end_all(project)
