"""StatefulSets, DaemonSets and ReplicationControllers."""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins.kubernetes.awaiting import pods
from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Ready,
    Rule,
    Scene,
    Verdict,
    Waiting,
    pods_of,
    section,
    seen,
)

_UNSEEN: Final = "[1/2] waiting for the controller to see the change"


def stateful_set(scene: Scene) -> Verdict:
    """Every pod is there, ready and of the current revision, which is the one that is asked for."""
    spec, status = section(scene.object, "spec"), section(scene.object, "status")
    if not seen(scene.object):
        return Waiting(_UNSEEN)
    wanted = spec.get("replicas", 1)
    by_hand = section(spec, "updateStrategy").get("type") == "OnDelete" and scene.before is not None
    counted = ["replicas", "readyReplicas", *([] if by_hand else ["currentReplicas"])]
    current = status.get("currentRevision")
    revised = by_hand or (bool(current) and current == status.get("updateRevision"))
    if revised and all(status.get(name, 0) == wanted for name in counted):
        return Ready()
    ready = status.get("readyReplicas", 0)
    if not revised:
        # Ready ones of the revision before do not count.
        ready = min(ready, status.get("updatedReplicas", 0))
    return Waiting(f"[2/2] {ready} of {wanted} pods ready", pods.problems_of(scene.owned("Pod")))


def daemon_set(scene: Scene) -> Verdict:
    """Every node that should run a pod runs one of the current kind, ready and available."""
    status = section(scene.object, "status")
    if not seen(scene.object):
        return Waiting(_UNSEEN)
    wanted = status.get("desiredNumberScheduled", 0)
    counted = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    if all(status.get(name, 0) == wanted for name in counted):
        return Ready()
    ready = min(status.get("numberReady", 0), status.get("updatedNumberScheduled", 0))
    return Waiting(f"[2/2] {ready} of {wanted} nodes' pods ready", pods.problems_of(scene.owned("Pod")))


def replication_controller(scene: Scene) -> Verdict:
    wanted = section(scene.object, "spec").get("replicas", 1)
    available = section(scene.object, "status").get("availableReplicas", 0)
    return Ready() if available == wanted else Waiting(f"{available} of {wanted} pods available")


STATEFUL_SET: Final = Rule(stateful_set, pods_of)
DAEMON_SET: Final = Rule(daemon_set, pods_of)
REPLICATION_CONTROLLER: Final = Rule(replication_controller, also_read=False)
