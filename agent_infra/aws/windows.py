"""Weekly and daily windows as RDS and ElastiCache take them, in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_DAILY = re.compile(f"{_TIME}-{_TIME}")
_WEEKLY = re.compile(f"({'|'.join(_DAYS)}):{_TIME}-({'|'.join(_DAYS)}):{_TIME}")


def daily(text: str) -> tuple[int, int]:
    """A daily window's first minute of the day and its length in minutes.

    Raises:
        ValueError: it is none.
    """
    match = _DAILY.fullmatch(text)
    if match is None:
        raise ValueError("say a time of day in UTC from and to, such as 03:00-04:00")
    first, last = (int(match[n]) * 60 + int(match[n + 1]) for n in (1, 3))
    return first, (last - first) % _DAY_MINUTES or _DAY_MINUTES


def weekly(text: str) -> tuple[int, int]:
    """A weekly window's first minute of the week (Monday's midnight is 0) and its length in minutes.

    Raises:
        ValueError: it is none.
    """
    match = _WEEKLY.fullmatch(text)
    if match is None:
        raise ValueError("say a weekday and a time in UTC from and to, such as sun:04:30-sun:05:30")
    first, last = (
        _DAYS.index(match[n]) * _DAY_MINUTES + int(match[n + 1]) * 60 + int(match[n + 2]) for n in (1, 4)
    )
    return first, (last - first) % _WEEK_MINUTES or _WEEK_MINUTES


def overlap(day: str, week: str) -> bool:
    """Whether a daily window meets a weekly one."""
    first, length = daily(day)
    week_first, week_length = weekly(week)
    starts = (first + n * _DAY_MINUTES for n in range(7))
    return any(
        (start - week_first) % _WEEK_MINUTES < week_length or (week_first - start) % _WEEK_MINUTES < length
        for start in starts
    )


def check_windows(day: str | None, week: str | None, *, day_name: str, week_name: str) -> None:
    """Refuses two windows that AWS would refuse together.

    Raises:
        ValueError: they overlap.
    """
    if day and week and overlap(day, week):
        raise ValueError(
            f"{day_name} {day} overlaps {week_name} {week}; AWS wants them apart: move one of the two"
        )


def _window(parse: Callable[[str], tuple[int, int]], least: int, most: int) -> AfterValidator:
    def check(text: str) -> str:
        _first, length = parse(text)
        if not least <= length <= most:
            raise ValueError(f"a window of {length} minutes is not possible; say {least} to {most} minutes")
        return text

    return AfterValidator(check)


#: ElastiCache takes 60 minutes or more, RDS 30 or more.
CacheBackupWindow = Annotated[str, _window(daily, 60, _DAY_MINUTES)]
CacheMaintenanceWindow = Annotated[str, _window(weekly, 60, _DAY_MINUTES)]
DatabaseBackupWindow = Annotated[str, _window(daily, 30, _DAY_MINUTES)]
DatabaseMaintenanceWindow = Annotated[str, _window(weekly, 30, _DAY_MINUTES)]
