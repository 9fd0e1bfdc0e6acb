"""What can be kept: JSON carries more than Postgres' text and jsonb do."""

from __future__ import annotations

import math
import re

from pydantic import JsonValue
from pydantic_core import PydanticSerializationError, to_json

from agent_app.problems import Problem

_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")

#: In JSON: the escape of NUL, and not a backslash that is itself escaped before "u0000".
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def dumped(value: object) -> bytes:
    """As JSON, without what a vendor or an agent may answer with and Postgres cannot keep.

    Left out are NULs, halves of surrogate pairs, and numbers that are none.
    """
    try:
        json = to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        json = to_json(_whole(value), inf_nan_mode="null")
    return _NUL.sub(rb"\1", json) if b"\\u0000" in json else json


def text(given: str) -> str:
    """The text without what Postgres cannot keep."""
    return _NOT_TEXT.sub("", given)


def _whole(value: object) -> object:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


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
