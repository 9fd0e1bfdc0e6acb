"""What runs on this machine for an environment, and with what tools."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from rich.console import Console

from agent_infra.automation import Environment, simulated
from agent_infra.automation.environments import as_text
from agent_infra.cli.display import mib, table
from agent_infra.local import fleets, services, tools
from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.fleets import FleetsStatus
from agent_infra.local.standins import aws
from agent_infra.local.standins.docker import DockerStandin
from agent_infra.local.standins.docker_build import DockerBuildStandin
from agent_infra.local.standins.kubernetes import KubernetesStandin
from agent_infra.local.standins.kubernetes.standin import KUBECONFIG
from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.state import State

if TYPE_CHECKING:
    from agent_infra.local.cluster import ClusterStatus


def show(environment: Environment, *, everything: bool, as_json: bool) -> None:
    """Services, fleets, outputs, and what is accepted but not simulated.

    Raises:
        AutomationError: the environment is not on this machine.
    """
    local = environment.local
    if local is None:
        sys.stdout.write(as_text(environment.outputs()) + "\n")
        return
    running = services.status(local)
    fleet_status = fleets.status(local)
    kubeconfig = simulated.kubeconfig(local)
    plane = _plane(local) if kubeconfig is not None else None
    if kubeconfig is not None:  # it says what is simulated there
        os.environ[KUBECONFIG] = str(kubeconfig)
    state = State(local, environment.project.name, environment.name)
    notes = [note for note in _not_simulated(local) if everything or _used(note, state.resources())]
    if as_json:
        content = {
            "kind": "status",
            "environment": environment.name,
            "services": [asdict(service) for service in running],
            "fleets": asdict(fleet_status),
            "cluster": asdict(plane) if plane else None,
            "not_simulated": [asdict(note) for note in notes],
        }
        sys.stdout.write(json.dumps(content, default=str) + "\n")
        return
    console = Console(highlight=False)
    console.print(f"Environment {environment.name} in {local.root}")
    rows = [
        (
            service.name,
            str(service.state),
            str(service.pid or ""),
            str(service.port or ""),
            mib(service.memory_bytes),
        )
        for service in running
    ]
    table(console, "Services", ("name", "state", "process", "port", "memory"), rows)
    table(
        console,
        "Fleets",
        ("name", "state", "ready", "message"),
        [
            (name, str(fleet.state), f"{fleet.ready}/{fleet.desired}", fleet.message)
            for name, fleet in fleet_status.fleets.items()
        ],
    )
    if plane is not None:
        _show_cluster(console, plane, fleet_status)
    for name, service in fleet_status.services.items():
        console.print(f"{name} answers at {service.address}")
    table(
        console,
        "Accepted but not simulated on this machine",
        ("type", "property", "why"),
        [(type, ", ".join(properties), reason) for (type, reason), properties in _grouped(notes).items()],
    )
    if not everything:
        console.print("`agent-infra status --all` also lists what this stack does not use.", style="dim")


def _plane(local: LocalEnvironment) -> ClusterStatus:
    from agent_infra.local import cluster

    return cluster.status(local)


def _show_cluster(console: Console, plane: ClusterStatus, fleet_status: FleetsStatus) -> None:
    table(
        console,
        "Simulated cluster",
        ("part", "state", "process", "port", "memory"),
        [
            (part.name, str(part.state), str(part.pid or ""), str(part.port or ""), mib(part.memory_bytes))
            for part in plane.parts
        ],
    )
    table(
        console,
        "Pods",
        ("name", "ready", "restarts", "process", "port"),
        [
            (
                pod.name,
                "yes" if pod.ready else "no",
                str(pod.restarts),
                str(pod.pid or ""),
                str(pod.port or ""),
            )
            for fleet in fleet_status.fleets.values()
            for pod in fleet.replicas
        ],
    )


def show_tools(*, as_json: bool) -> None:
    """The tools that are found and where from."""
    found, simulating = tools.find(), tools.find_cluster()
    if as_json:
        listed = [asdict(tool) for tool in [*found, *simulating]]
        sys.stdout.write(json.dumps(listed, default=str) + "\n")
        return
    console = Console(highlight=False)
    for title, some in (
        ("Tools", found),
        ("Tools of the simulated cluster, got when it is first used", simulating),
    ):
        rows = [
            (tool.name, tool.version or "", str(tool.source or "missing"), str(tool.path or tool.note))
            for tool in some
        ]
        table(console, title, ("name", "version", "from", "where"), rows)


def _not_simulated(local: LocalEnvironment) -> Sequence[NotSimulated]:
    return [
        *aws.not_simulated(),
        *KubernetesStandin(local).not_simulated(),
        *DockerStandin(local).not_simulated(),
        *DockerBuildStandin(local).not_simulated(),
    ]


def _used(note: NotSimulated, resources: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a resource of the stack says what a note is about."""
    return any(
        fnmatch(resource["type"], note.type)
        and (note.property is None or note.property.split(".")[0] in (resource.get("inputs") or {}))
        for resource in resources
    )


def _grouped(notes: Iterable[NotSimulated]) -> dict[tuple[str, str], list[str]]:
    """The properties by their type and the reason, which many share."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        grouped.setdefault((note.type, note.reason), []).extend([note.property] if note.property else [])
    return grouped
