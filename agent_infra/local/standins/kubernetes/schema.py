"""Refuses what an API server would refuse, with the Kubernetes project's own schemas.

The schemas are those inside `kubernetes_validate`. They are read once and used directly, since the
package reads 1.6 MB of JSON for each object and stops at the first mistake.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped] # it ships no types
from referencing import Registry, Resource

from agent_infra.local.standins.kubernetes import custom
from agent_infra.local.standins.kubernetes.kinds import Kind
from agent_infra.local.standins.paths import join
from agent_infra.local.standins.server import Properties, Unknown, has_unknown

#: The Kubernetes release whose fields are accepted.
KUBERNETES_VERSION: Final = "1.36"

#: Paths whose values are never shown, as they may be secret.
_HIDDEN: Final = re.compile(r"^(data|stringData|binaryData)\b|\benv\[\d+\]\.value$|\.env\[\d+\]\.value\b")


def has_schema(kind: Kind) -> bool:
    """Whether the kind is one of Kubernetes' own."""
    return kind.built_in and _validator(kind) is not None


def failures(kind: Kind, object: Properties) -> list[tuple[str, str]]:
    """What is wrong with an object, as pairs of a path and the reason; unknown values are let be."""
    validator = _validator(kind) or custom.validator(kind)
    if validator is None:
        return []
    # Each missing field is an error of its own whose explanation names all of them.
    return list(
        dict.fromkeys(failure for error in validator.iter_errors(object) for failure in _explained(error))
    )


def suggestions(kind: Kind) -> list[str]:
    """The kinds that a wrong one may have been meant to be."""
    names = {name.rsplit("-", 1)[0]: name for name in _schema_names()}
    wanted = f"{kind.name.lower()}-{_short_group(kind)}"
    return [names[close] for close in difflib.get_close_matches(wanted.rstrip("-"), names, n=2, cutoff=0.8)]


@functools.cache
def _directory() -> Any:
    root = resources.files("kubernetes_validate") / "kubernetes-json-schema"
    return root / f"v{KUBERNETES_VERSION}.0-local-strict"


@functools.cache
def _registry() -> Registry[Any]:
    definitions = json.loads((_directory() / "_definitions.json").read_text())
    empty: Registry[Any] = Registry()
    return Resource.from_contents(definitions) @ empty


@functools.cache
def _schema_names() -> list[str]:
    return [path.name.removesuffix(".json") for path in _directory().iterdir() if "-v" in path.name]


def _short_group(kind: Kind) -> str:
    return kind.group.partition(".")[0]


@functools.cache
def _validator(kind: Kind) -> Draft202012Validator | None:
    version = f"{_short_group(kind)}-{kind.version}" if kind.group else kind.version
    path = _directory() / f"{kind.name.lower()}-{version}.json"
    if not path.is_file():
        return None
    schema = json.loads(path.read_text())
    # The short group drops a suffix, and file names have no capitals: the schema itself says what it is of.
    mine = {"group": kind.group, "version": kind.version, "kind": kind.name}
    if mine not in schema.get("x-kubernetes-group-version-kind", []):
        return None
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _registry())


def _explained(error: ValidationError) -> Iterator[tuple[str, str]]:
    value: Any = error.instance
    wanted: Any = error.validator_value
    path = join(error.absolute_path)
    if isinstance(value, Unknown):
        return
    if error.validator == "additionalProperties":
        yield from _strangers(error)
    elif error.validator == "required":
        for name in (name for name in wanted if name not in value):
            yield join([*error.absolute_path, name]), "is missing, and must be given"
    elif error.validator == "type":
        yield path, f"is {_shown(path, value)}; allowed: {_types(wanted)}"
    elif not has_unknown(value):
        if error.validator == "enum":
            allowed = ", ".join(str(item) for item in wanted)
        elif error.validator in {"oneOf", "anyOf"}:
            allowed = " or ".join(dict.fromkeys(_types(branch.get("type", "object")) for branch in wanted))
        else:
            allowed = f"what the schema's `{error.validator}` takes"
        yield path, f"is {_shown(path, value)}; allowed: {allowed}"


def _strangers(error: ValidationError) -> Iterator[tuple[str, str]]:
    known = sorted(error.schema.get("properties", {}))
    for name in sorted(set(error.instance) - set(known)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        yield (
            join([*error.absolute_path, name]),
            f"is no field that {_owner(error)} has here; {hint}allowed: {', '.join(known)}",
        )


def _owner(error: ValidationError) -> str:
    """Whose schema it is; a custom resource's says so itself."""
    return str(error.schema.get("x-owner") or f"Kubernetes {KUBERNETES_VERSION}")


def _types(types: str | list[str]) -> str:
    several = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    return " or ".join(f"{'an' if name[0] in 'aeio' else 'a'} {name}" for name in several)


def _shown(path: str, value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "list"}
    kind = f"a {names.get(type(value), 'null')}".replace("a object", "an object")
    if isinstance(value, dict | list) or value is None or _HIDDEN.search(path):
        return kind
    return f"the {names[type(value)]} {value!r}"
