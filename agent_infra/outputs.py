"""Values that may hold `Output`s, at the cost of those that they do hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pulumi

T = TypeVar("T")


def computed(value: Any, function: Callable[[Any], T]) -> T | pulumi.Output[T]:
    """What a function makes of a value, at once where all of it is known, else as an `Output`.

    `Output.all` and `Output.json_dumps` make several `Output`s of each entry, plain ones too, and each costs
    Pulumi's SDK time that grows with their number; here only those inside mappings and lists count.
    """
    found: list[pulumi.Output[Any]] = []
    _seek(value, found)
    if not found:
        return function(value)
    return pulumi.Output.all(*found).apply(lambda known: function(_filled(value, iter(known))))


def _seek(value: Any, found: list[pulumi.Output[Any]]) -> None:
    if isinstance(value, pulumi.Output):
        found.append(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            _seek(item, found)
    elif _is_list(value):
        for item in value:
            _seek(item, found)


def _filled(value: Any, known: Any) -> Any:
    """The same with the known values in their places, in the order in which `_seek` found them."""
    if isinstance(value, pulumi.Output):
        return next(known)
    if isinstance(value, Mapping):
        return {key: _filled(item, known) for key, item in value.items()}
    if _is_list(value):
        return [_filled(item, known) for item in value]
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
