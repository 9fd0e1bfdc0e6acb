"""What the commands share: their options, the environment they are about, and how errors are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent_infra.cli import STOPPED, STOPPED_MESSAGE

if TYPE_CHECKING:
    from agent_infra.automation import Environment

Stack = Annotated[str, typer.Option("--stack", "-s", help="The environment: the NAME of a Pulumi.NAME.yaml.")]
Rehearse = Annotated[
    bool, typer.Option("--rehearse", help="Run the environment's settings on this machine, without AWS.")
]


class Kubernetes(StrEnum):
    """What stands for the cluster on this machine."""

    FILES = "files"
    SIMULATED = "simulated"


Simulate = Annotated[
    Kubernetes | None,
    typer.Option(
        "--kubernetes", help="On this machine: what stands for the cluster; else what the settings say."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
ProjectDir = Annotated[
    Path | None, typer.Option("--project", help="The project's directory; else the current one or above.")
]


def open_environment(
    stack: str, *, rehearse: bool, project: Path | None, kubernetes: Kubernetes | None = None
) -> Environment:
    """The environment that a command is about."""
    from agent_infra.automation import Environment, Project

    return Environment.open(
        stack,
        project=Project.find(project),
        rehearse=rehearse,
        kubernetes=kubernetes.value if kubernetes else None,
    )


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Every error as one clear message, and an exit code: 1 failed, 130 stopped by Ctrl-C."""
    from agent_infra.automation import AutomationError, UpdateCancelled
    from agent_infra.local.environment import LocalError

    try:
        yield
    except (AutomationError, LocalError) as error:
        if as_json:
            sys.stdout.write(json.dumps({"kind": "error", "message": str(error)}) + "\n")
        else:
            sys.stderr.write(f"agent-infra: {error}\n")
        raise typer.Exit(STOPPED if isinstance(error, UpdateCancelled) else 1) from None
    except KeyboardInterrupt:
        sys.stderr.write(f"{STOPPED_MESSAGE}\n")
        raise typer.Exit(STOPPED) from None
