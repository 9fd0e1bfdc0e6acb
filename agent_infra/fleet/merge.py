"""One manifest over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merge(base: Any, extra: Any) -> Any:
    """`extra` over `base`: mappings key by key, lists of named things by name, all else replaced."""
    if isinstance(base, Mapping) and isinstance(extra, Mapping):
        joined = {key: merge(base[key], value) if key in base else value for key, value in extra.items()}
        return {**base, **joined}
    if _named(base) and _named(extra):
        by_name = {item["name"]: item for item in extra}
        kept = [merge(item, by_name.pop(item["name"], {})) for item in base]
        return [*kept, *by_name.values()]
    return extra


def _named(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(item, Mapping) and "name" in item for item in value)
    )
