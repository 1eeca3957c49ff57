"""Time, worked by hand: lengths, instants, and when each row was known."""

from __future__ import annotations

import doctest
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodtape import clock
from moodtape.clock import (
    DecisionClock,
    document_known_at,
    floor_to,
    format_duration,
    from_datetime64,
    iso,
    metric_known_at,
    parse_duration,
    parse_instant,
    require_utc,
    to_datetime64,
)
from moodtape.errors import UsageError

NAT = np.datetime64("NaT", "us")
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def us(*texts: str) -> np.ndarray:
    return np.array([NAT if t == "" else np.datetime64(t, "us") for t in texts])


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(clock).failed == 0


def test_no_other_module_asks_what_time_it_is() -> None:
    asks = re.compile(r"\btime\.time(_ns)?\(|\b(datetime|date)\.(now|utcnow|today)\(")
    package = Path(clock.__file__).parent
    found = {p.name for p in package.rglob("*.py") if asks.search(p.read_text(encoding="utf-8"))}
    assert found == {"clock.py"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90min", 5400), ("1h", 3600), ("6H", 21600), (" 1d ", 86400), ("2w", 1209600), ("15m", 900)],
)
def test_lengths_of_time(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0h", "h", "1.5h", "-1h", "1 hour", "1y", "1h30m"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a length of time\. Write it as 15min, 1h, 6h"):
        parse_duration(text)


@given(st.integers(1, 10**7).map(lambda s: timedelta(seconds=s)))
def test_a_length_survives_being_written(length: timedelta) -> None:
    assert parse_duration(format_duration(length)) == length


def test_instants_typed_by_a_person() -> None:
    noon = datetime(2022, 4, 1, 12, tzinfo=UTC)
    for text in ("2022-04-01T12:00", "2022-04-01 12:00Z", "2022-04-01T14:00+02:00"):
        assert parse_instant(text) == noon
        assert parse_instant(text).tzinfo is UTC
    for text in ("", "april", "2022-13-01", "1648792800x"):
        with pytest.raises(UsageError, match=r"is not an ISO date or time\. Write 2022-04-01 or"):
            parse_instant(text)


def test_a_naive_instant_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="as_of is naive"):
        require_utc(datetime(2022, 4, 1), "as_of")  # noqa: DTZ001
    tokyo = datetime(2022, 4, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert require_utc(tokyo, "as_of").isoformat() == "2022-04-01T00:00:00+00:00"


@given(INSTANTS)
def test_arrays_and_instants_agree_to_the_microsecond(instant: datetime) -> None:
    assert from_datetime64(to_datetime64(instant)) == instant


def test_instants_as_people_read_them() -> None:
    assert iso(datetime(2022, 4, 1, 6, tzinfo=UTC)) == "2022-04-01 06:00Z"
    assert iso(datetime(2022, 4, 1, 6, 0, 1, tzinfo=UTC)) == "2022-04-01 06:00:01Z"


@given(INSTANTS, st.sampled_from(["15min", "1h", "4h", "1d"]))
def test_floor_is_the_last_edge_not_after(instant: datetime, length: str) -> None:
    step = parse_duration(length)
    edge = floor_to(instant, step)
    assert edge <= instant < edge + step
    assert (edge - clock.EPOCH) % step == timedelta(0)


def test_a_decision_comes_a_little_after_the_close() -> None:
    decision = DecisionClock(delay=timedelta(seconds=120))
    assert decision.decision_time(datetime(2022, 4, 1, 6, tzinfo=UTC)) == datetime(
        2022, 4, 1, 6, 2, tzinfo=UTC
    )
    times = decision.decision_times(us("2022-04-01T06:00", "2022-04-01T07:00"))
    np.testing.assert_array_equal(times, us("2022-04-01T06:02", "2022-04-01T07:02"))


def test_when_a_metric_was_known() -> None:
    ends = us(*["2022-04-02"] * 6)
    stamps = us(
        "2022-04-02T04:42:00.000001",  # the provider's own
        "",  # none
        "2022-04-12T00:00:00",  # ten days to the second: still the provider's own
        "2022-04-12T00:00:00.000001",  # filled in later
        "2022-04-01T23:59:59",  # before the period was over: completes nothing
        "2022-04-02T00:00:00",  # at its end
    )
    known = metric_known_at(ends, stamps, timedelta(hours=6))
    expected = us(
        *("2022-04-02T04:42:00.000001", "2022-04-02T06:00", "2022-04-12"),
        *("2022-04-02T06:00", "2022-04-02T06:00", "2022-04-02"),
    )
    np.testing.assert_array_equal(known, expected)


def test_a_lag_may_differ_by_row() -> None:
    lags = np.array([6, 12], dtype="timedelta64[h]").astype("timedelta64[us]")
    known = metric_known_at(us("2022-04-02", "2022-04-02"), us("", ""), lags)
    np.testing.assert_array_equal(known, us("2022-04-02T06:00", "2022-04-02T12:00"))


def test_when_a_text_from_an_archive_was_known() -> None:
    published = us(*["2022-04-01"] * 3, "2022-04-01T10:30:15.5")
    collected = us("2022-04-01T00:40", "", "", "")
    date_only = np.array([True, True, False, False])
    known, assumed = document_known_at(published, collected, timedelta(minutes=90), date_only)
    expected = us(
        *("2022-04-01T00:40", "2022-04-02T01:30", "2022-04-01T01:30", "2022-04-01T12:00:15.5")
    )
    np.testing.assert_array_equal(known, expected)
    assert assumed.tolist() == [False, True, True, True]


@given(st.lists(st.tuples(st.integers(0, 10**15), st.none() | st.integers(0, 10**15)), min_size=1))
def test_no_metric_is_known_before_its_period_is_over(rows: list[tuple[int, int | None]]) -> None:
    ends = np.array([end for end, _ in rows]).astype("datetime64[us]")
    stamps = np.array([NAT if s is None else np.datetime64(s, "us") for _, s in rows])
    assert (metric_known_at(ends, stamps, timedelta(hours=6)) >= ends).all()
