"""Hours of texts as those of bars: an evening and a weekend reach the next session."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from moodtape.forecaster.texts import by_bar, hours_of_bars, polls_by_bar

NAN = np.nan
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def instants(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def grid(first: str, count: int) -> np.ndarray:
    return instants(first)[0] + np.arange(count) * np.timedelta64(1, "h")


def test_an_hourly_bar_has_the_hour_that_ends_with_it() -> None:
    hours = grid("2024-03-01T00:00", 5)
    cutoff = instants("2024-03-01T02:00", "2024-03-01T03:00", "2024-03-01T05:00")
    first, last = hours_of_bars(cutoff, HOUR, hours)
    assert (first.tolist(), last.tolist()) == ([1, 2, 3], [1, 2, 4])


def test_a_session_has_the_evening_and_a_monday_the_weekend() -> None:
    hours = grid("2024-03-07T00:00", 24 * 6)
    # Thursday, Friday, Monday, after the clocks have changed.
    cutoff = instants("2024-03-07T21:00", "2024-03-08T21:00", "2024-03-11T20:00")
    first, last = hours_of_bars(cutoff, DAY, hours)
    assert hours[first].tolist()[1:] == cutoff[:-1].tolist(), "from the close before"
    assert (last - first + 1).tolist()[1:] == [24, 24 * 3 - 1]
    assert (hours[last] + np.timedelta64(1, "h") == cutoff).all()


def test_bars_shorter_than_an_hour_share_the_hour_that_was_over_last() -> None:
    hours = grid("2024-03-01T00:00", 3)
    cutoff = instants("2024-03-01T01:45", "2024-03-01T02:00", "2024-03-01T02:15")
    first, last = hours_of_bars(cutoff, timedelta(minutes=15), hours)
    assert (first.tolist(), last.tolist()) == ([0, 1, 1], [0, 1, 1])


def stream(n: list[float]) -> dict[str, np.ndarray]:
    counts = np.array(n)
    half = dict.fromkeys(("n_stale", "n_repost", "sum_tone", "sum_tone_squared"), counts / 2)
    return {"n": counts, **half, "collections": np.arange(len(counts), dtype=float)}


def test_sums_of_the_watched_hours() -> None:
    hourly = stream([1, NAN, 4, NAN, NAN, 0, 2])
    made = by_bar(hourly, np.array([0, 3, 5]), np.array([2, 4, 6]))
    np.testing.assert_array_equal(made["n"], [5, NAN, 2])
    np.testing.assert_array_equal(made["sum_tone"], [2.5, NAN, 1])
    np.testing.assert_array_equal(made["watched"], [2, 0, 2])
    np.testing.assert_array_equal(made["collections"], [2, 4, 6])
    np.testing.assert_allclose(made["usual"], [5 / 2, 5 / 2, 7 / 4])


def test_later_hours_change_no_earlier_bar() -> None:
    rng = np.random.default_rng(0)
    n = np.where(rng.uniform(size=300) < 0.2, NAN, rng.poisson(2.0, 300)).tolist()
    first, last = np.arange(0, 290, 29), np.arange(28, 290, 29)
    whole = by_bar(stream(n), first, last)
    part = by_bar(stream(n[: last[5] + 1]), first[:6], last[:6])
    for name, column in part.items():
        assert whole[name][:6].tobytes() == column.tobytes(), name


def test_polls_are_summed_too() -> None:
    made = polls_by_bar({"n_polls": np.arange(5.0)}, np.array([0, 2]), np.array([1, 4]))
    assert made["n_polls"].tolist() == [1, 9]
