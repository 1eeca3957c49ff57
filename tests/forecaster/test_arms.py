from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.errors import ConfigError, DataMissing
from moodtape.forecaster.arms import (
    Arm,
    Displacement,
    Room,
    arms_of,
    build_inputs,
    displaced,
    real_arm,
    segments,
    shift_room,
    usual_bars,
)
from moodtape.forecaster.features.base import ONCHAIN, Column
from moodtape.settings import bundled_config

TONE, COUNT, OBSERVED = 6, 7, 8
ROOM = Room(least_bars=48, week_bars=168, day_bars=24, near_bars=10, order=7)


def arms(dataset: Any, subject: str = "sentiment", **config: Any) -> dict[str, Arm]:
    found = arms_of(
        Config.model_validate(config), dataset, subject, bundled_config("ablation.toml")
    )
    return {arm.name: arm for arm in found}


def with_metrics(dataset: Any) -> Any:
    from dataclasses import replace

    names = ("TxCnt@p.level", "TxCnt@p.change", "TxCnt@p.age", "onchain.missing")
    extra = np.random.default_rng(5).standard_normal((len(dataset.cutoff), len(names)))
    columns = dataset.columns + tuple(Column(n, ONCHAIN, False, "") for n in names)
    return replace(dataset, features=np.hstack([dataset.features, extra]), columns=columns)


def test_arms_whose_groups_have_no_columns_are_left_out(make_dataset: Any) -> None:
    found = arms(make_dataset(100))
    assert list(found) == ["price", "price+sentiment", "null", "shift"]
    assert real_arm(list(found.values())).name == "price+sentiment"


def test_with_metrics_the_real_arm_is_the_full_one(make_dataset: Any) -> None:
    found = arms(with_metrics(make_dataset(100)))
    expected = {"price", "price+onchain", "price+sentiment", "full", "null", "shift"}
    assert set(found) == expected
    assert real_arm(list(found.values())).name == "full"


def test_a_study_of_metrics_leaves_the_texts_in_the_market(make_dataset: Any) -> None:
    dataset = with_metrics(make_dataset(100))
    found = arms(dataset, "onchain")
    assert "price+sentiment" not in found
    inputs = build_inputs(dataset, dataset.features, found["null"])
    assert inputs.market.shape[1] == 9
    assert not inputs.subject.any()
    assert inputs.subject.shape[1] == 4


def test_null_holds_every_column_of_the_group_constant_masks_too(make_dataset: Any) -> None:
    dataset = make_dataset(100)
    null = build_inputs(dataset, dataset.features, arms(dataset)["null"])
    real = build_inputs(dataset, dataset.features, arms(dataset)["price+sentiment"])
    assert null.subject.shape == real.subject.shape == (100, 3)
    assert not null.subject.any()
    np.testing.assert_array_equal(null.market, real.market)
    np.testing.assert_array_equal(real.subject, dataset.features[:, 6:])


def test_price_has_no_branch_for_the_group_at_all(make_dataset: Any) -> None:
    dataset = make_dataset(100)
    inputs = build_inputs(dataset, dataset.features, arms(dataset)["price"])
    assert inputs.subject.shape == (100, 0)
    assert inputs.market.shape == (100, 6)


def test_shift_moves_polarity_only(make_dataset: Any) -> None:
    dataset = make_dataset(2000)
    real = dataset.features[:, 6:]
    shift = build_inputs(
        dataset, dataset.features, arms(dataset)["shift"], Displacement(0, ROOM)
    ).subject
    offset = ROOM.draw(len(segments(dataset)[0]), 0)
    assert offset >= 48
    np.testing.assert_array_equal(shift[:, 1:], real[:, 1:])
    np.testing.assert_array_equal(shift[offset:, 0], real[:-offset, 0])
    np.testing.assert_array_equal(shift[:offset, 0], real[-offset:, 0])
    assert real is not shift
    assert np.array_equal(dataset.features[:, 6:], real), "the features themselves stay"


def test_a_shift_without_a_displacement_is_a_mistake(make_dataset: Any) -> None:
    dataset = make_dataset(100)
    with pytest.raises(ValueError, match="how far to displace"):
        build_inputs(dataset, dataset.features, arms(dataset)["shift"])


def test_a_shift_of_metrics_moves_level_and_change_and_not_the_age(make_dataset: Any) -> None:
    dataset = with_metrics(make_dataset(2000))
    arm = arms(dataset, "onchain")["shift"]
    moved = build_inputs(dataset, dataset.features, arm, Displacement(1, ROOM)).subject
    same = [np.array_equal(moved[:, i], dataset.features[:, 9 + i]) for i in range(4)]
    assert same == [False, False, True, True]


def test_a_shift_wraps_inside_its_symbol_and_its_regime(make_dataset: Any) -> None:
    regime = np.repeat([0, 1], [700, 1300])
    dataset = make_dataset(2000, symbols=("BTC", "ETH"), regime=regime)
    label = (dataset.symbol * 10 + dataset.regime).astype(float)[:, None]
    place = np.arange(4000.0)[:, None]
    moved = displaced(np.hstack([label, place]), dataset, Displacement(3, ROOM))
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
    moved = displaced(np.arange(2000.0)[:, None], dataset, Displacement(0, ROOM))[:, 0]
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


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"ablation": {"arms": ("price", "nul", "shift")}}, "'nul' is no arm. Did you mean null"),
        ({"ablation": {"arms": ("price+sentiment", "null")}}, "an arm 'shift' with treatment"),
        (
            {"arm": [{"name": "null", "groups": ["all"], "treatment": "as_is"}]},
            "an arm 'null' with treatment 'constant' is needed",
        ),
    ],
)
def test_arms_that_make_no_comparison_are_refused(
    make_dataset: Any, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        arms(make_dataset(100), **config)


def test_a_study_without_its_group_says_what_is_missing(make_dataset: Any) -> None:
    with pytest.raises(DataMissing, match="no onchain columns to test: no metrics lie in the span"):
        arms(make_dataset(100), "onchain")


def test_no_arm_in_question_is_refused(make_dataset: Any) -> None:
    found = arms(make_dataset(100), ablation={"arms": ("price", "null", "shift")})
    with pytest.raises(ConfigError, match="no arm gets the group under test as it is"):
        real_arm(list(found.values()))
