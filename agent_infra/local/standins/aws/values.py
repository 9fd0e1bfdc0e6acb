"""Comparing and converting property values, with no knowledge of any resource type."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agent_infra.local.standins.server import Unknown

#: How two values of a property are compared.
PLAIN, SET, JSON, POLICY = "plain", "set", "json", "policy"


def is_zero(value: Any) -> bool:
    """Whether AWS's provider takes this for "not given": absent, false, zero or empty."""
    return value is None or value is False or value in ("", 0, [], {})


def same(old: Any, new: Any, form: str = PLAIN) -> bool:
    """Whether two values mean the same; a value that is not yet known is the same as none."""
    return not differing(old, new, form)


def differing(old: Any, new: Any, form: str = PLAIN) -> list[str]:
    """The paths under a property at which two values differ: "" is the value itself, "a.b" inside it."""
    if isinstance(old, Unknown) or isinstance(new, Unknown):
        return [""]
    if form in (JSON, POLICY):
        return [] if _document(old, form) == _document(new, form) else [""]
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in {**old, **new}:
            found += [
                f"{key}.{inner}" if inner else key
                for inner in differing(old.get(key), new.get(key), SET if form == SET else PLAIN)
            ]
        return found
    if isinstance(old, list) and isinstance(new, list):
        if form == SET:
            return [] if sorted(map(_canonical, old)) == sorted(map(_canonical, new)) else [""]
        alike = len(old) == len(new) and all(same(a, b, form) for a, b in zip(old, new, strict=True))
        return [] if alike else [""]
    if is_zero(old) and is_zero(new):
        return []
    return [] if old == new and isinstance(old, bool) == isinstance(new, bool) else [""]


def agrees(given: Any, live: Any, form: str = PLAIN, *, structured: bool = False) -> bool:
    """Whether a live value is what was given.

    Inside a structured one, what only AWS says does not count, and what moto does not say is taken on trust.
    """
    return same(given, _within(given, live) if structured else live, form)


def _within(given: Any, live: Any) -> Any:
    if isinstance(given, Mapping) and isinstance(live, Mapping):
        return {key: _within(item, live[key]) if key in live else item for key, item in given.items()}
    if isinstance(given, list) and isinstance(live, list) and len(given) == len(live):
        return [_within(a, b) for a, b in zip(given, live, strict=True)]
    return live


def overlaid(live: Any, given: Any) -> Any:
    """A live value in the words of an agreeing given one."""
    if isinstance(given, Mapping) and isinstance(live, Mapping):
        return {key: overlaid(live.get(key), given.get(key)) for key in {**live, **given}}
    return live if given is None else given


def _canonical(value: Any) -> str:
    return json.dumps(_pruned(value), sort_keys=True, default=repr)


def _pruned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _pruned(item) for key, item in value.items() if not is_zero(item)}
    if isinstance(value, list):
        return sorted((_pruned(item) for item in value), key=_canonical)
    return value


def _document(value: Any, form: str) -> Any:
    if is_zero(value):
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            return value
    return _policy(value) if form == POLICY else value


def _policy(value: Any) -> Any:
    """IAM's own idea of sameness: a list of one is its element, and the order of a list means nothing."""
    if isinstance(value, Mapping):
        return {key: _policy(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_policy(item) for item in value]
        return items[0] if len(items) == 1 else sorted(items, key=_canonical)
    return value


def as_json(value: Any) -> Any:
    """A document as the text AWS takes; a program may give an object."""
    return value if isinstance(value, str | Unknown) or value is None else json.dumps(value)


def at(value: Any, path: str) -> Any:
    """What is at a dotted path; a number is an index; None where there is nothing."""
    for part in path.split(".") if path else ():
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


def put(target: dict[str, Any], path: str, value: Any) -> None:
    """Puts a value at a dotted path, making the mappings on the way."""
    *parents, last = path.split(".")
    for part in parents:
        target = target.setdefault(part, {})
    target[last] = value


def without(value: Any, paths: tuple[str, ...]) -> Any:
    """A copy without what is at the paths."""
    if not isinstance(value, Mapping):
        return value
    inner = {path.partition(".")[0]: path.partition(".")[2] for path in paths}
    return {
        key: without(item, (inner[key],)) if inner.get(key) else item
        for key, item in value.items()
        if inner.get(key, "+") != ""
    }


def _renamed(value: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {rename(key): _renamed(item, rename) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    return value


def pascal(value: Any) -> Any:
    """`{"minCapacity": 1}` as `{"MinCapacity": 1}`, at every depth."""
    return _renamed(value, lambda key: key[:1].upper() + key[1:])


def camel(value: Any) -> Any:
    """`{"MinCapacity": 1}` as `{"minCapacity": 1}`, at every depth."""
    return _renamed(value, lambda key: key[:1].lower() + key[1:])


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """A call's parameters: "{x}" is the value of x as it is, or None; other text is formatted."""
    if isinstance(template, str):
        if template.startswith("{") and template.endswith("}") and template.count("{") == 1:
            return at(values, template[1:-1])
        return template.format_map(values) if "{" in template else template
    if isinstance(template, Mapping):
        items = {key: filled(item, values) for key, item in template.items()}
        return {key: item for key, item in items.items() if item is not None}
    if isinstance(template, list):
        return [filled(item, values) for item in template]
    return template


def without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def tag_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags.items()]


def tag_map(tags: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Tags as a mapping, from either of AWS's shapes, without AWS's own."""
    pairs = tags if isinstance(tags, Mapping) else {item[key]: item.get(value, "") for item in tags or []}
    return {name: text for name, text in pairs.items() if not name.startswith("aws:")}
