from typing import Any

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.shift import Room, displaced, segments, shift_room, usual_bars

ROOM = Room(least_bars=48, week_bars=168, day_bars=24, near_bars=10, order=7)


def test_a_shift_wraps_inside_its_symbol_and_its_regime(make_dataset: Any) -> None:
    regime = np.repeat([0, 1], [700, 1300])
    dataset = make_dataset(2000, symbols=("BTC", "ETH"), regime=regime)
    label = (dataset.symbol * 10 + dataset.regime).astype(float)[:, None]
    place = np.arange(4000.0)[:, None]
    moved = displaced(np.hstack([label, place]), dataset, ROOM, 3)
    np.testing.assert_array_equal(moved[:, :1], label)
    for rows in segments(dataset):
        assert sorted(moved[rows, 1]) == sorted(place[rows, 0])
        gap = np.abs(moved[rows, 1] - place[rows, 0])
        assert gap.min() >= 48, "no row keeps the tone of its own time"
    assert len(segments(dataset)) == 4


def test_rows_before_the_span_keep_what_they_had(make_dataset: Any) -> None:
    from dataclasses import replace
    from datetime import timedelta

    from moodtape.records import Span

    dataset = make_dataset(2000)
    span = Span(dataset.span.since + timedelta(hours=500), dataset.span.until)
    dataset = replace(dataset, span=span)
    moved = displaced(np.arange(2000.0)[:, None], dataset, ROOM, 0)[:, 0]
    outside = np.flatnonzero(moved == np.arange(2000))
    assert len(outside) in (499, 500)
    assert outside[-1] < 500


def test_offsets_are_whole_weeks_and_stay_clear_of_both_ends() -> None:
    room = Room(least_bars=336, week_bars=168, day_bars=24, near_bars=60, order=7)
    found, strict = room.offsets(4000)
    assert strict
    assert found == list(range(336, 3665, 168))
    assert room.offsets(336 * 2 + 9 * 168) == (list(range(336, 336 + 10 * 168, 168)), True)


def test_with_too_few_weeks_offsets_are_days_and_then_no_placebo_for_a_gain() -> None:
    room = Room(least_bars=336, week_bars=168, day_bars=24, near_bars=60, order=7)
    assert room.offsets(336 * 2 + 8 * 168) == (list(range(336, 336 + 8 * 168 + 1, 24)), True)
    assert room.offsets(336 * 2 + 4 * 24) == ([336, 360, 384, 408, 432], True)
    loose, strict = room.offsets(336 * 2 + 3 * 24)
    assert not strict
    assert loose[0] == 72
    assert loose[-1] <= 336 * 2
    assert room.offsets(7) == ([3], False)


def test_draws_differ_and_come_from_the_seed() -> None:
    found = [ROOM.draw(4000, draw) for draw in range(10)]
    assert len(set(found)) == 10
    assert found == [ROOM.draw(4000, draw) for draw in range(10)]
    other = Room(**{**vars(ROOM), "order": 8})
    assert found != [other.draw(4000, draw) for draw in range(10)]


def test_the_room_of_a_study(make_dataset: Any) -> None:
    config = Config()
    room, strict = shift_room(make_dataset(5000), config)
    assert room.least_bars == 336, "two weeks are more than window, horizon and five half-lives"
    assert (room.week_bars, room.day_bars, strict) == (168, 24, True)
    long = Config.model_validate({"sentiment": {"half_lives_h": (6.0, 72.0)}})
    assert shift_room(make_dataset(5000), long)[0].least_bars == 60 + 1 + 5 * 72
    assert not shift_room(make_dataset(700), config)[1]


def test_a_placebo_without_room_in_much_of_the_span_allows_no_gain(make_dataset: Any) -> None:
    half = np.repeat(np.arange(11), [3000, *[200] * 10])
    assert not shift_room(make_dataset(5000, regime=half), Config())[1]
    little = np.repeat([0, 1], [200, 4800])
    assert shift_room(make_dataset(5000, regime=little), Config())[1]


def test_days_and_weeks_count_sessions(make_dataset: Any) -> None:
    from dataclasses import replace
    from datetime import timedelta

    daily = make_dataset(400, step=timedelta(days=1))
    open_time = daily.open_time[np.is_busday(daily.open_time.astype("datetime64[D]"))]
    count = len(open_time)
    sessions = replace(daily, open_time=open_time, symbol=np.zeros(count, dtype=np.int64))
    assert (usual_bars(daily, "D"), usual_bars(daily, "W")) == (1, 7)
    assert (usual_bars(sessions, "D"), usual_bars(sessions, "W")) == (1, 5)
    assert usual_bars(make_dataset(400), "W") == 168
