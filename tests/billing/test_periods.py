"""Months part time: every moment is in exactly one, over leap years and time zones."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import Month, last_moment_of

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2),
    max_value=datetime(2400, 1, 1),
    timezones=st.sampled_from(
        [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Pacific/Kiritimati"), timezone(timedelta(hours=-12))]
    ),
)
MONTHS = st.builds(Month, st.integers(1900, 2400), st.integers(1, 12))


@given(MOMENTS)
def test_a_moment_is_in_its_month_and_in_neither_neighbour(at: datetime) -> None:
    month = Month.containing(at)
    assert at in month
    assert at not in month.previous
    assert at not in month.next


@given(MONTHS)
def test_months_follow_each_other_without_gap_or_overlap(month: Month) -> None:
    assert month.end == month.next.start
    assert month.next.previous == month
    assert month.end not in month
    assert month.end - timedelta(microseconds=1) in month
    assert month.end - month.start == timedelta(days=month.length)
    assert len(month.days) == month.length


@given(MONTHS)
def test_a_month_reads_back_as_it_is_written(month: Month) -> None:
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(("year", "length"), [(2023, 28), (2024, 29), (2100, 28), (2000, 29)])
def test_february_knows_leap_years(year: int, length: int) -> None:
    assert Month(year, 2).length == length


def test_a_local_new_year_belongs_to_the_utc_month() -> None:
    midnight_in_berlin = datetime(2027, 1, 1, 0, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert Month.containing(midnight_in_berlin) == Month(2026, 12)


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026", "26-11", "2026-11-01", "November", "", "9999-12"]
)
def test_what_is_not_a_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"month"):
        Month.parse(text)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Month.containing(datetime(2026, 11, 1))


def test_the_last_moment_of_a_day_is_still_that_day() -> None:
    day = Month(2024, 2).days[-1]
    assert last_moment_of(day).date() == day
    assert last_moment_of(day) + timedelta(microseconds=1) == Month(2024, 3).start
