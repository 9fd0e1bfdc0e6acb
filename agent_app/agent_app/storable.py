"""What can be kept: JSON carries more than Postgres' text and jsonb do."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic import JsonValue
from pydantic_core import to_json

from agent_app.problems import Problem

#: NUL, and halves of surrogate pairs.
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def text(said: str) -> str:
    """The text without what cannot be kept."""
    return _NOT_TEXT.sub("", said)


def value(made: object) -> JsonValue:
    """As JSON, as it is read back: without what cannot be kept, which a vendor or agent may answer with."""
    # Before, since halves of surrogate pairs have no JSON; after, for what becomes text only then.
    kept: JsonValue = _cleaned(json.loads(to_json(_cleaned(made), inf_nan_mode="null")))
    return kept


def _cleaned(made: Any) -> Any:
    if isinstance(made, str):
        return text(made)
    if isinstance(made, list):
        return [_cleaned(item) for item in made]
    if isinstance(made, dict):
        return {text(key) if isinstance(key, str) else key: _cleaned(item) for key, item in made.items()}
    return made


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
