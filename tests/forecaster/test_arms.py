from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.errors import ConfigError, DataMissing
from moodtape.forecaster import inputs
from moodtape.forecaster.arms import Arm, arms_of, real_arm
from moodtape.forecaster.features.base import ONCHAIN, Column
from moodtape.forecaster.inputs import Draw, build_inputs
from moodtape.forecaster.shift import Room, segments
from moodtape.forecaster.splits import Fold
from moodtape.settings import bundled_config

ROOM = Room(least_bars=48, week_bars=168, day_bars=24, near_bars=10, order=7)


EVERY = (
    *("price", "price+onchain", "price+sentiment", "full"),
    *("null", "shift", "echo", "planted"),
)


def arms(dataset: Any, subject: str = "sentiment", **config: Any) -> dict[str, Arm]:
    config = {"ablation": {"arms": EVERY}} | config
    found = arms_of(
        Config.model_validate(config), dataset, subject, bundled_config("ablation.toml")
    )
    return {arm.name: arm for arm in found}


def drawn(dataset: Any, number: int) -> Draw:
    """Return a draw whose fold trains on all but the last tenth."""
    n = len(dataset.cutoff)
    rows = np.arange(n * 9 // 10)
    end = dataset.cutoff[-1]
    nothing = rows[:0]
    fold = Fold(0, rows, nothing, nothing, np.arange(len(rows), n), dataset.cutoff[0], end, end)
    return Draw(number, 7, ROOM, fold, dict.fromkeys(dataset.targets, 0.01))


def with_metrics(dataset: Any) -> Any:
    names = ("TxCnt@p.level", "TxCnt@p.change", "TxCnt@p.age", "onchain.missing")
    extra = np.random.default_rng(5).standard_normal((len(dataset.cutoff), len(names)))
    columns = dataset.columns + tuple(Column(n, ONCHAIN, False, "") for n in names)
    return replace(dataset, features=np.hstack([dataset.features, extra]), columns=columns)


def test_a_study_runs_what_the_verdict_needs(make_dataset: Any) -> None:
    found = arms(make_dataset(100), ablation={})
    assert {a.name: a.treatment for a in found.values()} == {
        "full": "as_is", "null": "constant", "shift": "shift", "echo": "echo",
        "planted": "planted",
    }  # fmt: skip
    assert real_arm(list(found.values())).name == "full"


def test_arms_whose_groups_have_no_columns_are_left_out(make_dataset: Any) -> None:
    found = arms(make_dataset(100))
    assert list(found) == ["price", "price+sentiment", "null", "shift", "echo", "planted"]
    assert real_arm(list(found.values())).name == "price+sentiment"


def test_with_metrics_the_real_arm_is_the_full_one(make_dataset: Any) -> None:
    found = arms(with_metrics(make_dataset(100)))
    assert set(found) == set(EVERY)
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
        dataset, dataset.features, arms(dataset)["shift"], drawn(dataset, 0)
    ).subject
    offset = ROOM.draw(len(segments(dataset)[0]), 0)
    assert offset >= 48
    np.testing.assert_array_equal(shift[:, 1:], real[:, 1:])
    np.testing.assert_array_equal(shift[offset:, 0], real[:-offset, 0])
    np.testing.assert_array_equal(shift[:offset, 0], real[-offset:, 0])
    assert real is not shift
    assert np.array_equal(dataset.features[:, 6:], real), "the features themselves stay"


def attributed(dataset: Any, name: str, draw: Draw | None = None) -> Any:
    """Return what an arm that decides nothing gets of the group under test."""
    arm = arms(dataset, ablation={"arms": (*EVERY, name)})[name]
    return build_inputs(dataset, dataset.features, arm, draw).subject


def test_counts_has_no_tone_and_all_else(make_dataset: Any) -> None:
    dataset = make_dataset(100)
    counts = attributed(dataset, "counts")
    assert not counts[:, 0].any()
    np.testing.assert_array_equal(counts[:, 1:], dataset.features[:, 7:])


def test_the_tone_of_the_next_symbol_is_of_the_same_time(make_dataset: Any) -> None:
    dataset = make_dataset(200, symbols=("BTC", "ETH"))
    other = attributed(dataset, "other_symbol")
    tone = dataset.features[:, 6]
    for symbol in (0, 1):
        rows = dataset.symbol == symbol
        np.testing.assert_array_equal(other[rows, 0], tone[~rows])
    np.testing.assert_array_equal(other[:, 1:], dataset.features[:, 7:])
    with pytest.raises(KeyError):  # of one symbol there is no other
        attributed(make_dataset(100), "other_symbol")


@pytest.mark.parametrize("name", ["counts", "other_symbol"])
def test_what_an_arm_gets_hangs_on_no_later_row(
    make_dataset: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These two are no placebos, so later rows may not change them; a planted shift is seen."""
    dataset = make_dataset(200, symbols=("BTC", "ETH"))
    late = dataset.cutoff > dataset.cutoff[120]
    changed = replace(dataset, features=np.where(late[:, None], 9.0, dataset.features))

    def same() -> bool:
        before, after = attributed(dataset, name), attributed(changed, name)
        return np.array_equal(before[~late], after[~late])

    assert same()
    honest = inputs._of_next_symbol
    monkeypatch.setattr(inputs, "_of_next_symbol", lambda t, d: np.roll(honest(t, d), -1, axis=0))
    assert same() == (name == "counts")


def test_a_shuffle_keeps_whole_weeks_and_their_tone(make_dataset: Any) -> None:
    dataset = make_dataset(168 * 6 + 5)
    tone = dataset.features[:, 6]
    moved = [attributed(dataset, "block_shuffle", drawn(dataset, n)) for n in (0, 0, 1)]
    np.testing.assert_array_equal(moved[0], moved[1])
    assert not np.array_equal(moved[0], moved[2]), "every draw has its own order"
    weeks = tone[: 168 * 6].reshape(6, 168)
    for week in moved[0][: 168 * 6, 0].reshape(6, 168):
        assert (weeks == week).all(axis=1).sum() == 1
    np.testing.assert_array_equal(moved[0][168 * 6 :, 0], tone[168 * 6 :])
    np.testing.assert_array_equal(moved[0][:, 1:], dataset.features[:, 7:])


def test_a_shift_without_a_displacement_is_a_mistake(make_dataset: Any) -> None:
    dataset = make_dataset(100)
    with pytest.raises(ValueError, match="needs a draw"):
        build_inputs(dataset, dataset.features, arms(dataset)["shift"])


def test_a_shift_of_metrics_moves_level_and_change_and_not_the_age(make_dataset: Any) -> None:
    dataset = with_metrics(make_dataset(2000))
    arm = arms(dataset, "onchain")["shift"]
    moved = build_inputs(dataset, dataset.features, arm, drawn(dataset, 1)).subject
    same = [np.array_equal(moved[:, i], dataset.features[:, 9 + i]) for i in range(4)]
    assert same == [False, False, True, True]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"ablation": {"arms": ("price", "nul", "shift")}}, "'nul' is no arm. Did you mean null"),
        ({"ablation": {"arms": ("full", "null", "echo")}}, "an arm 'shift' with treatment"),
        ({"ablation": {"arms": ("full", "null", "shift")}}, "an arm 'echo' with treatment"),
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
    found = arms(make_dataset(100), ablation={"arms": ("price", "null", "shift", "echo")})
    with pytest.raises(ConfigError, match="no arm gets the group under test as it is"):
        real_arm(list(found.values()))
