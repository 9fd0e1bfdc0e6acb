"""What a canary needs of a cluster: few verbs, whoever runs the pods."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Final, Protocol

#: Names what opens the cluster in place of the Kubernetes API, as `module:function`, which is given the
#: namespace. The local environment names its own.
OPENER: Final = "AGENT_INFRA_CLUSTER"
#: The kubeconfig of the API server that takes a local environment's objects in place of files.
KUBECONFIG: Final = "AGENT_INFRA_KUBECONFIG"


class ClusterError(Exception):
    """The cluster did not do what was asked, or could not be reached; the message holds no credential."""


@dataclass(frozen=True)
class Pods:
    """The pods of one Deployment, those that are on their way out left aside."""

    ready: int
    restarts: int
    wanted: int = 1
    """How many the Deployment asks for."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    last_line: str


class Cluster(Protocol):
    """One namespace of a cluster. Every call may raise `ClusterError`."""

    def scale(self, deployment: str, replicas: int) -> None:
        """Asks for that many pods; a Deployment that is not there has none, which is right for 0."""

    def pods(self, deployment: str) -> Pods:
        """Those that are there now."""

    def metrics(self, deployment: str, *, port: int) -> Mapping[str, str]:
        """What /metrics says, of each ready pod by its name; one that does not answer is left out."""

    def run(
        self, deployment: str, command: Sequence[str], *, variables: Mapping[str, str], seconds: float
    ) -> Ended:
        """Runs a command once in a pod of its own like those of the Deployment, apart from all traffic."""


def open_cluster(namespace: str, kubeconfig: str | None) -> Cluster:
    """The cluster that the fleet's objects are in.

    Args:
        namespace: where they are.
        kubeconfig: its text; where there is none, what `kubectl` would use.

    Raises:
        ClusterError: it cannot be reached.
    """
    if (opener := os.environ.get(OPENER)) and not os.environ.get(KUBECONFIG):
        opened: Cluster = resolve_name(opener)(namespace)
        return opened
    from agent_infra.fleet.canary.kubernetes_api import KubernetesCluster

    return KubernetesCluster.connect(namespace, kubeconfig=kubeconfig)
