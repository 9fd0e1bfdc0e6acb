"""The simulated cluster of a local environment: started with it, known again, left, and ended."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from agent_infra.automation.errors import AutomationError
from agent_infra.automation.project import Project
from agent_infra.local import fleets, mode
from agent_infra.local.environment import LocalEnvironment, LocalError
from agent_infra.local.mode import KubernetesMode
from agent_infra.local.progress import Report


def chosen(project: Project, stack: str, environment: LocalEnvironment) -> KubernetesMode:
    """What stands for an environment's cluster where nobody asks for it: what its settings say, else what it
    runs on already, else files.

    Raises:
        AutomationError: the settings say what there is not.
    """
    key = f"{project.name}:{mode.KEY}"
    said = (project.settings(stack).get("config") or {}).get(key)
    try:
        if said is not None:
            return KubernetesMode.parse(said, where=f"{key} in Pulumi.{stack}.yaml")
    except LocalError as error:
        raise AutomationError(str(error)) from None
    return mode.remembered(environment) or KubernetesMode.FILES


@dataclass(frozen=True)
class Place:
    """Where an environment's Kubernetes objects go."""

    kubeconfig: Path | None = None
    """None: to files."""
    generation: str = ""
    """Another value means that an API server has forgotten what it was told, or that it is another place."""


def prepare(
    environment: LocalEnvironment, kubernetes: KubernetesMode, *, anew: bool, report: Report
) -> Place:
    """Has that place ready which an environment is to run on now, and leaves the one before.

    Args:
        environment: whose; its data services run.
        kubernetes: what stands for its cluster.
        anew: whether nothing is known of what is there, so that it has to be empty.
        report: is told of what goes on.

    Raises:
        LocalError: the cluster does not start.
    """
    if kubernetes is KubernetesMode.FILES:
        _leave_other(environment, kubernetes, anew=anew)
        return Place()
    # What a cluster takes is loaded for who has one: it would double the start of every command.
    from agent_infra.local import cluster
    from agent_infra.local.kubelet import wanted

    options = cluster.last_options(environment)
    _leave_other(environment, kubernetes, anew=anew)
    cluster.start(environment, report, options)
    kubeconfig = cluster.kubeconfig(environment)
    # The engine waits for pods, so whoever runs them comes first.
    fleets.start(environment, kubeconfig=kubeconfig)
    return Place(kubeconfig, wanted.generation(kubeconfig))


def _leave_other(environment: LocalEnvironment, kubernetes: KubernetesMode, *, anew: bool) -> None:
    """Ends what an environment ran on before, where that is not what it is to run on now."""
    before = mode.remembered(environment)
    if before not in {None, kubernetes} or (anew and before is KubernetesMode.SIMULATED):
        end(environment)
        shutil.rmtree(environment.manifests_dir, ignore_errors=True)
        environment.manifests_dir.mkdir()
    mode.remember(environment, kubernetes)


def end(environment: LocalEnvironment) -> None:
    """Ends the fleets, and the cluster with all that it has; which of the modes it was is forgotten.

    Raises:
        LocalError: something belongs to another user.
    """
    from agent_infra.local import cluster

    fleets.stop(environment)
    cluster.destroy(environment)
    environment.mode_file.unlink(missing_ok=True)


def kubeconfig(environment: LocalEnvironment) -> Path | None:
    """Of the cluster that an environment runs on; None where it has none.

    Raises:
        LocalError: it is to have one that was never started.
    """
    if mode.remembered(environment) is not KubernetesMode.SIMULATED:
        return None
    from agent_infra.local import cluster

    return cluster.kubeconfig(environment)
