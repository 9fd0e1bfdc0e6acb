"""The Kubernetes objects of an environment that say what to run: read from their YAML files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
_MANAGED = ("app.kubernetes.io/managed-by", "agent-infra")


@dataclass(frozen=True)
class Manifests:
    """All objects of an environment, by kind, namespace and name."""

    digest: str
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)

    def of_kind(self, kind: str) -> Iterator[Object]:
        return (content for (its_kind, _, _), content in self.objects.items() if its_kind == kind)

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.objects.get((kind, namespace, name))

    def deployments(self) -> list[Object]:
        """The Deployments that this library made."""
        key, value = _MANAGED
        return [
            deployment
            for deployment in self.of_kind("Deployment")
            if (deployment["metadata"].get("labels") or {}).get(key) == value
        ]

    def replicas(self, deployment: Object) -> int:
        """How many a Deployment wants: its own number, or the least that its autoscaler allows. One at least
        under KEDA: nothing here would start the first when there is work."""
        said = deployment["spec"].get("replicas")
        if said is not None:
            return int(said)
        for kind, least in (("HorizontalPodAutoscaler", "minReplicas"), ("ScaledObject", "minReplicaCount")):
            for scaler in self.of_kind(kind):
                target = scaler["spec"]["scaleTargetRef"]
                same = namespace_of(scaler) == namespace_of(deployment)
                if (
                    same
                    and target["name"] == deployment["metadata"]["name"]
                    and target.get("kind", "Deployment") == "Deployment"
                ):
                    return max(int(scaler["spec"].get(least, 1)), 1)
        return 1

    def services(self) -> list[Object]:
        """The Services whose selector fits one of the Deployments."""
        return [service for service in self.of_kind("Service") if self.behind(service)]

    def behind(self, service: Object) -> list[str]:
        """The names of the Deployments that a Service leads to."""
        selector = service["spec"].get("selector") or {}
        return [
            deployment["metadata"]["name"]
            for deployment in self.deployments()
            if selector
            and namespace_of(deployment) == namespace_of(service)
            and selector.items() <= _labels(deployment).items()
        ]


def _labels(deployment: Object) -> dict[str, str]:
    return deployment["spec"]["template"]["metadata"].get("labels") or {}


def namespace_of(content: Object) -> str:
    return str(content["metadata"].get("namespace") or "default")


def read(directory: Path) -> Manifests:
    """Every object below a directory; a file that is being written is read the next time."""
    digest = hashlib.sha256()
    objects: dict[tuple[str, str, str], Object] = {}
    for file in sorted(directory.rglob("*.yaml")):
        try:
            text = file.read_text()
            parsed = [content for content in yaml.load_all(text, yaml.CSafeLoader) if content]
        except (OSError, yaml.YAMLError):
            continue
        digest.update(f"{file.name}\0{text}\0".encode())
        for content in parsed:
            key = (content["kind"], namespace_of(content), content["metadata"]["name"])
            objects[key] = content
    return Manifests(digest.hexdigest(), objects)
