"""`agent-infra cluster`: a real Kubernetes control plane on this machine, for one local environment."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent_infra.cli import display
from agent_infra.cli.options import Json, ProjectDir, Rehearse, Stack, open_environment, told

if TYPE_CHECKING:
    from agent_infra.local.cluster import ClusterStatus
    from agent_infra.local.environment import LocalEnvironment

app = typer.Typer(
    help="Run a real Kubernetes control plane on this machine, with simulated nodes and pods.",
    no_args_is_help=True,
)


@app.command()
def start(
    stack: Stack = "local",
    rehearse: Rehearse = False,
    nodes: Annotated[
        int | None, typer.Option("--nodes", min=1, max=100, help="How many simulated nodes; else 3.")
    ] = None,
    argo: Annotated[
        bool | None, typer.Option("--argo/--no-argo", help="With Argo Rollouts' controller; else without.")
    ] = None,
    hpa_sync: Annotated[
        float | None,
        typer.Option("--hpa-sync", min=0.1, help="How often autoscalers look, in seconds; else 15."),
    ] = None,
    as_json: Json = False,
    project: ProjectDir = None,
) -> None:
    """Start it and wait until it is ready; its objects are as they were. What is not said is as last time."""
    from agent_infra.automation import Phase
    from agent_infra.local import cluster

    with told(as_json=as_json):
        local = _local(stack, rehearse=rehearse, project=project)
        said = {"nodes": nodes, "argo": argo, "hpa_sync_seconds": hpa_sync}
        changes = {name: value for name, value in said.items() if value is not None}
        options = cluster.last_options(local).model_copy(update=changes) if changes else None
        with display.choose(as_json=as_json) as shown:
            found = cluster.start(
                local, lambda message, seconds=None: shown.on_event(Phase(message, seconds)), options
            )
        if as_json:
            _write(found, local)
            return
        sys.stdout.write(f"The control plane answers at {found.server}\n{_hint(cluster.kubeconfig(local))}")


@app.command()
def stop(
    stack: Stack = "local", rehearse: Rehearse = False, as_json: Json = False, project: ProjectDir = None
) -> None:
    """End it; its objects are kept for the next start."""
    from agent_infra.local import cluster

    with told(as_json=as_json):
        local = _local(stack, rehearse=rehearse, project=project)
        cluster.stop(local)
        if as_json:
            _write(cluster.status(local), local)


@app.command()
def status(
    stack: Stack = "local", rehearse: Rehearse = False, as_json: Json = False, project: ProjectDir = None
) -> None:
    """Show how each part of it is."""
    from agent_infra.local import cluster

    with told(as_json=as_json):
        local = _local(stack, rehearse=rehearse, project=project)
        found = cluster.status(local)
        if as_json:
            _write(found, local)
            return
        _show(found, local)


@app.command()
def kubeconfig(stack: Stack = "local", rehearse: Rehearse = False, project: ProjectDir = None) -> None:
    """Print the path of its kubeconfig: export KUBECONFIG=$(agent-infra cluster kubeconfig)."""
    from agent_infra.local import cluster

    with told(as_json=False):
        file = cluster.kubeconfig(_local(stack, rehearse=rehearse, project=project))
        sys.stdout.write(f"{file}\n")


def _local(stack: str, *, rehearse: bool, project: Path | None) -> LocalEnvironment:
    from agent_infra.automation import AutomationError

    environment = open_environment(stack, rehearse=rehearse, project=project)
    if environment.local is None:
        raise AutomationError(
            f"{stack!r} is in the cloud and has its cluster there: add --rehearse for one on this machine."
        )
    return environment.local


def _hint(kubeconfig: Path) -> str:
    return f"  export KUBECONFIG={kubeconfig}\n"


def _write(found: ClusterStatus, local: LocalEnvironment) -> None:
    content = {"kind": "cluster", "environment": local.name, **asdict(found)}
    sys.stdout.write(json.dumps(content, default=str) + "\n")


def _show(found: ClusterStatus, local: LocalEnvironment) -> None:
    from rich.console import Console

    from agent_infra.local import cluster

    console = Console(highlight=False)
    if not found.parts:
        console.print(f"Environment {local.name} has no cluster: `agent-infra cluster start` makes one.")
        return
    console.print(f"The cluster of {local.name} in {local.cluster_dir}: {_summary(found)}", soft_wrap=True)
    rows = [
        (
            part.name,
            str(part.state),
            str(part.pid or ""),
            str(part.port or ""),
            str(part.restarts or ""),
            display.mib(part.memory_bytes),
        )
        for part in found.parts
    ]
    display.table(console, "Parts", ("name", "state", "process", "port", "restarts", "memory"), rows)
    for part in found.parts:
        if part.detail:
            console.print(f"\n{part.name}: {part.detail}", soft_wrap=True, markup=False)
    console.print("\nNot run: KEDA's admission webhooks, kube-proxy, DNS; volumes are not made.", style="dim")
    if found.pid:
        console.print(_hint(cluster.kubeconfig(local)), soft_wrap=True, end="")


def _summary(found: ClusterStatus) -> str:
    if found.detail:
        return found.detail
    if not found.pid:
        return "stopped"
    return f"ready, within {found.seconds:.0f} s" if found.ready else "not ready"
