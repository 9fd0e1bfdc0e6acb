"""What a kubelet would work out of one container of a pod: the command and the environment of a process."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agent_infra.local.fleets.manifests import Object, namespace_of
from agent_infra.local.workspace import without_proxy

#: Finds a ConfigMap or a Secret: its kind, namespace and name.
Find = Callable[[str, str, str], Object | None]

#: The services of this machine speak no TLS: what a pod would use, and what a local process uses instead.
_WITHOUT_TLS = (
    (re.compile(r"^rediss://"), "redis://"),
    (re.compile(r"\bsslmode=(require|verify-ca|verify-full)\b"), "sslmode=disable"),
)
#: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/.
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_POD_ADDRESS = "127.0.0.1"
#: Where a variable's value may come from.
REFERENCES = (
    ("configMapRef", "ConfigMap"),
    ("secretRef", "Secret"),
    ("configMapKeyRef", "ConfigMap"),
    ("secretKeyRef", "Secret"),
)
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_FROM_THE_MACHINE = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")


class CannotRun(Exception):
    """A pod that this machine cannot run, and what to do about it."""


@dataclass(frozen=True)
class Process:
    """What one container is started with."""

    command: tuple[str, ...]
    variables: Mapping[str, str]


def process(container: Object, pod: Object, find: Find, *, identity: Mapping[str, str]) -> Process:
    """A container as a process of this machine.

    Args:
        container: one of the pod's.
        pod: the object, or a template with a name and a namespace in its metadata.
        find: the ConfigMaps and Secrets it refers to.
        identity: the variables that stand for its Pod Identity.

    Raises:
        CannotRun: a reference leads nowhere, or the container says no command that is here.
    """
    return Process(_command(container), _variables(container, pod, find, identity))


def _command(container: Object) -> tuple[str, ...]:
    said = [*(container.get("command") or []), *(container.get("args") or [])]
    if not said:
        raise CannotRun(
            f"its container {container['name']!r} leaves the command to the image "
            f"{container.get('image')!r}, which is not run here: say `command` for it."
        )
    beside = Path(sys.executable).parent / said[0]
    found = str(beside) if beside.exists() else shutil.which(said[0])
    if found is None:
        raise CannotRun(
            f"its container {container['name']!r} runs {said[0]!r}, which is neither in this Python's "
            "environment nor on PATH: install it there."
        )
    return (found, *said[1:])


def source(container: Object) -> str:
    """A digest of the package that has the container's command; '' for a command of another kind."""
    said = [*(container.get("command") or []), *(container.get("args") or [])]
    for script in entry_points(group="console_scripts", name=said[0]):
        spec = find_spec(script.module.partition(".")[0])
        places = spec.submodule_search_locations if spec is not None else None
        files = [file for place in places or () for file in sorted(Path(place).rglob("*")) if file.is_file()]
        total = hashlib.sha256()
        for file in files:
            if "__pycache__" not in file.parts:
                total.update(f"{file}\0{file.stat().st_size}\0".encode() + file.read_bytes())
        return total.hexdigest()
    return ""


def _variables(container: Object, pod: Object, find: Find, identity: Mapping[str, str]) -> dict[str, str]:
    namespace = namespace_of(pod)
    values: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        for key, kind in REFERENCES[:2]:
            if reference := source.get(key):
                content = data(find, kind, namespace, reference) or {}
                values.update({f"{source.get('prefix', '')}{name}": value for name, value in content.items()})
    for entry in container.get("env") or []:
        value = entry.get("value")
        if value is None and (source := entry.get("valueFrom")):
            value = _referred(source, container, pod, find)
        elif value is not None:
            value = _expanded(str(value), values)
        if value is not None:
            values[entry["name"]] = str(value)
    plain = {name: _without_tls(value) for name, value in values.items()}
    return {**_node_variables(), **identity, **plain}


def _expanded(value: str, values: Mapping[str, str]) -> str:
    """As the kubelet does: `$(NAME)` is a variable that was said before, `$$` a dollar, all else itself."""
    return _REFERENCE.sub(
        lambda found: "$" if found[1] is None else values.get(found[1], found[0]),
        value,
    )


def _node_variables() -> dict[str, str]:
    """What a process has from the machine and not from its pod: the way to the internet, above all."""
    machine = {name: os.environ[name] for name in _FROM_THE_MACHINE if name in os.environ}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        **machine,
        **without_proxy(machine),
    }


def _without_tls(value: str) -> str:
    for pattern, replacement in _WITHOUT_TLS:
        value = pattern.sub(replacement, value)
    return value


def _referred(source: Object, container: Object, pod: Object, find: Find) -> str | None:
    namespace = namespace_of(pod)
    for key, kind in REFERENCES[2:]:
        if reference := source.get(key):
            content = data(find, kind, namespace, reference)
            if content is not None and reference["key"] in content:
                return content[reference["key"]]
            if reference.get("optional"):
                return None
            raise CannotRun(
                f"it wants the key {reference['key']!r} of the {kind} {reference['name']!r} in namespace "
                f"{namespace!r}, and there is none: create it in the stack."
            )
    if resource := source.get("resourceFieldRef"):
        return _resource(resource, container)
    return field(pod, str((source.get("fieldRef") or {}).get("fieldPath")))


def field(pod: Object, path: str) -> str | None:
    """What a `fieldRef` of a pod says; None for what is not known here."""
    if keyed := _KEYED.fullmatch(path):
        return str((pod["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    fields = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": namespace_of(pod),
        "metadata.uid": pod["metadata"].get("uid"),
        "status.podIP": _POD_ADDRESS,
        "status.podIPs": _POD_ADDRESS,
        "status.hostIP": _POD_ADDRESS,
        "status.hostIPs": _POD_ADDRESS,
        "spec.nodeName": pod["spec"].get("nodeName", "localhost"),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
    }
    return fields.get(path)


def _resource(reference: Object, container: Object) -> str | None:
    """A limit or request, divided and rounded up as the kubelet does."""
    kind, _, resource = str(reference.get("resource")).partition(".")
    resources = container.get("resources") or {}
    said = (resources.get(kind) or {}).get(resource)
    if said is None:
        return None
    from kubernetes.utils.quantity import parse_quantity

    values: list[Decimal] = [parse_quantity(each) for each in (said, reference.get("divisor") or 1)]  # type: ignore[no-untyped-call] # it has no types
    return str(math.ceil(values[0] / values[1]))


def data(find: Find, kind: str, namespace: str, reference: Mapping[str, Any]) -> dict[str, str] | None:
    """What a ConfigMap or a Secret holds; None for an optional one that is not there.

    Raises:
        CannotRun: there is none.
    """
    content = find(kind, namespace, reference["name"])
    if content is None:
        if reference.get("optional"):
            return None
        raise CannotRun(
            f"it wants the {kind} {reference['name']!r} in namespace {namespace!r}, and there is none: "
            "create it in the stack."
        )
    values: dict[str, str] = dict(content.get("data") or {})
    if kind == "Secret":
        values = {key: base64.b64decode(value).decode() for key, value in values.items()}
        values.update(content.get("stringData") or {})
    return values
