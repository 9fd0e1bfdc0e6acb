"""Deployments: rolled out as the official plugin has it.

The controller has seen the change, the ReplicaSet of the Deployment's current revision has the pods that it
asks for ready, the Deployment is available, and, from the second revision on, its progress is complete.
Old pods that are on their way out are not waited for. A missed `progressDeadlineSeconds` is told and does
not end the wait, since pods may yet become ready; the timeout does.
"""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins.kubernetes.awaiting import pods
from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Ready,
    Related,
    Rule,
    Scene,
    Verdict,
    Waiting,
    condition,
    distinct,
    is_true,
    name_of,
    pods_of,
    section,
    seen,
    selector,
    told,
)
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties

_REPLICA_SET: Final = Kind("apps", "v1", "ReplicaSet")
_CLAIM: Final = Kind("", "v1", "PersistentVolumeClaim")
_REVISION: Final = "deployment.kubernetes.io/revision"


def related(deployment: Properties) -> list[Related]:
    """Its ReplicaSets, their pods, and the claims that the pods mount."""
    sets = Related(_REPLICA_SET, labels=selector(section(deployment, "spec", "selector")))
    volumes = section(deployment, "spec", "template", "spec").get("volumes") or ()
    claims = [
        Related(_CLAIM, name=str(each["persistentVolumeClaim"]["claimName"]))
        for each in volumes
        if each.get("persistentVolumeClaim")
    ]
    return [sets, *pods_of(deployment), *claims]


def judge(scene: Scene) -> Verdict:
    deployment = scene.object
    if not seen(deployment):
        return Waiting("[1/2] waiting for the controller to see the change")
    revision = _revision(deployment)
    current = next((found for found in scene.owned("ReplicaSet") if _revision(found) == revision), None)
    if current is None:
        return Waiting("[1/2] waiting for the ReplicaSet of the new pods", _problems(scene, None))
    wanted = section(current, "spec").get("replicas", 1)
    ready = section(current, "status").get("readyReplicas", 0)
    unbound = [
        f"claim {name_of(claim)} is {section(claim, 'status').get('phase', 'Pending')}"
        for claim in scene.related.get("PersistentVolumeClaim", ())
        if section(claim, "status").get("phase") != "Bound"
    ]
    # The first revision is made, not rolled out: nothing need be complete.
    complete = revision == "1" or (
        is_true(deployment, "Progressing")
        and condition(deployment, "Progressing").get("reason") == "NewReplicaSetAvailable"
    )
    if ready >= wanted and is_true(deployment, "Available") and complete and not unbound:
        return Ready()
    asked = max(wanted, section(deployment, "spec").get("replicas", 1))
    return Waiting(f"[2/2] {ready} of {asked} new pods ready", (*_problems(scene, current), *unbound))


def _revision(object: Properties) -> str:
    return str((object["metadata"].get("annotations") or {}).get(_REVISION, "0"))


def _problems(scene: Scene, current: Properties | None) -> tuple[str, ...]:
    """What the pods say comes first; the Deployment's own conditions only sum it up."""
    found: list[str] = []
    if current is not None:
        found += pods.problems_of(scene.owned("Pod", current))
        if is_true(current, "ReplicaFailure"):
            found.append(f"ReplicaSet {name_of(current)}: {told(condition(current, 'ReplicaFailure'))}")
    elif is_true(scene.object, "ReplicaFailure"):
        found.append(told(condition(scene.object, "ReplicaFailure")))
    if condition(scene.object, "Progressing").get("status") == "False":
        found.append(told(condition(scene.object, "Progressing")))
    return distinct(found)


RULE: Final = Rule(judge, related)
