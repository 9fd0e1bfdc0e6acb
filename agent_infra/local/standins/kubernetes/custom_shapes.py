"""The few shapes that the schemas of custom resources are made of."""

from __future__ import annotations

from typing import Any, Final

TEXT: Final = {"type": "string"}
NAME: Final = {"type": "string", "minLength": 1}
FLAG: Final = {"type": "boolean"}


def object_of(*required: str, owner: str, **properties: Any) -> dict[str, Any]:
    """An object of these fields and no others; `owner` is who defines them."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        "x-owner": owner,
    }


def one_of(*values: str) -> dict[str, Any]:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


def list_of(items: dict[str, Any], *, least: int = 0) -> dict[str, Any]:
    """A list of such items."""
    return {"type": "array", "items": items, "minItems": least}


def texts() -> dict[str, Any]:
    """Texts by names of anybody's choice."""
    return {"type": "object", "additionalProperties": TEXT}


def count(least: int, most: int | None = None) -> dict[str, Any]:
    """A whole number."""
    return {"type": "integer", "minimum": least, **({} if most is None else {"maximum": most})}
