from typing import Any

import numpy as np
import pandas as pd

from moodtape.forecaster import grid

NAN = np.nan
START = np.datetime64("2024-01-01", "us")
HOUR = np.timedelta64(1, "h")


def at(hours: float) -> pd.Timestamp:
    return pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(hours=hours)


def instants(hours: list[float]) -> pd.DatetimeIndex:
    return pd.to_datetime([at(h) for h in hours], utc=True).as_unit("us")


def opens(count: int) -> np.ndarray:
    return START + HOUR * np.arange(count)


def stored(rows: list[tuple[float, float, float, int]]) -> pd.DataFrame:
    """Return stored versions of bars from (hour of open, hour known, close, version)."""
    table = pd.DataFrame(
        {
            "open_time": [at(h) for h, *_ in rows],
            "known_at": [at(k) for _, k, *_ in rows],
            "version": [v for *_, v in rows],
        }
    )
    for name in grid.BAR_COLUMNS:
        table[name] = [close for _, _, close, _ in rows]
    return table


def bar_grid(rows: list[tuple[float, float, float, int]], count: int) -> grid.BarGrid:
    return grid.bar_grid(stored(rows), opens(count), opens(count) + HOUR)


def test_a_missing_bar_is_a_hole() -> None:
    made = bar_grid([(0, 1, 10, 1), (1, 2, 11, 1), (3, 4, 13, 1)], 5)
    np.testing.assert_array_equal(made.first["close"], [10, 11, NAN, 13, NAN])
    np.testing.assert_array_equal(made.run_length, [1, 2, 0, 1, 0])


def test_a_bar_off_the_grid_is_left_out() -> None:
    made = bar_grid([(0, 1, 10, 1), (0.5, 1.5, 99, 1), (9, 10, 99, 1)], 3)
    np.testing.assert_array_equal(made.first["close"], [10, NAN, NAN])


def test_a_correction_is_seen_by_later_decisions_only() -> None:
    rows = [(h, h + 1, 10 + h, 1) for h in range(4)]
    made = bar_grid([*rows, (1, 3.01, 99, 2)], 4)
    decision = opens(4) + HOUR + np.timedelta64(120, "s")  # 01:02 02:02 03:02 04:02
    seen = {
        row: values["close"][: row + 1].tolist()
        for start, stop, values in made.versions(decision)
        for row in range(start, stop)
    }
    assert seen == {0: [10], 1: [10, 11], 2: [10, 99, 12], 3: [10, 99, 12, 13]}
    np.testing.assert_array_equal(made.first["close"], [10, 11, 12, 13])


def test_corrections_of_one_bar_follow_each_other() -> None:
    rows = [(h, h + 1, 10 + h, 1) for h in range(4)]
    made = bar_grid([*rows, (0, 2, 50, 2), (0, 4, 60, 3), (1, 4, 70, 2)], 4)
    decision = opens(4) + HOUR + np.timedelta64(120, "s")
    stretches = [(a, b, v["close"].tolist()) for a, b, v in made.versions(decision)]
    assert stretches == [
        (0, 1, [10, 11, 12, 13]),
        (1, 3, [50, 11, 12, 13]),
        (3, 4, [60, 70, 12, 13]),
    ]


def test_a_correction_known_after_the_last_decision_changes_nothing() -> None:
    made = bar_grid([(0, 1, 10, 1), (1, 2, 11, 1), (0, 90, 99, 2)], 2)
    stretches = list(made.versions(opens(2) + HOUR))
    assert [(a, b) for a, b, _ in stretches] == [(0, 2)]
    assert stretches[0][2]["close"].tolist() == [10, 11]


def sums(rows: list[tuple[float, int, int]]) -> pd.DataFrame:
    """Return hourly sums from (hour, number of texts, sum of tone in millionths)."""
    return pd.DataFrame(
        {
            "hour": instants([h for h, *_ in rows]),
            "n": [n for _, n, _ in rows],
            "n_stale": 0,
            "n_repost": 1,
            "sum_tone": [tone for *_, tone in rows],
            "sum_tone_squared": [tone**2 for *_, tone in rows],
        }
    )


def seen(hours: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"hour": instants(hours)})


def coverage(rows: list[tuple[str, float, float, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["collection", "covered_from", "covered_until", "state"])
    for name in ("covered_from", "covered_until"):
        table[name] = instants(list(table[name]))
    return table


def stream(*args: Any) -> dict[str, list[float]]:
    made = grid.text_stream("news", *args, opens(8))
    return {name: values.tolist() for name, values in made.columns.items()}


def same(found: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(found, expected)


def test_an_hour_that_brought_a_text_about_anything_was_watched() -> None:
    found = stream(sums([(2, 3, 1_500_000)]), seen([2, 4]), coverage([("a", 2.2, 6.7, "partial")]))
    same(found["n"], [NAN, NAN, 3, NAN, 0, NAN, NAN, NAN])
    same(found["sum_tone"], [NAN, NAN, 1.5, NAN, 0, NAN, NAN, NAN])
    same(found["n_repost"], [NAN, NAN, 1, NAN, 0, NAN, NAN, NAN])
    np.testing.assert_allclose(found["sum_tone_squared"][2], 2.25)


def test_a_crawl_watched_every_whole_hour_inside_it() -> None:
    found = stream(sums([(2, 1, 0)]), seen([2]), coverage([("a", 1.5, 6.0, "crawled")]))
    same(found["n"], [NAN, NAN, 1, 0, 0, 0, NAN, NAN])


def test_two_crawls_with_a_break_leave_the_break_unwatched() -> None:
    covered = coverage([("a", 0, 2, "crawled"), ("a", 4, 6, "crawled"), ("b", 5, 8, "crawled")])
    found = stream(sums([]), seen([]), covered)
    same(found["n"], [0, 0, NAN, NAN, 0, 0, 0, 0])


def test_the_set_of_collections_changes_where_one_begins_or_ends() -> None:
    covered = coverage([("a", 0.5, 3.5, "partial"), ("b", 2.5, 7.9, "partial")])
    found = stream(sums([]), seen([]), covered)["collections"]
    changes = [i for i in range(1, 8) if found[i] != found[i - 1]]
    assert changes == [2, 4], "b begins in hour 2, a ends in hour 3"


def test_coverage_in_pieces_that_touch_is_one() -> None:
    covered = coverage([("a", h, h + 1.01, "partial") for h in range(8)])
    found = stream(sums([]), seen([]), covered)["collections"]
    assert len(set(found)) == 1


def test_texts_outside_the_grid_are_not_counted_in_its_first_hour() -> None:
    found = stream(
        sums([(-5, 9, 0), (3, 1, 0), (50, 9, 0)]), seen([]), coverage([("a", -9, 60, "crawled")])
    )
    same(found["n"], [0, 0, 0, 1, 0, 0, 0, 0])


def test_the_last_closed_hour() -> None:
    hours = grid.hour_grid(np.datetime64("2024-01-01T00:30", "us"), START + 5 * HOUR)
    assert hours[0] == START
    assert len(hours) == 5
    cutoffs = START + np.array([0, 59, 60, 61, 120]) * np.timedelta64(1, "m")
    assert grid.last_closed_hour(cutoffs, hours).tolist() == [-1, -1, 0, 0, 1]


def test_the_newest_metric_known_at_each_decision_by_hand() -> None:
    day = np.timedelta64(1, "D")
    period_end = START + day * np.array([1, 2, 3])
    known_at = period_end + 6 * HOUR
    decision = START + np.array([24, 29.9, 30, 53.9, 54, 200]) * np.timedelta64(3600, "s")
    value, age = grid.as_of_values(known_at, np.array([5.0, 6.0, 7.0]), period_end, decision)
    same(value.tolist(), [NAN, NAN, 5, 5, 6, 7])
    np.testing.assert_allclose(age[2:], [0.25, 29.9 / 24, 0.25, (200 - 72) / 24])


def test_no_metric_at_all() -> None:
    none = np.array([], dtype="datetime64[us]")
    value, age = grid.as_of_values(none, np.array([]), none, opens(3))
    assert np.isnan(value).all()
    assert np.isnan(age).all()
