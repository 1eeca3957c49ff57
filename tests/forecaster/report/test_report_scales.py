from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodtape.forecaster.report.scales import DAY, HOUR, bucket_seconds, time_axis, value_axis

VALUES = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=5)


@given(VALUES)
def test_labels_say_where_they_stand(values: list[float]) -> None:
    axis = value_axis(values)
    assert axis.low <= min(values) <= max(values) <= axis.high
    assert 2 <= len(axis.ticks) <= 12
    assert len({tick.label for tick in axis.ticks}) == len(axis.ticks)
    for tick in axis.ticks:
        value = float(tick.label.replace("−", "-").replace(",", ""))
        assert tick.at == pytest.approx(axis.at(value), abs=0.02)


@given(st.integers(0, 2_000_000_000), st.integers(2 * HOUR, 20 * 365 * DAY))
def test_times_are_labelled_inside_the_axis_and_not_too_often(first: int, span: int) -> None:
    ticks = time_axis(first, first + span).ticks
    assert 1 <= len(ticks) <= 8
    assert all(0 <= tick.at <= 100 for tick in ticks)
    assert all(a.at < b.at for a, b in pairwise(ticks))


def test_months_and_hours_by_hand() -> None:
    start = datetime(2021, 11, 15, tzinfo=UTC).timestamp()
    labels = [tick.label for tick in time_axis(start, start + 150 * DAY).ticks]
    assert labels == ["Dec 2021", "Jan 2022", "Feb", "Mar", "Apr"]
    labels = [tick.label for tick in time_axis(start + 5 * HOUR, start + 26 * HOUR, 4).ticks]
    assert labels == ["15 Nov 2021 06:00", "12:00", "18:00", "16 Nov"]


def test_a_single_value_or_instant_still_has_an_axis() -> None:
    assert value_axis([5.0]).at(5.0) == 50.0
    assert value_axis([]).at(0.0) == 50.0
    assert value_axis([float("nan"), 0.0]).zero == 50.0
    assert time_axis(1e9, 1e9).at(1e9) == 50.0


def test_buckets_are_round_and_few() -> None:
    assert bucket_seconds(10 * HOUR, 160) == HOUR
    assert bucket_seconds(90 * DAY, 160) == DAY
    assert 40 * 365 * DAY / bucket_seconds(40 * 365 * DAY, 160) <= 160
