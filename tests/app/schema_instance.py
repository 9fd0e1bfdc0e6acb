"""The smallest value that a JSON schema accepts: what a stub provider answers where a schema is asked for."""

from __future__ import annotations

import math
from typing import Any

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "PT1S",
    "email": "a@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: dict[str, Any]) -> Any:
    """Required members only, first alternatives, least numbers, shortest texts and lists.

    `pattern` is not looked at. The same schema gives the same value.

    Raises:
        ValueError: a `$ref` leads nowhere, or required members contain one another without end.
    """
    return _of(schema, schema, 0)


def _of(schema: Any, root: dict[str, Any], depth: int) -> Any:
    if depth > 50:
        raise ValueError("the schema's required members contain one another without end")
    if not isinstance(schema, dict):
        return {}
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        return _of(_referred(schema["$ref"], root), root, depth + 1)
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            merged = _merged(merged, _referred(part["$ref"], root) if "$ref" in part else part)
        return _of(_merged(merged, {k: v for k, v in schema.items() if k != "allOf"}), root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _of(schema[key][0], root, depth + 1)
    return _by_type(schema, root, depth)


def _by_type(schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        members = schema.get("properties", {})
        return {name: _of(members.get(name, {}), root, depth + 1) for name in schema.get("required", [])}
    if kind == "array":
        fixed = [_of(item, root, depth + 1) for item in schema.get("prefixItems", [])]
        while len(fixed) < schema.get("minItems", 0):
            fixed.append(_of(schema.get("items", {}), root, depth + 1))
        return fixed
    if kind == "string":
        return _text(schema)
    if kind in {"integer", "number"}:
        return _number(schema, whole=kind == "integer")
    return False if kind == "boolean" else None


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    least = schema.get("minLength", 0)
    return ("text" + "." * least)[: max(least, min(4, schema.get("maxLength", 4)))]


def _number(schema: dict[str, Any], *, whole: bool) -> float:
    step = schema.get("multipleOf", 1 if whole else None)
    low = schema.get("minimum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        low = above + (step or 1)
    high = schema.get("maximum")
    if (below := schema.get("exclusiveMaximum")) is not None:
        high = below - (step or 1)
    value = 0 if low is None else low
    if low is None and high is not None and high < 0:
        value = high
    if low is not None and high is not None and low > high:
        value = (schema.get("exclusiveMinimum", low) + schema.get("exclusiveMaximum", high)) / 2
    if step:
        value = math.ceil(value / step) * step
    return int(value) if whole else value


def _referred(reference: str, root: dict[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            try:
                found = found[part.replace("~1", "/").replace("~0", "~")]
            except (KeyError, TypeError):
                raise ValueError(f"{reference} leads nowhere in the schema") from None
    return found


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = {**one, **other}
    merged["properties"] = {**one.get("properties", {}), **other.get("properties", {})}
    merged["required"] = [*one.get("required", []), *other.get("required", [])]
    return merged
