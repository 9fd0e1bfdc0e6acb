"""How many replicas a model's limits can keep busy: more would only wait, or be refused, more often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pydantic import Field

from agent_infra.component import Args


class UsualTask(Args):
    """What one task does to the model, on average; it matters where the model's limits are said.

    The defaults are modest, so that a guess never holds a fleet back for nothing: say what yours do.
    """

    seconds: int = Field(default=60, ge=1, le=43_200)
    calls: float = Field(default=4, gt=0, le=10_000, allow_inf_nan=False)
    """Calls of the model."""
    tokens_per_call: int = Field(default=2000, ge=1, le=10_000_000)
    """Those that the vendor counts, in and out."""


@dataclass(frozen=True)
class Ceiling:
    """The most replicas that can be busy all the time, one at least."""

    replicas: int
    bound_by: Literal["requests", "tokens"]
    """Of which the limits would be reached first."""


def ceiling(
    *,
    requests_per_minute: float | None,
    tokens_per_minute: float | None,
    concurrency: int,
    seconds_per_task: float,
    calls_per_task: float,
    tokens_per_call: float,
) -> Ceiling | None:
    """The replicas that a model's limits keep busy; None where there are no limits.

    A busy replica makes `concurrency * calls_per_task * 60 / seconds_per_task` calls a minute, each of
    `tokens_per_call` tokens. The ceiling is the whole number of such replicas in the tighter limit.

    Raises:
        ValueError: a number is not above zero.
    """
    numbers = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrency": concurrency,
        "seconds_per_task": seconds_per_task,
        "calls_per_task": calls_per_task,
        "tokens_per_call": tokens_per_call,
    }
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise ValueError(f"{name} {number} is not above zero; leave a limit out where there is none")
    calls = concurrency * _exact(calls_per_task) * 60 / _exact(seconds_per_task)
    busy: dict[Literal["requests", "tokens"], Fraction] = {}
    if requests_per_minute is not None:
        busy["requests"] = _exact(requests_per_minute) / calls
    if tokens_per_minute is not None:
        busy["tokens"] = _exact(tokens_per_minute) / (calls * _exact(tokens_per_call))
    if not busy:
        return None
    tighter = min(busy, key=lambda limit: busy[limit])
    return Ceiling(max(1, math.floor(busy[tighter])), tighter)


def _exact(number: float) -> Fraction:
    """The number as it is written: 0.1 is a tenth, and no call too many comes of it."""
    return Fraction(str(number))
