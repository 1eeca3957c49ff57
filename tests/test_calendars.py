"""Which bars should exist and when each closes, against days looked up by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from moodtape.calendars import DAY, AroundTheClock, get_calendar
from moodtape.errors import UsageError

HOUR = timedelta(hours=1)
NAT = np.datetime64("NaT", "us")


def us(*texts: str) -> np.ndarray:
    return np.array([NAT if t == "" else np.datetime64(t, "us") for t in texts])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_round_the_clock_every_multiple_opens_a_bar() -> None:
    calendar = get_calendar("24/7")
    opens = us("2022-04-01T05:00", "2022-04-01T05:00:00.000001", "2022-04-01T05:30", "")
    np.testing.assert_array_equal(
        calendar.close_times(opens, HOUR), us("2022-04-01T06:00", "", "", "")
    )
    np.testing.assert_array_equal(
        calendar.close_times(us("2022-04-01", "2022-04-01T12:00"), DAY), us("2022-04-02", "")
    )
    expected = calendar.expected_opens(utc("2022-04-01T00:30"), utc("2022-04-01T03:00"), HOUR)
    np.testing.assert_array_equal(expected, us("2022-04-01T01:00", "2022-04-01T02:00"))


def test_weeks_open_on_mondays() -> None:
    week = timedelta(days=7)
    closes = AroundTheClock().close_times(us("2022-04-04", "2022-04-05"), week)
    np.testing.assert_array_equal(closes, us("2022-04-11", ""))


def test_before_1970_the_grid_is_the_same() -> None:
    opens = AroundTheClock().expected_opens(utc("1969-12-31T22:30"), utc("1970-01-01T00:01"), HOUR)
    np.testing.assert_array_equal(opens, us("1969-12-31T23:00", "1970-01-01T00:00"))


def test_new_york_days() -> None:
    calendar = get_calendar("XNYS")
    days = us("2024-11-27", "2024-11-28", "2024-11-29", "2024-11-30", "2024-07-05", "")
    closes = us("2024-11-27T21:00", "", "2024-11-29T18:00", "", "2024-07-05T20:00", "")
    np.testing.assert_array_equal(calendar.close_times(days, DAY), closes)
    expected = calendar.expected_opens(utc("2024-11-25"), utc("2024-12-03"), DAY)
    np.testing.assert_array_equal(
        expected, us("2024-11-25", "2024-11-26", "2024-11-27", "2024-11-29", "2024-12-02")
    )
    assert calendar.sessions_per_year == 252


def test_new_york_hours_begin_at_the_bell_and_end_with_the_session() -> None:
    calendar = get_calendar("XNYS")
    opens = us("2024-11-27T14:30", "2024-11-27T20:30", "2024-11-27T15:00", "2024-11-27T21:30")
    closes = us("2024-11-27T15:30", "2024-11-27T21:00", "", "")
    np.testing.assert_array_equal(calendar.close_times(opens, HOUR), closes)
    expected = calendar.expected_opens(utc("2024-11-29T16:00"), utc("2024-12-02T16:00"), HOUR)
    np.testing.assert_array_equal(
        expected,
        us("2024-11-29T16:30", "2024-11-29T17:30", "2024-12-02T14:30", "2024-12-02T15:30"),
    )


@pytest.mark.parametrize("interval", [HOUR, DAY])
def test_every_expected_bar_closes_after_it_opens_and_after_the_one_before(
    interval: timedelta,
) -> None:
    for name in ("24/7", "XNYS"):
        calendar = get_calendar(name)
        opens = calendar.expected_opens(utc("2024-11-20"), utc("2024-12-05"), interval)
        closes = calendar.close_times(opens, interval)
        assert not np.isnat(closes).any(), name
        assert (closes > opens).all()
        assert (np.diff(closes) > np.timedelta64(0, "us")).all()


def test_an_unknown_calendar_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'XNYSE' is not a calendar\. .*24/7 or an exchange code"):
        get_calendar("XNYSE")
