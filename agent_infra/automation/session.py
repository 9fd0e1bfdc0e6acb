"""What one run of the engine needs first: the tools, a local environment's cloud, and the stack."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi.automation import LocalWorkspace, PulumiCommand, Stack

from agent_infra.automation import simulated
from agent_infra.automation.errors import AutomationError
from agent_infra.automation.events import Diagnostic, Listener, Phase
from agent_infra.automation.project import Project
from agent_infra.local import services, tools, workspace
from agent_infra.local.environment import LocalEnvironment, LocalError, plainly, write_private
from agent_infra.local.lock import command_line, locked
from agent_infra.local.mode import KubernetesMode
from agent_infra.local.state import State
from agent_infra.local.tools import Toolset


@dataclass(frozen=True)
class Session:
    """An environment made ready for one run of the engine."""

    stack: Stack
    generation: str | None = None
    """Which memory of the local cloud is there; None for an environment in the real one."""
    kubeconfig: Path | None = None
    """Of the simulated cluster, where there is one."""


def _reporter(listener: Listener) -> Any:
    def report(message: str, seconds: float | None = None) -> None:
        listener(Phase(message, seconds))

    return report


def ensure_tools(listener: Listener) -> Toolset:
    """The engine and its language host, fetched or built where they are missing."""
    try:
        return tools.ensure(_reporter(listener))
    except LocalError as error:
        raise AutomationError(str(error)) from None


def ensure_cluster_tools(listener: Listener) -> None:
    """All programs of the simulated cluster, fetched or built where they are missing."""
    try:
        tools.ensure_cluster(_reporter(listener), argo=True)
    except LocalError as error:
        raise AutomationError(str(error)) from None


@contextmanager
def local_session(
    project: Project,
    stack: str,
    environment: LocalEnvironment,
    *,
    rehearsal: bool,
    kubernetes: KubernetesMode,
    listener: Listener,
) -> Iterator[Session]:
    """Holds a local environment for one run, with its cloud started, and its cluster where it has one.

    Raises:
        AutomationError: something on this machine stands in the way.
    """
    try:
        with plainly(environment.root), locked(environment, action=command_line()):
            toolset = tools.ensure(_reporter(listener))
            workspace.prepare(environment)
            state = State(environment, project.name, stack)
            for sentence in state.mend():
                listener(Diagnostic("warning", sentence))
            anew = not state.exists or state.interrupted()
            if anew:
                # The cloud has what no state knows of: it begins anew, and `up` fills it again.
                services.stop(environment, ["moto"])
            if state.interrupted():
                state.forget_interruption()
            services.start(environment, report=_reporter(listener))
            place = simulated.prepare(environment, kubernetes, anew=anew, report=_reporter(listener))
            variables = workspace.variables(
                environment, tool_dirs=toolset.bin_dirs, rehearsal=rehearsal, kubeconfig=place.kubeconfig
            )
            directory = write_project(project, stack, environment)
            moto = services.generation(environment)
            yield Session(
                stack=Stack.create_or_select(stack, _workspace(directory, toolset, variables)),
                generation=f"{moto}.{place.generation}" if place.generation else moto,
                kubeconfig=place.kubeconfig,
            )
    except LocalError as error:
        raise AutomationError(str(error)) from None


@contextmanager
def cloud_session(project: Project, stack: str, *, listener: Listener) -> Iterator[Session]:
    """An environment in the real cloud: the user's own back end, credentials and official plugins."""
    toolset = ensure_tools(listener)
    path = os.pathsep.join([*map(str, toolset.bin_dirs), os.environ.get("PATH", os.defpath)])
    ready = _workspace(project.root, toolset, {"PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"})
    yield Session(stack=Stack.create_or_select(stack, ready))


def _workspace(directory: Path, toolset: Toolset, variables: Mapping[str, str]) -> LocalWorkspace:
    # The automation API wants the directory above the engine's `bin`.
    root = str(toolset.pulumi.parent.parent) if toolset.pulumi.parent.name == "bin" else None
    return LocalWorkspace(
        work_dir=str(directory),
        env_vars=dict(variables),
        pulumi_command=PulumiCommand(root=root, skip_version_check=True),
    )


def write_project(project: Project, stack: str, environment: LocalEnvironment) -> Path:
    """The project as the local engine reads it: the same program, and settings with the local key.

    Pulumi writes into the directory that it works in; this one is the environment's own, so nothing
    of the user's is touched. A rehearsal cannot open values encrypted for the real environment; each
    is replaced by a recognisable stand-in.
    """
    directory = environment.project_dir
    directory.mkdir(exist_ok=True)
    description = project.description()
    program = directory / "program"
    program.unlink(missing_ok=True)
    program.symlink_to(project.root / str(description.get("main") or "."))
    write_private(directory / "Pulumi.yaml", yaml.safe_dump({**description, "main": program.name}))

    settings = project.settings(stack)
    made = directory / f"Pulumi.{stack}.yaml"
    salt = (yaml.safe_load(made.read_text()) or {}).get("encryptionsalt") if made.exists() else None
    for key in ("encryptionsalt", "secretsprovider", "encryptedkey"):
        settings.pop(key, None)
    settings["config"] = {
        key: f"rehearsal-of-{key.rpartition(':')[2]}"
        if isinstance(value, dict) and "secure" in value
        else value
        for key, value in (settings.get("config") or {}).items()
    }
    if salt:
        settings["encryptionsalt"] = salt
    write_private(made, yaml.safe_dump(settings, sort_keys=False))
    return directory
