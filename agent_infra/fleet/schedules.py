"""When a schedule holds: cron expressions as KEDA reads them, and time zones."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

#: What KEDA's parser (robfig/cron, minute to day of week) knows: it has no seconds, no @daily, no L, W or #.
_FIELD = re.compile(r"[0-9A-Za-z*/,-]+")
_LETTERS = re.compile(r"[A-Za-z]+")
_NAMES = frozenset(
    "jan feb mar apr may jun jul aug sep oct nov dec sun mon tue wed thu fri sat".split()  # noqa: SIM905
)
#: A fixed day, so that the same schedule is judged alike every day; its year has a 29 February.
_FIRST = datetime(2024, 1, 1)  # noqa: DTZ001 - each schedule has a zone of its own
#: Enough for every day of a month, and for an hourly schedule a day and more.
_WINDOWS = 31


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(
            f"a cron expression has five fields, and this has {len(fields)}; say minute, hour, day of the "
            'month, month and day of the week, such as "0 8 * * 1-5"'
        )
    if not all(_FIELD.fullmatch(field) for field in fields) or any(
        word.lower() not in _NAMES for field in fields for word in _LETTERS.findall(field)
    ):
        raise ValueError(
            'KEDA knows numbers, names such as mon and jan, and * / , - alone; say such as "0 8 * * mon-fri"'
        )
    if "7" in re.findall(r"(?<![/\d])\d+", fields[4]):
        raise ValueError("KEDA counts the days of the week from 0 (Sunday) to 6; say 0 in place of 7")
    try:
        next(CronSim(text, _FIRST))
    except CronSimError as error:
        raise ValueError(f'{str(error).lower()}; say a cron expression such as "0 8 * * 1-5"') from None
    except StopIteration:
        raise ValueError("there is no such day; say a cron expression that comes true") from None
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # an unknown name, a directory's, one that is no name at all
        raise ValueError(
            "not a time zone; say one as the IANA database names it, such as Europe/Berlin"
        ) from None
    return name


Cron = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_zone)]


def shortest(start: str, end: str, timezone: str) -> int:
    """The least seconds for which a schedule holds, of its first times."""
    zone = ZoneInfo(timezone)
    begun = itertools.islice(CronSim(start, _FIRST.replace(tzinfo=zone)), _WINDOWS)
    return min(int(next(CronSim(end, began)).timestamp() - began.timestamp()) for began in begun)
