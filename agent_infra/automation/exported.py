"""What a stack exports, for whoever then asks AWS about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_infra.automation.environments import Environment
from agent_infra.automation.errors import AutomationError
from agent_infra.local.state import State


def outputs(environment: Environment) -> dict[str, Any]:
    """A stack's outputs; on this machine without the engine, so beside a run as well.

    Raises:
        AutomationError: the state cannot be read.
    """
    if environment.local is None:
        return environment.outputs()
    try:
        return State(environment.local, environment.project.name, environment.name).outputs()
    except (OSError, ValueError, KeyError):
        raise AutomationError(
            f"The state of {environment.name!r} cannot be read just now: wait for a run to end, or run "
            "`agent-infra up`, which mends it."
        ) from None


def mapping(outputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An output that is a mapping; empty where the stack does not export it."""
    value = outputs.get(name)
    return value if isinstance(value, dict) else {}


def configured_region(environment: Environment) -> str | None:
    """The region in an environment's settings file."""
    config = environment.project.settings(environment.name).get("config") or {}
    return config.get("aws:region")
