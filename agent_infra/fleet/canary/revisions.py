"""Which revisions of a Deployment the cluster keeps, and how one is put back; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent_infra.fleet.fleet_contract import CONTAINER

Object = Mapping[str, Any]

_NUMBER: Final = "deployment.kubernetes.io/revision"
#: What the cluster itself writes; everything else of a ReplicaSet's annotations was its Deployment's.
_THE_CLUSTERS: Final = ("deployment.kubernetes.io/", "kubectl.kubernetes.io/")
#: Tells a ReplicaSet's pods from another's; the Deployment's controller adds it.
_HASH: Final = "pod-template-hash"


@dataclass(frozen=True)
class Revision:
    """A pod template that a Deployment has, or had."""

    number: int
    template: Mapping[str, Any]
    annotations: Mapping[str, str]

    @property
    def image(self) -> str:
        """What its agent runs."""
        containers = self.template["spec"]["containers"]
        found = next((each for each in containers if each["name"] == CONTAINER), containers[0])
        return str(found.get("image"))


def number_of(found: Object) -> int:
    """0 where the cluster has not counted it yet."""
    return int((found["metadata"].get("annotations") or {}).get(_NUMBER, 0))


def current(deployment: Object) -> Revision:
    """What the Deployment asks for."""
    return Revision(
        number_of(deployment),
        deployment["spec"]["template"],
        deployment["metadata"].get("annotations") or {},
    )


def previous(deployment: Object, replica_sets: Sequence[Object]) -> Revision | None:
    """The newest one before the current, of those that are kept."""
    uid, now = deployment["metadata"]["uid"], number_of(deployment)
    own = [
        found
        for found in replica_sets
        if any(owner.get("uid") == uid for owner in found["metadata"].get("ownerReferences") or ())
        and 0 < number_of(found) < now
    ]
    if not own:
        return None
    newest = max(own, key=number_of)
    template = newest["spec"]["template"]
    labels = {name: value for name, value in template["metadata"]["labels"].items() if name != _HASH}
    return Revision(
        number_of(newest),
        {**template, "metadata": {**template["metadata"], "labels": labels}},
        newest["metadata"].get("annotations") or {},
    )


def patch(deployment: Object, back_to: Revision) -> list[dict[str, Any]]:
    """Puts a revision back, as `kubectl rollout undo` does; refused where another one came meanwhile."""
    was = {name: value for name, value in back_to.annotations.items() if not name.startswith(_THE_CLUSTERS)}
    pointer = _NUMBER.replace("/", "~1")
    return [
        {
            "op": "test",
            "path": f"/metadata/annotations/{pointer}",
            "value": str(number_of(deployment)),
        },
        {
            "op": "replace",
            "path": "/metadata/annotations",
            "value": {**deployment["metadata"]["annotations"], **was},
        },
        {"op": "replace", "path": "/spec/template", "value": back_to.template},
    ]


def rolled_out(deployment: Object) -> bool:
    """Whether all of its pods are of the template that it asks for, and ready."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    counted = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(seen and counted == [wanted] * len(counted))


def stuck(deployment: Object) -> bool:
    """Whether the cluster gave up waiting for its pods."""
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False
    return any(each.get("reason") == "ProgressDeadlineExceeded" for each in status.get("conditions") or ())
