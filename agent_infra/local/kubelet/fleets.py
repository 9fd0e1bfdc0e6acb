"""How the Deployments of a cluster are: pure functions of what the API server says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from agent_infra.local.fleets.manifests import Object
from agent_infra.local.fleets.status import FleetState, FleetStatus, ReplicaStatus

#: What every object of a fleet carries.
MANAGED = "app.kubernetes.io/managed-by=agent-infra"
#: The collections that hold fleets' pods' owners.
DEPLOYMENTS = "/apis/apps/v1/deployments"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/rollouts"


def digest(owners: Iterable[Object]) -> str:
    """Of what is wanted; it changes with each change of a Deployment's spec."""
    said = sorted([each["metadata"]["uid"], each["metadata"].get("generation", 0)] for each in owners)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def behind(service: Object, pod: Object) -> bool:
    """Whether a Service leads to a pod."""
    selector = service["spec"].get("selector") or {}
    same = service["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return bool(selector) and same and selector.items() <= (pod["metadata"].get("labels") or {}).items()


def owned(owner: Object, pod: Object) -> bool:
    """Whether a pod is one of a Deployment's."""
    labels = owner["spec"]["selector"].get("matchLabels") or {}
    same = owner["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and labels.items() <= (pod["metadata"].get("labels") or {}).items()


def status(owner: Object, replicas: list[ReplicaStatus], problems: Iterable[str]) -> FleetStatus:
    """A Deployment, or a Rollout, with the processes of its pods."""
    told = owner.get("status") or {}
    desired = int(owner["spec"].get("replicas", 1))
    ready = int(told.get("readyReplicas", 0))
    updated = int(told.get("updatedReplicas", 0))
    state, message = _state(owner, told, desired)
    if state is not FleetState.RUNNING:
        message = "; ".join(dict.fromkeys([*([message] if message else []), *problems]))
    return FleetStatus(
        desired=desired,
        ready=ready,
        updated=updated,
        revision=(owner["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", ""),
        state=state,
        message=message,
        replicas=replicas,
    )


def _state(owner: Object, told: Mapping[str, object], desired: int) -> tuple[FleetState, str]:
    conditions: Iterable[Object] = told.get("conditions") or ()  # type: ignore[assignment] # as Kubernetes has it
    for each in conditions:
        if each["type"] == "Progressing" and each["status"] == "False":
            return FleetState.DEGRADED, str(each.get("message", ""))
        if each["type"] == "ReplicaFailure" and each["status"] == "True":
            return FleetState.DEGRADED, str(each.get("message", ""))
    seen = str(told.get("observedGeneration", "")) == str(owner["metadata"].get("generation", ""))
    counts = [told.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
    done = seen and counts == [desired] * 3
    return (FleetState.RUNNING if done else FleetState.PROGRESSING), ""
