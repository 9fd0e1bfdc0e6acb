"""Property paths as the engine writes them, such as `spec.template.spec.containers[0].image`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

_PLAIN: Final = re.compile(r"^[A-Za-z_$][A-Za-z0-9_$-]*$")
_INDEX: Final = re.compile(r"\[\d+\]")


def join(parts: Iterable[str | int]) -> str:
    """The parts as one path; a key with a dot in it is put in brackets."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN.match(part):
            path += f".{part}" if path else part
        else:
            path += f'["{part}"]'
    return path


def changes(old: Any, new: Any, at: tuple[str | int, ...] = ()) -> Iterator[str]:
    """The paths at which two values differ, as deep as both have them."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key in old and key in new:
                yield from changes(old[key], new[key], (*at, key))
            elif old.get(key) is not None or new.get(key) is not None:
                yield join((*at, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            if index < len(old) and index < len(new):
                yield from changes(old[index], new[index], (*at, index))
            else:
                yield join((*at, index))
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield join(at)


def touches(path: str, field: str) -> bool:
    """Whether a change at a path is one of a field: inside it, it itself, or of what holds it."""
    plain = _INDEX.sub("", path).replace('["', ".").replace('"]', "")
    return plain == field or plain.startswith(f"{field}.") or field.startswith(f"{plain}.")
