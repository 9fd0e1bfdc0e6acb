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

from agent_infra.automation.errors import AutomationError
from agent_infra.automation.events import Diagnostic, Listener, Phase
from agent_infra.automation.project import Project
from agent_infra.local import services, tools, workspace
from agent_infra.local.environment import LocalEnvironment, LocalError, write_private
from agent_infra.local.lock import command_line, locked
from agent_infra.local.state import State
from agent_infra.local.tools import Toolset


@dataclass(frozen=True)
class Session:
    """An environment made ready for one run of the engine."""

    stack: Stack
    config_file: str | None
    """The settings to deploy from; None means the environment's own file."""
    generation: str | None = None
    """Which memory of the local cloud is there; None for an environment in the real one."""


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


@contextmanager
def local_session(
    project: Project,
    stack: str,
    environment: LocalEnvironment,
    *,
    rehearsal: bool,
    listener: Listener,
) -> Iterator[Session]:
    """Holds a local environment for one run, with its cloud started.

    Raises:
        AutomationError: something on this machine stands in the way.
    """
    try:
        with locked(environment, action=command_line()):
            toolset = tools.ensure(_reporter(listener))
            workspace.prepare(environment)
            services.start(environment, report=_reporter(listener))
            state = State(environment, project.name, stack)
            for sentence in state.mend():
                listener(Diagnostic("warning", sentence))
            variables = workspace.variables(environment, tool_dirs=toolset.bin_dirs, rehearsal=rehearsal)
            _initialise(project, stack, environment, toolset=toolset, variables=variables)
            config_file = write_config(project, stack, environment)
            yield Session(
                stack=Stack.select(stack, _workspace(project.root, toolset, variables)),
                config_file=str(config_file),
                generation=services.generation(environment),
            )
    except LocalError as error:
        raise AutomationError(str(error)) from None


@contextmanager
def cloud_session(project: Project, stack: str, *, listener: Listener) -> Iterator[Session]:
    """An environment in the real cloud: the user's own back end, credentials and official plugins."""
    toolset = ensure_tools(listener)
    path = os.pathsep.join([*map(str, toolset.bin_dirs), os.environ.get("PATH", os.defpath)])
    ready = _workspace(project.root, toolset, {"PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"})
    yield Session(stack=Stack.create_or_select(stack, ready), config_file=None)


def _workspace(directory: Path, toolset: Toolset, variables: Mapping[str, str]) -> LocalWorkspace:
    # The automation API wants the directory above the engine's `bin`.
    root = str(toolset.pulumi.parent.parent) if toolset.pulumi.parent.name == "bin" else None
    return LocalWorkspace(
        work_dir=str(directory),
        env_vars=dict(variables),
        pulumi_command=PulumiCommand(root=root, skip_version_check=True),
    )


def _initialise(
    project: Project,
    stack: str,
    environment: LocalEnvironment,
    *,
    toolset: Toolset,
    variables: Mapping[str, str],
) -> None:
    """Makes the stack from a project of its own, so that nothing is written beside the user's settings."""
    if State(environment, project.name, stack).exists:
        return
    environment.project_dir.mkdir(exist_ok=True)
    (environment.project_dir / "Pulumi.yaml").write_text(
        yaml.safe_dump({"name": project.name, "runtime": "python"})
    )
    Stack.create(stack, _workspace(environment.project_dir, toolset, variables))


def write_config(project: Project, stack: str, environment: LocalEnvironment) -> Path:
    """The environment's settings as the local engine reads them, with the local state's own key.

    A rehearsal cannot open values encrypted for the real environment; each is replaced by a
    recognisable stand-in.
    """
    settings = project.settings(stack)
    made = environment.project_dir / f"Pulumi.{stack}.yaml"
    salt = (yaml.safe_load(made.read_text()) or {}).get("encryptionsalt") if made.exists() else None
    for key in ("encryptionsalt", "secretsprovider", "encryptedkey"):
        settings.pop(key, None)
    config = {
        key: f"rehearsal-of-{key.rpartition(':')[2]}"
        if isinstance(value, dict) and "secure" in value
        else value
        for key, value in (settings.get("config") or {}).items()
    }
    settings["config"] = config
    if salt:
        settings["encryptionsalt"] = salt
    file = environment.root / f"Pulumi.{stack}.yaml"
    write_private(file, yaml.safe_dump(settings, sort_keys=False))
    return file
