"""The configuration of a `pulumi:providers:kubernetes` resource, as the official plugin takes it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final

from agent_infra.local.standins.notes import NotSimulated
from agent_infra.local.standins.server import Properties, StandinError, Unknown

TOKEN: Final = "pulumi:providers:kubernetes"  # noqa: S105 (a type token)

#: As the official plugin reads it where the provider says nothing.
_UPSERT: Final = "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"

_CLUSTER = "objects go to files, or to the API server that AGENT_INFRA_KUBECONFIG names"
_SETTLED = "it makes no difference to how the stand-in applies objects"

#: Accepted without effect: the property and why.
IGNORED: Final = {
    "kubeconfig": "it is the simulated cluster's; " + _CLUSTER,
    "context": _CLUSTER,
    "cluster": _CLUSTER,
    "clusterIdentifier": _CLUSTER,
    "deleteUnreachable": _SETTLED,
    "skipUpdateUnreachable": _SETTLED,
    "alwaysRender": _SETTLED,
    "enableServerSideApply": "objects are always changed by server-side apply",
    "suppressDeprecationWarnings": _SETTLED,
    "suppressHelmHookWarnings": _SETTLED,
    "helmReleaseSettings": "Helm releases are recorded, not run",
    "kubeClientSettings": _SETTLED,
}
_ENGINES_OWN: Final = frozenset({"version", "pluginDownloadURL", "__internal"})


@dataclass(frozen=True)
class Settings:
    """What the stand-in acts on; `render_to` is unknown only in a preview."""

    namespace: str = "default"
    render_to: str | None = None
    patch_force: bool = False
    upsert: bool = False
    config_maps_mutable: bool = False
    secrets_mutable: bool = False
    ignored: tuple[str, ...] = ()


def read(config: Properties) -> Settings:
    """
    Raises:
        StandinError: a property that the official plugin does not have, or one of another type.
    """
    known = {
        "namespace",
        "renderYamlToDirectory",
        "enablePatchForce",
        "upsertExistingObjects",
        "enableConfigMapMutable",
        "enableSecretMutable",
    }
    if strangers := sorted(config.keys() - known - IGNORED.keys() - _ENGINES_OWN):
        allowed = ", ".join(sorted(known | IGNORED.keys()))
        raise StandinError(f"{TOKEN}: {', '.join(strangers)}: no such property; allowed: {allowed}")
    namespace = config.get("namespace")
    render_to = config.get("renderYamlToDirectory")
    return Settings(
        namespace=namespace if isinstance(namespace, str) and namespace else "default",
        render_to=render_to if isinstance(render_to, str) and render_to else None,
        patch_force=_flag(config, "enablePatchForce"),
        upsert=_flag({"upsertExistingObjects": os.environ.get(_UPSERT), **config}, "upsertExistingObjects"),
        config_maps_mutable=_flag(config, "enableConfigMapMutable"),
        secrets_mutable=_flag(config, "enableSecretMutable"),
        ignored=tuple(sorted(config.keys() & IGNORED.keys())),
    )


def not_simulated() -> list[NotSimulated]:
    return [NotSimulated(TOKEN, property, reason) for property, reason in IGNORED.items()]


def _flag(config: Properties, name: str) -> bool:
    value: Any = config.get(name)
    if isinstance(value, Unknown) or value in (None, ""):
        return False
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        parsed = None
    if not isinstance(parsed, bool):
        raise StandinError(f"{TOKEN}: {name} is {value!r}; allowed: true or false")
    return parsed
