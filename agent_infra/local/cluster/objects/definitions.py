"""The kinds that are not Kubernetes' own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from agent_infra.local.cluster.api import Manifest
from agent_infra.local.environment import LocalError
from agent_infra.local.standins.kubernetes.kinds import KNOWN_CUSTOM

#: The same as the safe loader, in C where it was built: some megabytes are read.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: What a kind without a definition of its own is served as; the first is what is stored.
_VERSIONS = ("v1", "v1beta1", "v1alpha1")
#: The API server refuses definitions in Kubernetes' own groups that do not name their review.
_APPROVAL = {"api-approved.kubernetes.io": "unapproved, for this machine alone"}


def real(directory: Path) -> list[Manifest]:
    """The definitions in a directory's YAML files.

    Raises:
        LocalError: a file cannot be read.
    """
    found: list[Manifest] = []
    for file in sorted(directory.rglob("*.y*ml")):
        try:
            documents = list(yaml.load_all(file.read_text(), Loader=_LOADER))
        except (OSError, yaml.YAMLError) as error:
            raise LocalError(
                f"{file} has no definitions ({error}): `agent-infra tools --ensure --cluster` gets it anew."
            ) from None
        found += [
            document
            for document in documents
            if isinstance(document, dict) and document.get("kind") == "CustomResourceDefinition"
        ]
    return found


def used(definitions: Collection[Manifest], *, argo: bool) -> list[Manifest]:
    """Those that an operator which runs here needs, and those of kinds that programs use."""
    operators = {"kwok.x-k8s.io", "keda.sh", "eventing.keda.sh", *(["argoproj.io"] if argo else [])}
    return [
        found
        for found in definitions
        if found["spec"]["group"] in operators or kinds([found]) & set(KNOWN_CUSTOM)
    ]


def open_ones(known: Collection[tuple[str, str]]) -> list[Manifest]:
    """Definitions that take any content, of the kinds that programs use and nobody has defined."""
    return [
        _open(group, kind, namespaced=namespaced)
        for (group, kind), namespaced in KNOWN_CUSTOM.items()
        if (group, kind) not in known
    ]


def kinds(definitions: Collection[Manifest]) -> set[tuple[str, str]]:
    return {(found["spec"]["group"], found["spec"]["names"]["kind"]) for found in definitions}


def _open(group: str, kind: str, *, namespaced: bool) -> Manifest:
    singular = kind.lower()
    plural = f"{singular}es" if singular.endswith(("s", "x", "ch")) else f"{singular}s"
    plural = f"{singular[:-1]}ies" if singular.endswith("y") else plural
    anything: dict[str, Any] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            **({"annotations": _APPROVAL} if group.endswith(".k8s.io") else {}),
        },
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": singular, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == _VERSIONS[0],
                    "schema": {"openAPIV3Schema": anything},
                    "subresources": {"status": {}},
                }
                for version in _VERSIONS
            ],
        },
    }
