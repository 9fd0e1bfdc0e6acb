"""Where a local environment's Kubernetes objects are: in files, or in a control plane of its own."""

from __future__ import annotations

import json
from enum import StrEnum

from agent_infra.local.environment import LocalEnvironment, LocalError, write_private

#: The key of an environment's settings, under the project's name.
KEY = "kubernetes"


class KubernetesMode(StrEnum):
    """What stands for the cluster."""

    FILES = "files"
    """Objects are checked files; each Deployment runs at a fixed number of replicas."""
    SIMULATED = "simulated"
    """Objects are in a real API server; its controllers, KEDA and simulated nodes do what a cluster's do."""

    @classmethod
    def parse(cls, said: object, *, where: str) -> KubernetesMode:
        """
        Raises:
            LocalError: it is none of them.
        """
        try:
            return cls(str(said))
        except ValueError:
            raise LocalError(f"{where} is {said!r}; allowed: {', '.join(cls)}") from None


def remembered(environment: LocalEnvironment) -> KubernetesMode | None:
    """As which an environment runs; None where it never did."""
    try:
        return KubernetesMode(json.loads(environment.mode_file.read_text())["kubernetes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(environment: LocalEnvironment, mode: KubernetesMode) -> None:
    write_private(environment.mode_file, json.dumps({"kubernetes": mode}))
