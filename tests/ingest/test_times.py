"""Times in other people's files: four units of epoch, zones, bare dates, and refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodtape.ingest.times import MISSING, NO_TIME, NO_ZONE, read_times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
IN_RANGE = st.datetimes(datetime(1974, 1, 1), datetime(2250, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)


def one(value: Any, assume_utc: bool = False) -> tuple[str | None, str | None]:
    """Return what a single cell is read as: ISO text or None, and the reason or None."""
    times, reasons = read_times(pd.Series([value], dtype=object), assume_utc)
    return None if np.isnat(times[0]) else f"{times[0]}Z", reasons[0]


SIX = "2022-04-01T06:00:00.000000Z"


@pytest.mark.parametrize(
    "written",
    [
        *("2022-04-01T06:00:00Z", "2022-04-01 06:00:00+00:00", "2022-04-01T08:00:00+02:00"),
        *("2022-04-01 06:00:00 UTC", "2022-04-01 06:00 GMT", "2022-04-01 06:00:00+00"),
        *("2022-04-01T01:30:00-0430", "2022-04-01T06:00:00.000Z", " 2022-04-01T06:00Z "),
        *("Fri, 01 Apr 2022 06:00:00 GMT", "Fri, 01 Apr 2022 08:00:00 +0200"),
        *("1648792800", "1648792800.0", "1648792800000", "1648792800000000", "1.6487928e9"),
        *(1648792800, 1648792800.0, 1648792800000, 1648792800000000000),
        datetime(2022, 4, 1, 6, tzinfo=UTC),
        datetime(2022, 4, 1, 8, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_six_in_the_morning_however_it_is_written(written: Any) -> None:
    assert one(written) == (SIX, None)


@pytest.mark.parametrize("written", ["2022-04-01", date(2022, 4, 1)])
def test_a_bare_date_is_its_midnight(written: Any) -> None:
    assert one(written) == ("2022-04-01T00:00:00.000000Z", None)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("2022-04-01 06:00:00", NO_ZONE),
        ("2022-04-01T06:00", NO_ZONE),
        ("Fri, 01 Apr 2022 06:00:00 -0000", NO_ZONE),
        (datetime(2022, 4, 1, 6), NO_ZONE),  # noqa: DTZ001
        ("yesterday", NO_TIME),
        ("2022-13-01", NO_TIME),
        ("2022-04-31T00:00Z", NO_TIME),
        ("01/04/2022 06:00", NO_TIME),
        ("20220401", NO_TIME),
        (20220401, NO_TIME),
        (12, NO_TIME),
        ("inf", NO_TIME),
        ("1e30", NO_TIME),
        ("Mon, 99 Xyz 2022", NO_TIME),
        *((empty, MISSING) for empty in ("", "  ", "NULL", "nan", "None", None, float("nan"))),
    ],
)
def test_what_cannot_be_read_says_why(written: Any, reason: str) -> None:
    assert one(written) == (None, reason)


def test_naive_times_are_utc_only_if_the_user_says_so() -> None:
    assert one("2022-04-01 06:00:00", assume_utc=True) == (SIX, None)
    column = pd.Series(np.array(["2022-04-01T06:00"], dtype="datetime64[ms]"))
    assert read_times(column)[1].tolist() == [NO_ZONE]
    assert read_times(column, assume_utc=True)[0][0] == np.datetime64("2022-04-01T06:00")


def test_a_typed_column_of_midnights_is_a_column_of_dates() -> None:
    column = pd.Series(np.array(["2022-04-01", "2022-04-02", "NaT"], dtype="datetime64[ms]"))
    times, reasons = read_times(column)
    assert times[1] == np.datetime64("2022-04-02")
    assert reasons.tolist() == [None, None, MISSING]


def test_rows_of_one_column_may_differ_in_everything() -> None:
    column = pd.Series(["1648792800", "1648792800000", "2022-04-01T06:00Z", "soon", ""])
    times, reasons = read_times(column)
    assert (times[:3] == np.datetime64("2022-04-01T06:00", "us")).all()
    assert reasons.tolist() == [None, None, None, NO_TIME, MISSING]


@given(IN_RANGE, st.sampled_from([(1, 10**6), (10**3, 10**3), (10**6, 1)]), st.booleans())
def test_an_epoch_is_told_by_its_size(
    instant: datetime, unit: tuple[int, int], as_text: bool
) -> None:
    per_second, microseconds = unit
    micros = (instant - EPOCH) // timedelta(microseconds=1) // microseconds * microseconds
    number = micros * per_second // 10**6
    times, reasons = read_times(pd.Series([str(number) if as_text else number]))
    assert reasons[0] is None
    assert times[0] == np.datetime64(micros, "us")


@given(IN_RANGE)
def test_nanoseconds_are_right_to_the_microsecond(instant: datetime) -> None:
    micros = (instant - EPOCH) // timedelta(microseconds=1)
    if micros * 1000 >= 2**63:
        return
    times, _ = read_times(pd.Series([micros * 1000]))
    assert abs(times[0] - np.datetime64(micros, "us")) <= np.timedelta64(1, "us")


@given(IN_RANGE, st.integers(-14 * 60, 14 * 60))
def test_iso_text_with_any_offset_is_the_same_instant(instant: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    times, reasons = read_times(pd.Series([instant.astimezone(zone).isoformat()], dtype=object))
    assert reasons[0] is None
    assert times[0] == np.datetime64(instant.replace(tzinfo=None), "us")


def test_a_list_in_a_cell_is_no_time() -> None:
    column = pd.Series([[], ["2024-01-01"], np.array([1.0]), None], dtype=object)
    times, reasons = read_times(column)
    assert np.isnat(times).all()
    assert reasons.tolist() == [NO_TIME, NO_TIME, NO_TIME, MISSING]
