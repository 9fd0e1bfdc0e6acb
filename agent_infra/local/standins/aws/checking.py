"""Whether a program's inputs are right for a type, what is filled in, and what a change would do."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Mapping
from typing import Any

from agent_infra.local.standins.aws.table import AutoName, Row
from agent_infra.local.standins.aws.values import JSON, POLICY, as_json, differing
from agent_infra.local.standins.server import Difference, Properties, Refused, has_unknown

Failures = list[tuple[str, str]]


def checked(row: Row, name: str, olds: Properties, news: Properties) -> Properties:
    """The inputs with names and defaults filled in.

    Raises:
        Refused: with everything that is wrong, not only the first.
    """
    inputs = {key: value for key, value in news.items() if key != "__defaults" and value is not None}
    failures = _unknown(row, inputs) + [
        failure for key, value in inputs.items() for failure in _inside(row, key, key, value)
    ]
    if row.autoname:
        _name(row.autoname, name, olds, inputs)
    for key, spec in row.inputs.items():
        if key not in inputs and spec.default is not None:
            inputs[key] = spec.default
        if spec.required and key not in inputs:
            failures.append((key, f"it is required by {row.type}, and nothing was given: set it."))
        if spec.form in (JSON, POLICY) and key in inputs and not has_unknown(inputs[key]):
            inputs[key] = as_json(inputs[key])
    if row.prepare and not failures:
        failures += row.prepare(inputs)
    if failures:
        raise Refused(failures)
    return inputs


def _unknown(row: Row, inputs: Properties) -> Failures:
    failures = []
    for key in sorted(inputs.keys() - row.known):
        close = difflib.get_close_matches(key, row.known, n=3)
        if key in row.output_names:
            why = "it is an output, which AWS chooses; take it away"
        else:
            why = f"did you mean {', '.join(close)}?" if close else "the local cloud does not know it"
        known = ", ".join(sorted(row.known))
        module = type_file(row.type)
        failures.append((key, f"{row.type} has no such input: {why}. Known are {known} (in {module})."))
    return failures


def _inside(row: Row, shown: str, path: str, value: Any) -> Failures:
    """What is wrong inside a structured input."""
    if isinstance(value, list):
        parts = [_inside(row, f"{shown}[{n}]", path, item) for n, item in enumerate(value)]
        return [failure for part in parts for failure in part]
    if path not in row.nested or not isinstance(value, Mapping):
        return []
    words = row.nested[path].split()
    known = [word.removesuffix("*") for word in words]
    failures: Failures = []
    for key, item in value.items():
        if key in known or key == "__defaults":
            failures += _inside(row, f"{shown}.{key}", f"{path}.{key}", item)
        else:
            close = ", ".join(difflib.get_close_matches(key, known, n=3))
            hint = f" did you mean {close}?" if close else ""
            allowed = ", ".join(sorted(known))
            failures.append((f"{shown}.{key}", f"there is no such key:{hint} Known are {allowed}."))
    missing = [word[:-1] for word in words if word.endswith("*") and value.get(word[:-1]) is None]
    return failures + [
        (f"{shown}.{key}", "it is required, and nothing was given: set it.") for key in missing
    ]


def type_file(token: str) -> str:
    """Where the row of a type is, or would be."""
    service = token.split(":")[1].partition("/")[0] if token.count(":") >= 2 else "<service>"
    file = {"cloudwatch": "logs", "vpc": "ec2_groups"}.get(service, service)
    return f"agent_infra/local/standins/aws/{file}.py"


def _name(auto: AutoName, logical: str, olds: Properties, inputs: Properties) -> None:
    if auto.property in inputs:
        return
    suffix = ".fifo" if inputs.get("fifoQueue") is True else ""
    given = inputs.get(auto.prefix_property) if auto.prefix_property else None
    stem = given if isinstance(given, str) else f"{auto.prefix}{logical}-"
    if auto.lower:
        stem = stem.lower()
    old = olds.get(auto.property)
    if isinstance(old, str) and (
        given is None or (old.startswith(stem) and given == olds.get(auto.prefix_property))
    ):
        inputs[auto.property] = old
        return
    stem = stem[: auto.limit - 7 - len(suffix)]
    inputs[auto.property] = f"{stem}{secrets.token_hex(4)[:7]}{suffix}"


def compared(
    row: Row, olds: Properties, state: Properties, news: Properties, default_tags: dict[str, str]
) -> Difference:
    """What an update from the old inputs to the new ones does, property by property."""
    difference = Difference(delete_before_replace=row.delete_before_replace)
    for key in [*row.inputs, *row.unsimulated, "region", "tags"]:
        spec = row.input(key)
        if key not in news and (key not in olds or spec.computed or key == "region"):
            continue
        old = olds.get(key, state.get(key))
        for path in differing(old, news.get(key), spec.form):
            full = f"{key}.{path}" if path else key
            difference.changed.append(full)
            if spec.replaces or any(
                path == inner or path.startswith(f"{inner}.") or not path for inner in spec.replaces_at
            ):
                difference.replaces.append(full)
    if "tags" in row.known and not any(path.startswith("tags") for path in difference.changed):
        wanted = {**default_tags, **(news.get("tags") or {})}
        if not has_unknown(wanted) and differing(state.get("tagsAll"), wanted):
            difference.changed.append("tagsAll")
    return difference
