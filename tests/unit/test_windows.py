"""Maintenance and backup windows: arithmetic over a week."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_infra.aws.windows import check_windows, daily, overlap, weekly

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
minutes = st.integers(0, 24 * 60 - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@settings(max_examples=50)
@given(minutes, st.integers(1, 24 * 60 - 1))
def test_a_daily_window_has_the_length_that_was_written_even_across_midnight(start: int, length: int) -> None:
    assert daily(f"{clock(start)}-{clock((start + length) % (24 * 60))}") == (start, length)


@settings(max_examples=50)
@given(minutes, st.integers(30, 600), st.integers(0, 6), minutes, st.integers(30, 600))
def test_windows_overlap_just_where_they_share_a_minute(
    start: int, length: int, day: int, week_start: int, week_length: int
) -> None:
    first = day * 24 * 60 + week_start
    last = (first + week_length) % (7 * 24 * 60)
    week = f"{DAYS[day]}:{clock(week_start)}-{DAYS[last // (24 * 60)]}:{clock(last % (24 * 60))}"
    daily_minutes = {(n * 24 * 60 + start + m) % (7 * 24 * 60) for n in range(7) for m in range(length)}
    weekly_minutes = {(first + m) % (7 * 24 * 60) for m in range(week_length)}
    written = f"{clock(start)}-{clock((start + length) % (24 * 60))}"
    assert overlap(written, week) == bool(daily_minutes & weekly_minutes)


@pytest.mark.parametrize("text", ["", "3:00-4:00", "24:00-01:00", "03:00", "03:60-04:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="say a time of day"):
        daily(text)
    with pytest.raises(ValueError, match="say a weekday"):
        weekly(text)


def test_windows_that_are_not_said_never_overlap() -> None:
    check_windows(None, "sun:04:00-sun:05:00", day_name="a", week_name="b")
