"""What a fleet's objects are called, and by which labels they find each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

ComponentKind = Literal["api", "worker"]
Track = Literal["stable", "canary"]

_NAME = "app.kubernetes.io/name"
_COMPONENT = "app.kubernetes.io/component"
#: Of all pods of a kind, canaries too; `component` tells the two Deployments' pods apart.
_KIND = "agent-infra/kind"


@dataclass(frozen=True)
class Names:
    """What a fleet's objects are called, and where they are."""

    fleet: str
    namespace: Any
    part_of: str

    def of(self, kind: ComponentKind) -> str:
        """The Deployment and autoscaler of one kind of pods."""
        return self.fleet if kind == "api" else f"{self.fleet}-worker"

    def canary(self, kind: ComponentKind) -> str:
        """The Deployment of a new revision that is on trial."""
        return f"{self.of(kind)}-canary"

    def labels(self, kind: ComponentKind | None = None) -> dict[str, str]:
        component = {_COMPONENT: kind, _KIND: kind} if kind else {}
        return {
            _NAME: self.fleet,
            **component,
            "app.kubernetes.io/part-of": self.part_of,
            "app.kubernetes.io/managed-by": "agent-infra",
        }

    def selector(self, kind: ComponentKind) -> dict[str, str]:
        """All pods of a kind, canaries too: for a Service, a NetworkPolicy, a disruption budget."""
        return {_NAME: self.fleet, _KIND: kind}

    def owned(self, kind: ComponentKind, track: Track = "stable") -> dict[str, str]:
        """The pods of one Deployment alone; it cannot be changed, and no two Deployments' overlap."""
        return {_NAME: self.fleet, _COMPONENT: kind if track == "stable" else f"{kind}-canary"}

    def child(self, component: str, kind: ComponentKind) -> str:
        """The resource's name in Pulumi of one kind's Deployment and autoscaler."""
        return component if kind == "api" else f"{component}-worker"

    def metadata(self, name: str, kind: ComponentKind | None = None) -> dict[str, Any]:
        return {"name": name, "namespace": self.namespace, "labels": self.labels(kind)}
