"""The stand-in itself: the engine's questions, answered from a store of Kubernetes objects."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Final

from agent_infra.local.environment import LocalEnvironment
from agent_infra.local.standins.kubernetes import (
    custom,
    immutable,
    releases,
    rules,
    schema,
    settings,
)
from agent_infra.local.standins.kubernetes.api_store import ApiStore
from agent_infra.local.standins.kubernetes.kinds import KNOWN_CUSTOM, Kind, parse
from agent_infra.local.standins.kubernetes.life import Life
from agent_infra.local.standins.kubernetes.store import Store
from agent_infra.local.standins.kubernetes.yaml_store import YamlStore, defined
from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.standins.paths import changes
from agent_infra.local.standins.server import (
    Difference,
    Found,
    Properties,
    Refused,
    StandinError,
    Unknown,
)

#: The kubeconfig of the API server that takes the objects in place of files.
KUBECONFIG: Final = "AGENT_INFRA_KUBECONFIG"

_AUTONAMED: Final = "pulumi.com/autonamed"


class KubernetesStandin:
    """Takes any single object that Kubernetes has a schema of, known custom resources, and releases."""

    name = "kubernetes"
    version = "4.34.2"

    def __init__(self, environment: LocalEnvironment) -> None:
        self._environment = environment
        self._settings = settings.Settings()
        self._opened: Store | None = None
        #: The custom kinds whose definitions this run's program registered: whether each is namespaced.
        self._definitions: dict[tuple[str, str], bool] = {}

    def configure(self, config: Properties) -> None:
        self._settings = settings.read(config)
        self._opened = None
        self._store  # noqa: B018 (a kubeconfig that cannot be used is told at once)

    def check(self, type: str, name: str, olds: Properties, news: Properties) -> Properties:
        if type == releases.TOKEN:
            return releases.check(name, olds, news, namespace=self._settings.namespace)
        kind = parse(type)
        inputs: Properties = _without_nulls(news)
        for key, value in (("apiVersion", kind.api_version), ("kind", kind.name)):
            if inputs.setdefault(key, value) != value and not isinstance(inputs[key], Unknown):
                raise Refused([(key, f"is {inputs[key]!r}; allowed: {value!r}, which the type {type} says")])
        metadata = inputs.get("metadata", {})
        if isinstance(metadata, dict):
            inputs["metadata"] = self._named(kind, name, olds, dict(metadata))
        elif isinstance(metadata, Unknown):
            self._namespaced(kind)
        else:
            raise Refused([("metadata", "is no object; allowed: an object with a name")])
        wrong = schema.failures(kind, inputs) or list(rules.failures(kind, inputs))
        if wrong:
            raise Refused(wrong)
        if found := defined(inputs):
            self._definitions[found] = inputs["spec"].get("scope") == "Namespaced"
        return inputs

    def diff(self, type: str, id: str, olds: Properties, state: Properties, news: Properties) -> Difference:
        if type == releases.TOKEN:
            return releases.diff(olds, news)
        changed = list(changes(olds, news))
        replaces = immutable.replacing(
            parse(type),
            changed,
            olds,
            config_maps_mutable=self._settings.config_maps_mutable,
            secrets_mutable=self._settings.secrets_mutable,
        )
        old, new = _metadata(olds), _metadata(news)
        same_place = (old.get("namespace"), old.get("name")) == (new.get("namespace"), new.get("name"))
        autonamed = _annotation(news, _AUTONAMED) == "true"
        return Difference(changed, replaces, bool(replaces) and same_place and not autonamed)

    def create(self, type: str, name: str, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        if type == releases.TOKEN:
            return releases.create(self._files, inputs, preview=preview)
        kind = parse(type)
        if preview:
            return "", self._life.planned(kind, inputs, {}, new=True)
        return self._life.create(kind, inputs)

    def read(self, type: str, id: str, inputs: Properties, state: Properties) -> Found | None:
        if type == releases.TOKEN:
            return releases.read(self._files, id)
        kind = parse(type)
        namespace, name = self._place(kind, id)
        return self._life.read(kind, namespace, name, inputs, state)

    def update(
        self, type: str, id: str, olds: Properties, state: Properties, news: Properties, *, preview: bool
    ) -> Properties:
        if type == releases.TOKEN:
            return releases.update(self._files, id, news, preview=preview)
        kind = parse(type)
        if preview:
            return self._life.planned(kind, news, state, new=False)
        return self._life.update(kind, id, news, state)

    def delete(self, type: str, id: str, inputs: Properties, state: Properties) -> None:
        if type == releases.TOKEN:
            releases.delete(self._files, id)
            return
        kind = parse(type)
        namespace, name = self._place(kind, id)
        self._life.delete(kind, namespace, name, inputs)

    def invoke(self, token: str, args: Properties) -> Properties:
        raise StandinError(
            f"{token}: the local environment has no functions of the kubernetes package: read the YAML in "
            "the program and register each object as a resource."
        )

    def not_simulated(self) -> list[NotSimulated]:
        """What is taken without being simulated, for this run's store."""
        notes = [*settings.not_simulated(), *releases.not_simulated()]
        if isinstance(self._store, YamlStore):
            notes.append(NotSimulated("kubernetes:*", None, "objects are files: no controller acts on them"))
            reason = "kept as a file: its fields are not checked and no operator acts on it"
            checked = "kept as a file: no operator acts on it"
            reasons = {"ScaledObject": f"{checked}: the least that it allows run, one at least"}
            notes += [
                NotSimulated(
                    f"kubernetes:{group}/*:{kind}",
                    None,
                    reasons.get(kind, checked if custom.has_schema(group, kind) else reason),
                )
                for group, kind in KNOWN_CUSTOM
                # These the fleets' supervisor acts on.
                if group != "external-secrets.io"
            ]
        return notes

    @property
    def _files(self) -> YamlStore:
        """Where releases are recorded: in files, also where an API server takes the objects."""
        render_to = self._settings.render_to
        return YamlStore(Path(render_to).absolute() if render_to else self._environment.manifests_dir)

    @property
    def _life(self) -> Life:
        return Life(self._store, self._settings)

    @property
    def _store(self) -> Store:
        if self._opened is None:
            kubeconfig = os.environ.get(KUBECONFIG)
            if kubeconfig and not self._settings.render_to:
                own = Path(kubeconfig).is_relative_to(self._environment.root)
                self._opened = ApiStore(Path(kubeconfig), balancers=not own)
            else:
                self._opened = self._files
        return self._opened

    def _named(self, kind: Kind, name: str, olds: Properties, metadata: Properties) -> Properties:
        """The metadata with a name and, where the kind has one, a namespace."""
        prefix = metadata.pop("generateName", None) or f"{name}-"
        if "name" not in metadata and not isinstance(prefix, Unknown):
            old = _metadata(olds).get("name") if _annotation(olds, _AUTONAMED) == "true" else None
            metadata["name"] = old or f"{prefix}{secrets.token_hex(4)}"
            annotations = metadata.get("annotations") or {}
            if isinstance(annotations, dict):
                metadata["annotations"] = {**annotations, _AUTONAMED: "true"}
        if self._namespaced(kind):
            if not metadata.get("namespace"):
                metadata["namespace"] = self._settings.namespace
        elif metadata.get("namespace"):
            raise Refused(
                [("metadata.namespace", f"is given, and a {kind.name} belongs to no namespace: leave it out")]
            )
        return metadata

    def _namespaced(self, kind: Kind) -> bool:
        if schema.has_schema(kind) or (kind.group, kind.name) in KNOWN_CUSTOM:
            return not kind.cluster_scoped
        known = self._definitions.get((kind.group, kind.name))
        if known is None:
            known = self._store.namespaced(kind)
        if known is None:
            close = ", ".join(schema.suggestions(kind))
            hint = f" (close: {close})" if close else ""
            raise StandinError(
                f"{kind.token}: Kubernetes {schema.KUBERNETES_VERSION} has no kind {kind.name!r} in "
                f"{kind.api_version!r}{hint}, and no CustomResourceDefinition of it "
                "is among the objects: register the definition first, with depends_on from what uses it."
            )
        return known

    def _place(self, kind: Kind, id: str) -> tuple[str | None, str]:
        namespace, _, name = id.rpartition("/")
        if self._namespaced(kind):
            return namespace or self._settings.namespace, name
        if namespace:
            raise StandinError(
                f"the id {id!r} has a namespace, and a {kind.name} belongs to none; allowed: {name!r}"
            )
        return None, name


def _metadata(object: Properties) -> Properties:
    metadata = object.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _annotation(object: Properties, name: str) -> Any:
    annotations = _metadata(object).get("annotations")
    return annotations.get(name) if isinstance(annotations, dict) else None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
