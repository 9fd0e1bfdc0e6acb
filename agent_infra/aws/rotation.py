"""When a secret is rotated, and by what: the grammar of Secrets Manager's schedules and their bounds."""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Self

from pydantic import Field, model_validator

from agent_infra.component import Args, MaybeOutput, shaped

_DAY_HOURS = 24
#: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
_SHORTEST_HOURS = 4
_LONGEST_DAYS = 999
#: Less than the 90 days that Security Hub's SecretsManager.4 allows.
_DEFAULT_DAYS = 30

_RATE = re.compile(r"rate\((\d+) (hours?|days?)\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_HOURS_PART = re.compile(r"(\*|\d{1,2}(?:-\d{1,2})?)?(?:/(\d{1,2}))?")
_DAYS = re.compile(r"\?|L|\d{1,2}W|(?:\*|\d{1,2}(?:-\d{1,2})?)(?:/\d{1,2})?(?:,\d{1,2}(?:-\d{1,2})?)*")
_MONTH = r"(?:\d{1,2}|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_MONTHS = re.compile(rf"(?:\*|{_MONTH}(?:-{_MONTH})?)(?:/\d{{1,2}})?(?:,{_MONTH}(?:-{_MONTH})?)*")
_WEEKDAY = r"(?:[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)"
_WEEKDAYS = re.compile(
    rf"\?|\*|{_WEEKDAY}(?:L|#[1-5])?|{_WEEKDAY}(?:-{_WEEKDAY})?(?:,{_WEEKDAY}(?:-{_WEEKDAY})?)*"
)
#: One day of each week or month.
_ONE_DAY = re.compile(rf"L|\d{{1,2}}W?|{_WEEKDAY}(?:L|#[1-5])?")

LambdaArn = Annotated[
    str,
    shaped(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_$-]+)?",
        "a function's ARN such as arn:aws:lambda:eu-central-1:123456789012:function:rotate-llm-keys",
    ),
]


class Rotation(Args):
    """How one secret is rotated: a Lambda function of one's own makes the new content, on a schedule.

    The function implements Secrets Manager's four steps (createSecret, setSecret, testSecret,
    finishSecret: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets.html). The
    rotation itself costs nothing beyond the function's runs and its calls.
    """

    lambda_arn: MaybeOutput[LambdaArn]
    every_days: int | None = Field(default=None, ge=1, le=1000)
    """Counted from the last rotation or change by hand; 30 where neither this nor `schedule` is said."""
    schedule: str | None = None
    """In UTC: `rate(4 hours)` to `rate(999 days)`, or `cron(0 8 1 * ? *)`: minutes 0, hours, day of the
    month, month, day of the week, year `*`; one of the two days is `?`."""
    window_hours: int | None = Field(default=None, ge=1, le=_DAY_HOURS)
    """With `schedule`: within how many hours it happens. It ends before the day and the next rotation;
    else an hour for a schedule in hours, and the rest of the day for one in days."""
    immediately: bool = False
    """Whether it is rotated by the `up` that sets this, too; otherwise Secrets Manager only tries the
    function's testSecret then."""
    allow_invoke: bool = True
    """Whether the function's policy is told that Secrets Manager of this account may call it."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.every_days is not None and self.schedule is not None:
            raise ValueError(
                f"every_days {self.every_days} and schedule {self.schedule!r} are two answers to one "
                "question; leave one of them out"
            )
        if self.schedule is not None:
            check_schedule(self.schedule, window_hours=self.window_hours)
        elif self.window_hours is not None:
            raise ValueError(
                f"window_hours {self.window_hours} begins when a schedule says; say "
                f"`schedule: rate({self.days} days)` in place of every_days"
            )
        return self

    @property
    def days(self) -> int:
        """Of a rotation without a schedule."""
        return _DEFAULT_DAYS if self.every_days is None else self.every_days


def check_schedule(schedule: str, *, window_hours: int | None = None) -> None:
    """Whether Secrets Manager takes a schedule, and the window fits into it.

    Raises:
        ValueError: it does not; says why and what it takes.
    """
    if rate := _RATE.fullmatch(schedule):
        _check_rate(schedule, int(rate[1]), days=rate[2].startswith("day"), window_hours=window_hours)
    elif cron := _CRON.fullmatch(schedule):
        _check_cron(schedule, cron.groups(), window_hours=window_hours)
    else:
        raise ValueError(
            f"schedule {schedule!r} is neither of the two forms; say rate(<number> hours), "
            "rate(<number> days) or cron(0 <hours> <day of month> <month> <day of week> *)"
        )


def _check_rate(schedule: str, count: int, *, days: bool, window_hours: int | None) -> None:
    hours = count * _DAY_HOURS if days else count
    if not _SHORTEST_HOURS <= hours <= _LONGEST_DAYS * _DAY_HOURS:
        raise ValueError(
            f"schedule {schedule!r} is out of bounds: Secrets Manager rotates every {_SHORTEST_HOURS} hours "
            f"to every {_LONGEST_DAYS} days"
        )
    if window_hours is not None and window_hours > hours:
        raise ValueError(
            f"window_hours {window_hours} reaches into the next rotation of {schedule!r}; say up to {hours}"
        )


def _check_cron(schedule: str, fields: tuple[str, ...], *, window_hours: int | None) -> None:
    minutes, hours_field, days, months, weekdays, year = fields
    for name, value, fits, allowed in (
        ("minutes", minutes, minutes == "0", "0: windows start on the hour"),
        ("day of the month", days, _days_fit(days), "1 to 31, L, a range or list of them, * or ?"),
        ("month", months, _months_fit(months), "1 to 12, JAN to DEC, a range or list of them, or *"),
        ("day of the week", weekdays, _WEEKDAYS.fullmatch(weekdays), "1 to 7, SUN to SAT, 2#1, 6L, * or ?"),
        ("year", year, year == "*", "*"),
    ):
        if not fits:
            raise ValueError(f"schedule {schedule!r} has {value!r} as its {name}; say {allowed}")
    if (days == "?") == (weekdays == "?"):
        raise ValueError(
            f"schedule {schedule!r} must have ? as one of the day of the month and the day of the week, and "
            "not as both"
        )
    hours = hours_of(hours_field)
    if hours is None:
        raise ValueError(
            f"schedule {schedule!r} has {hours_field!r} as its hours; say 0 to 23, a list, a range, or "
            "such as 0/8 for every eight hours"
        )
    gap = _shortest_gap(hours, days_apart=_ONE_DAY.fullmatch(weekdays if days == "?" else days) is not None)
    if gap < _SHORTEST_HOURS:
        raise ValueError(
            f"schedule {schedule!r} rotates {gap} hours apart; Secrets Manager takes {_SHORTEST_HOURS} hours "
            "or more"
        )
    longest = min(gap, _DAY_HOURS - hours[-1])
    if window_hours is not None and window_hours > longest:
        raise ValueError(
            f"window_hours {window_hours} reaches into the next rotation of {schedule!r} or past its day; "
            f"say up to {longest}"
        )


def _days_fit(field: str) -> bool:
    return _DAYS.fullmatch(field) is not None and all(1 <= int(n) <= 31 for n in re.findall(r"\d+", field))


def _months_fit(field: str) -> bool:
    return _MONTHS.fullmatch(field) is not None and all(1 <= int(n) <= 12 for n in re.findall(r"\d+", field))


def hours_of(field: str) -> list[int] | None:
    """The hours that a cron expression's second field means; None: it means none."""
    found: set[int] = set()
    for part in field.split(","):
        match = _HOURS_PART.fullmatch(part)
        if match is None or not part:
            return None
        base, step = match[1] or "*", match[2]
        first, _, last = ("0", "", "23") if base == "*" else base.partition("-")
        end = int(last) if last else 23 if step else int(first)
        if end > 23 or int(first) > end or (step is not None and int(step) == 0):
            return None
        found.update(range(int(first), end + 1, int(step or 1)))
    return sorted(found)


def _shortest_gap(hours: list[int], *, days_apart: bool) -> int:
    """The hours between two rotations that are closest; over midnight too, unless the days are apart."""
    gaps = [later - earlier for earlier, later in itertools.pairwise(hours)]
    if not days_apart:
        gaps.append(hours[0] + _DAY_HOURS - hours[-1])
    return min(gaps, default=_DAY_HOURS)
