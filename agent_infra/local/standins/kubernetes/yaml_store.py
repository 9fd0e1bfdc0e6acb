"""Kubernetes objects as YAML files, laid out as pulumi-kubernetes' `renderYamlToDirectory` does.

0-crd/        CustomResourceDefinitions, to be applied first
1-manifest/   <group or core>-<version>-<kind>-<namespace>-<name>.yaml, lower-case
2-release/    Helm releases, which are no objects of Kubernetes: what was asked for, not what it makes
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from agent_infra.local.environment import write_private
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.server import Properties, StandinError

#: File systems take names of 255 bytes; the rest is for the temporary file's affixes.
_LONGEST_STEM: Final = 200

_FOLDERS: Final = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "0-crd",
    ("helm.sh", "Release"): "2-release",
}


class YamlStore:
    """One directory of manifests; the files may hold secrets and are their owner's alone."""

    can_dry_run = False

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writing = threading.Lock()

    def create(self, kind: Kind, object: Properties, *, dry_run: bool) -> Properties:
        return self.apply(kind, object, manager="", dry_run=dry_run, force=False)

    def apply(
        self, kind: Kind, object: Properties, *, manager: str, dry_run: bool, force: bool
    ) -> Properties:
        if dry_run:
            return object
        text = yaml.safe_dump(object, sort_keys=False, allow_unicode=True, width=1000)
        with self._writing:  # the engine makes several at once, and two may want the same file
            path = self._path(kind, object["metadata"].get("namespace"), object["metadata"]["name"])
            with self._told(path, "written"):
                write_private(path, text)
        return object

    def read(self, kind: Kind, namespace: str | None, name: str) -> Properties | None:
        return self._load(self._path(kind, namespace, name))

    def delete(self, kind: Kind, namespace: str | None, name: str, *, propagation: str) -> None:
        """It is gone at once."""
        path = self._path(kind, namespace, name)
        with self._told(path, "removed"):
            path.unlink(missing_ok=True)

    def namespaced(self, kind: Kind) -> bool | None:
        for path in sorted((self._directory / "0-crd").glob("*.yaml")):
            definition = self._load(path) or {}
            if defined(definition) == (kind.group, kind.name):
                return bool(definition["spec"].get("scope") == "Namespaced")
        return None

    def _path(self, kind: Kind, namespace: str | None, name: str) -> Path:
        """The object's file: a name of its own where another object has taken the plain one."""
        folder = _FOLDERS.get((kind.group, kind.name), "1-manifest")
        parts = [kind.group or "core", kind.version, kind.name, namespace, name]
        stem = "-".join(part for part in parts if part).lower().replace("/", "_").replace(":", "_")
        plain = self._directory / folder / f"{stem[:_LONGEST_STEM]}.yaml"
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
        own = plain.with_name(f"{plain.stem}--{digest}.yaml")
        fits = len(stem) <= _LONGEST_STEM and not own.exists() and self._is_of(plain, kind, namespace, name)
        return plain if fits else own

    def _is_of(self, path: Path, kind: Kind, namespace: str | None, name: str) -> bool:
        held = self._load(path)
        if held is None:
            return True
        metadata = held.get("metadata") or {}
        return (held.get("kind"), metadata.get("namespace"), metadata.get("name")) == (
            kind.name,
            namespace,
            name,
        )

    def _load(self, path: Path) -> Properties | None:
        with self._told(path, "read"):
            try:
                text = path.read_text()
            except FileNotFoundError:
                return None
        try:
            object: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            raise StandinError(
                f"{path}{line}: is no YAML: mend it, or delete the file and run `pulumi refresh`."
            ) from None
        if not isinstance(object, dict):
            raise StandinError(
                f"{path}: holds no Kubernetes object: mend it, or delete the file and run `pulumi refresh`."
            )
        return object

    @contextmanager
    def _told(self, path: Path, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StandinError(
                f"{path}: the manifest cannot be {done} ({error.strerror}): "
                f"{self._directory} must be a directory of this user's, with space left on its disk."
            ) from error


def defined(definition: Properties) -> tuple[str, str] | None:
    """The group and the kind that a CustomResourceDefinition defines."""
    spec = definition.get("spec")
    if definition.get("kind") != "CustomResourceDefinition" or not isinstance(spec, dict):
        return None
    names = spec.get("names")
    return (str(spec.get("group")), str(names.get("kind"))) if isinstance(names, dict) else None
