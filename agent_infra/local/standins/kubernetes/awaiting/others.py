"""Kinds whose own status says it all: volumes, definitions, namespaces, quotas, tokens."""

from __future__ import annotations

from typing import Final

from agent_infra.local.standins.kubernetes.awaiting.verdicts import (
    Failed,
    Ready,
    Related,
    Rule,
    Scene,
    Verdict,
    Waiting,
    condition,
    is_true,
    section,
    told,
)
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties

_CLASS: Final = Kind("storage.k8s.io", "v1", "StorageClass")


def _phase(scene: Scene) -> str:
    return str(section(scene.object, "status").get("phase", "not set"))


def volume(scene: Scene) -> Verdict:
    phase = _phase(scene)
    return (
        Ready() if phase in {"Available", "Bound"} else Waiting(f"waiting for the volume, which is {phase}")
    )


def storage_class(claim: Properties) -> list[Related]:
    name = section(claim, "spec").get("storageClassName")
    return [Related(_CLASS, name=str(name))] if name else []


def claim(scene: Scene) -> Verdict:
    """Bound; where volumes are bound to the first pod that mounts them, waiting for that one."""
    phase = _phase(scene)
    modes = {found.get("volumeBindingMode") for found in scene.related.get("StorageClass", ())}
    if phase == "Bound" or (scene.before is None and phase == "Pending" and "WaitForFirstConsumer" in modes):
        return Ready()
    return Waiting(f"waiting for a volume, the claim is {phase}")


def definition(scene: Scene) -> Verdict:
    """The official plugin does not wait; what is made of the kind next is then tried again."""
    if condition(scene.object, "NamesAccepted").get("status") == "False":
        return Failed(told(condition(scene.object, "NamesAccepted")))
    return Ready() if is_true(scene.object, "Established") else Waiting("waiting for the kind to be served")


def namespace(scene: Scene) -> Verdict:
    phase = _phase(scene)
    return Ready() if phase == "Active" else Waiting(f"waiting for the namespace, which is {phase}")


def quota(scene: Scene) -> Verdict:
    if section(scene.object, "spec", "hard") == section(scene.object, "status", "hard"):
        return Ready()
    return Waiting("waiting for the quota to be counted")


def secret(scene: Scene) -> Verdict:
    """A service account's token comes from a controller."""
    if scene.object.get("type") != "kubernetes.io/service-account-token" or scene.object.get("data"):
        return Ready()
    return Waiting("waiting for the token")


VOLUME: Final = Rule(volume, seconds=300, also_read=False)
CLAIM: Final = Rule(claim, storage_class, seconds=300, also_read=False)
DEFINITION: Final = Rule(definition, seconds=60, also_read=False)
NAMESPACE: Final = Rule(namespace, seconds=60, also_read=False)
QUOTA: Final = Rule(quota, seconds=60, also_read=False)
SECRET: Final = Rule(secret, seconds=5, also_read=False)
