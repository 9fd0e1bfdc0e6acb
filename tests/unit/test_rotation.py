"""Schedules of rotation: what Secrets Manager takes, and what it would refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent_infra.aws.rotation import Rotation, check_schedule, hours_of

LAMBDA = "arn:aws:lambda:eu-central-1:123456789012:function:rotate"


@pytest.mark.parametrize(
    ("schedule", "window"),
    [
        ("rate(4 hours)", 4),
        ("rate(1 day)", 24),
        ("rate(999 days)", None),
        ("cron(0 8 1 * ? *)", 16),
        ("cron(0 /4 * * ? *)", 4),
        ("cron(0 0/8 * * ? *)", 8),
        ("cron(0 8 ? 1,7 MON#1 *)", 3),
        ("cron(0 8,20 L JAN-MAR ? *)", 4),
        ("cron(0 16 ? * 6L *)", None),
        ("cron(0 2 ? * MON-FRI *)", 1),
        ("cron(0 2 1/10 * ? *)", 1),
    ],
)
def test_schedules_that_secrets_manager_takes(schedule: str, window: int | None) -> None:
    check_schedule(schedule, window_hours=window)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("every day", "neither of the two forms"),
        ("rate(0 days)", "every 4 hours to every 999 days"),
        ("rate(3 hours)", "every 4 hours to every 999 days"),
        ("rate(1000 days)", "every 4 hours to every 999 days"),
        ("rate(1 month)", "neither of the two forms"),
        ("cron(0 8 * * *)", "neither of the two forms"),
        ("cron(30 8 1 * ? *)", "'30' as its minutes; say 0"),
        ("cron(0 24 1 * ? *)", "'24' as its hours"),
        ("cron(0 * * * ? *)", "1 hours apart"),
        ("cron(0 8,10 * * ? *)", "2 hours apart"),
        ("cron(0 0,22 ? * MON-FRI *)", "2 hours apart"),
        ("cron(0 8 32 * ? *)", "'32' as its day of the month"),
        ("cron(0 8 1 13 ? *)", "'13' as its month"),
        ("cron(0 8 ? * 8 *)", "'8' as its day of the week"),
        ("cron(0 8 1 * 2 *)", "must have ?"),
        ("cron(0 8 ? * ? *)", "must have ?"),
        ("cron(0 8 1 * ? 2030)", "'2030' as its year"),
    ],
)
def test_schedules_that_it_refuses_are_told_with_the_way_out(schedule: str, said: str) -> None:
    with pytest.raises(ValueError, match="schedule") as raised:
        check_schedule(schedule)
    assert said in str(raised.value)
    assert repr(schedule) in str(raised.value)


@pytest.mark.parametrize(
    ("schedule", "window", "longest"),
    [("rate(4 hours)", 5, 4), ("cron(0 22 1 * ? *)", 3, 2), ("cron(0 0,4 1 * ? *)", 5, 4)],
)
def test_a_window_ends_before_the_day_and_the_next_rotation(schedule: str, window: int, longest: int) -> None:
    with pytest.raises(ValueError, match=f"say up to {longest}"):
        check_schedule(schedule, window_hours=window)
    check_schedule(schedule, window_hours=longest)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"every_days": 30, "schedule": "rate(30 days)"}, "leave one of them out"),
        ({"window_hours": 3}, "say `schedule: rate(30 days)`"),
        ({"every_days": 1001}, "less than or equal to 1000"),
        ({"lambda_arn": "rotate"}, "say a function's ARN"),
    ],
)
def test_a_rotation_that_contradicts_itself_is_refused(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Rotation.model_validate({"lambda_arn": LAMBDA, **args})
    assert said in str(raised.value)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2000), st.sampled_from(["hours", "days"]))
def test_a_rate_is_taken_exactly_within_the_bounds(count: int, unit: str) -> None:
    hours = count * (24 if unit == "days" else 1)
    try:
        check_schedule(f"rate({count} {unit})")
        taken = True
    except ValueError:
        taken = False
    assert taken == (4 <= hours <= 999 * 24)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 23), st.integers(0, 23), st.integers(1, 24))
def test_hours_are_those_of_the_range_by_its_step(first: int, last: int, step: int) -> None:
    expected = list(range(first, last + 1, step)) if first <= last else None
    assert hours_of(f"{first}-{last}/{step}") == expected
    assert hours_of(f"{first}/{step}") == list(range(first, 24, step))
    assert hours_of(f"{first},{last}") == sorted({first, last})


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 23), min_size=1, max_size=6), st.integers(1, 24))
def test_a_daily_schedule_never_rotates_within_four_hours_or_past_its_window(
    hours: set[int], window: int
) -> None:
    schedule = f"cron(0 {','.join(map(str, sorted(hours)))} * * ? *)"
    starts = sorted(hours)
    gaps = [
        (later - earlier) % 24 or 24 for earlier, later in zip(starts, starts[1:] + starts[:1], strict=True)
    ]
    fits = min(gaps) >= 4 and window <= min(*gaps, 24) and starts[-1] + window <= 24
    try:
        check_schedule(schedule, window_hours=window)
        taken = True
    except ValueError:
        taken = False
    assert taken == fits
