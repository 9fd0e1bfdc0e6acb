"""What can be kept: JSON carries more than Postgres' text and jsonb do."""

from __future__ import annotations

import math
import re

from pydantic import JsonValue
from pydantic_core import to_json

from agent_app.problems import Problem

_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")

#: In JSON: the escape of NUL, and not a backslash that is itself escaped before "u0000".
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def dumped(value: object) -> bytes:
    """As JSON, without the NULs and the numbers that are none which a vendor or an agent may answer with."""
    text = to_json(value, inf_nan_mode="null")
    return _NUL.sub(rb"\1", text) if b"\\u0000" in text else text


def check(value: JsonValue, where: str) -> None:
    """Refuses what Postgres cannot keep.

    Raises:
        Problem: 422, a text with NUL or half a surrogate pair, or a number that is none.
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and _NOT_TEXT.search(item):
            raise Problem(422, f"body {where}: it must be Unicode text without NUL and lone surrogates.")
        elif isinstance(item, float) and not math.isfinite(item):
            raise Problem(422, f"body {where}: a number in it is infinite, or none at all.")
