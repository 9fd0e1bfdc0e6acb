"""Going back to the revision before, at once: the fleet's pods alone, by the cluster's API."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from agent_infra.automation import exported, simulated
from agent_infra.automation.environments import Environment
from agent_infra.automation.errors import AutomationError
from agent_infra.automation.events import Listener, Phase
from agent_infra.fleet.canary import revisions
from agent_infra.fleet.canary.cluster import ClusterError
from agent_infra.fleet.canary.kubernetes_api import KubernetesCluster
from agent_infra.fleet.canary.revisions import Revision

_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class RolledBack:
    """One Deployment that asks for an earlier revision again."""

    deployment: str
    from_revision: int
    from_image: str
    to_revision: int
    to_image: str
    done: bool
    """Whether all of its pods were ready before the wait was over."""
    watch: str
    """The command that waits on."""

    def as_json(self) -> dict[str, Any]:
        return {"kind": "rolled-back", **asdict(self)}


def roll_back(
    environment: Environment, fleet: str, *, context: str | None, seconds: float, listener: Listener
) -> list[RolledBack]:
    """Puts the revision before back, of all of a fleet's Deployments or of none.

    Args:
        environment: whose fleet it is.
        fleet: the fleet.
        context: the kubeconfig's; else its current one, which has to name the environment's cluster.
        seconds: how long the pods are waited for.
        listener: is told of what goes on.

    Raises:
        AutomationError: nothing was put back; the message says why.
    """
    kubeconfig = simulated.kubeconfig(environment.local) if environment.local else None
    if environment.local is not None and kubeconfig is None:
        raise AutomationError(
            f"{environment.name!r} runs on this machine, which keeps no earlier revisions without a cluster: "
            f"revert the change and run `agent-infra up` again, which starts {fleet!r} anew within seconds."
        )
    outputs = exported.outputs(environment)
    fleets = exported.mapping(outputs, "fleets")
    if fleet not in fleets:
        there = ", ".join(sorted(fleets)) or "none (has `up` run, and does the stack export `fleets`?)"
        raise AutomationError(f"There is no fleet {fleet!r} in {environment.name!r}; there are: {there}.")
    namespace = str(fleets[fleet].get("namespace") or "agents")
    worker = fleet in exported.mapping(outputs, "queue_urls")
    try:
        if kubeconfig is not None:
            cluster = KubernetesCluster.by_file(namespace, kubeconfig)
        else:
            cluster = KubernetesCluster.by_context(
                namespace, context=context, cluster=outputs.get("cluster_name"), region=outputs.get("region")
            )
        return _back(cluster, namespace, [fleet, *([f"{fleet}-worker"] if worker else [])], seconds, listener)
    except ClusterError as error:
        raise AutomationError(f"rollback of {fleet!r}: {error}.") from None


def _back(
    cluster: KubernetesCluster, namespace: str, names: list[str], seconds: float, listener: Listener
) -> list[RolledBack]:
    found = {name: cluster.deployment(name) for name in names}
    before = {
        name: _whole(name, revisions.previous(each, cluster.replica_sets(each)))
        for name, each in found.items()
    }
    asked: list[str] = []
    for name, each in found.items():
        listener(Phase(f"{name}: back to revision {before[name].number}"))
        try:
            cluster.patch(name, revisions.patch(each, before[name]))
        except ClusterError as error:
            done = f"; {', '.join(asked)} did go back" if asked else "; nothing was changed"
            raise ClusterError(f"{error}{done}; run it again after a look at it") from None
        asked.append(name)
    ready = _waited(cluster, names, seconds)
    return [
        RolledBack(
            deployment=name,
            from_revision=revisions.current(each).number,
            from_image=revisions.current(each).image,
            to_revision=before[name].number,
            to_image=before[name].image,
            done=ready[name],
            watch=f"kubectl rollout status deployment/{name} --namespace {namespace}",
        )
        for name, each in found.items()
    ]


def _whole(name: str, found: Revision | None) -> Revision:
    """A revision that can run."""
    if found is None:
        raise ClusterError(
            f"no revision before the current one of the Deployment {name} is kept, and nothing was changed; "
            "set the image or the settings back and run `agent-infra up`"
        )
    spec = found.template["spec"]
    sources = [source for each in spec["containers"] for source in each.get("envFrom") or ()]
    if any((source.get("configMapRef") or {}).get("name", "").endswith("-config") for source in sources):
        raise ClusterError(
            f"revision {found.number} of {name} is by an agent-infra that kept settings in a ConfigMap, "
            "which is gone, and nothing was changed; set the change back and run `agent-infra up`"
        )
    return found


def _waited(cluster: KubernetesCluster, names: list[str], seconds: float) -> Mapping[str, bool]:
    until = time.monotonic() + seconds
    while True:
        found = {name: cluster.deployment(name) for name in names}
        ready = {name: revisions.rolled_out(each) for name, each in found.items()}
        over = all(ready[name] or revisions.stuck(each) for name, each in found.items())
        if over or time.monotonic() >= until:
            return ready
        time.sleep(_PAUSE_SECONDS)
