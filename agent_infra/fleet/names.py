"""What a fleet's objects are called, and by which labels they find each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

ComponentKind = Literal["api", "worker"]


@dataclass(frozen=True)
class Names:
    """What a fleet's objects are called, and where they are."""

    fleet: str
    namespace: Any
    part_of: str

    def of(self, kind: ComponentKind) -> str:
        """The Deployment and autoscaler of one kind of pods."""
        return self.fleet if kind == "api" else f"{self.fleet}-worker"

    @property
    def config(self) -> str:
        return f"{self.fleet}-config"

    def labels(self, kind: ComponentKind | None = None) -> dict[str, str]:
        component = {"app.kubernetes.io/component": kind} if kind else {}
        return {
            "app.kubernetes.io/name": self.fleet,
            **component,
            "app.kubernetes.io/part-of": self.part_of,
            "app.kubernetes.io/managed-by": "agent-infra",
        }

    def selector(self, kind: ComponentKind) -> dict[str, str]:
        """What never changes of the labels: a Deployment's selector cannot be changed."""
        return {"app.kubernetes.io/name": self.fleet, "app.kubernetes.io/component": kind}

    def child(self, component: str, kind: ComponentKind) -> str:
        """The resource's name in Pulumi of one kind's Deployment and autoscaler."""
        return component if kind == "api" else f"{component}-worker"

    def metadata(self, name: str, kind: ComponentKind | None = None) -> dict[str, Any]:
        return {"name": name, "namespace": self.namespace, "labels": self.labels(kind)}
