"""What an API server refuses and the schemas do not say: names, labels, quantities, selectors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.paths import join
from agent_infra.local.standins.server import Properties, has_unknown

_LABEL_NAME: Final = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_SERVICE: Final = re.compile(r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
_LABEL_VALUE: Final = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$")
_KEY: Final = re.compile(r"^([^/]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
_QUANTITY: Final = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$")
_PATH_SEGMENT: Final = re.compile(r"^(?!\.{1,2}$)[^/%]+$")

_SUBDOMAIN_RULE: Final = "lower-case letters, digits, '-' and '.', at most 253 characters"
_LABEL_RULE: Final = "lower-case letters, digits and '-', at most 63 characters"


def failures(kind: Kind, object: Properties) -> Iterator[tuple[str, str]]:
    """Pairs of a path and the reason; unknown values are let be. The object fits its schema."""
    metadata = _fields(object, "metadata")
    yield from _name(kind, metadata.get("name"))
    namespace = metadata.get("namespace")
    if isinstance(namespace, str) and not _LABEL_NAME.match(namespace):
        yield "metadata.namespace", f"is {namespace!r}; allowed: {_LABEL_RULE}"
    yield from _labels(metadata, ("metadata",))
    spec = object.get("spec")
    if kind.group == "apps" and isinstance(spec, dict):
        yield from _selector(spec)
    if kind.built_in:
        yield from _quantities(spec, ("spec",))


def _name(kind: Kind, name: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(name, str):
        return
    pattern, rule = _SUBDOMAIN, _SUBDOMAIN_RULE
    if kind.group == "rbac.authorization.k8s.io":
        pattern, rule = _PATH_SEGMENT, "anything without '/' and '%'"
    elif (kind.group, kind.name) == ("", "Namespace"):
        pattern, rule = _LABEL_NAME, _LABEL_RULE
    elif (kind.group, kind.name) == ("", "Service"):
        pattern, rule = _SERVICE, f"{_LABEL_RULE}, a letter first"
    if len(name) > 253 or not pattern.match(name):
        yield "metadata.name", f"is {name!r}; allowed: {rule}, starting and ending with a letter or digit"


def _labels(metadata: Properties, at: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for field in ("labels", "annotations"):
        for key in _fields(metadata, field):
            if not _KEY.match(key):
                yield (
                    join((*at, field, key)),
                    "is no valid key; allowed: an optional DNS prefix and '/', then at most 63 letters, "
                    "digits, '-', '_' and '.'",
                )
    for key, value in _fields(metadata, "labels").items():
        if isinstance(value, str) and not _LABEL_VALUE.match(value):
            yield (
                join((*at, "labels", key)),
                f"is {value!r}; allowed: at most 63 letters, digits, '-', '_' and '.', "
                "starting and ending with a letter or digit",
            )


def _selector(spec: Properties) -> Iterator[tuple[str, str]]:
    wanted = _fields(_fields(spec, "selector"), "matchLabels")
    template = _fields(_fields(spec, "template"), "metadata")
    yield from _labels(template, ("spec", "template", "metadata"))
    if has_unknown(wanted) or _labels_unknown(spec):
        return
    labels = _fields(template, "labels")
    missing = [key for key, value in wanted.items() if labels.get(key) != value]
    if missing:
        yield (
            "spec.selector.matchLabels",
            f"selects on {', '.join(missing)}, which spec.template.metadata.labels does not have with that "
            "value; allowed: a selector that matches the template's labels",
        )


def _labels_unknown(spec: Properties) -> bool:
    """Whether an unknown stands at or above the template's labels."""
    value: Any = spec
    for name in ("template", "metadata", "labels"):
        if not isinstance(value, dict):
            break
        value = value.get(name)
    return has_unknown(value)


def _fields(object: Properties, name: str) -> Properties:
    fields = object.get(name)
    return fields if isinstance(fields, dict) else {}


def _quantities(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _quantities(item, (*at, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if at[-1] == "resources" and key in {"requests", "limits"} and isinstance(item, dict):
                for resource, quantity in item.items():
                    if isinstance(quantity, str) and not _QUANTITY.match(quantity):
                        yield (
                            join((*at, key, resource)),
                            f"is {quantity!r}; allowed: a quantity such as 500m, 2 or 512Mi",
                        )
            else:
                yield from _quantities(item, (*at, key))
