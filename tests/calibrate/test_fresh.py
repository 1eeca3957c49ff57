"""What fitted models are worth on fresh bars, against fits and sums by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from moodtape.calibrate.fresh import behind, expected_gains
from moodtape.calibrate.study import (
    Cell,
    Way,
    answer_world,
    ground_of_world,
    settings_for_worlds,
    world_dataset,
)
from moodtape.calibrate.worlds import draw_world
from moodtape.config import Config
from moodtape.forecaster.dataset import Dataset
from moodtape.study.ablate import run_ablation
from moodtape.study.ground import Ground

CONFIG = settings_for_worlds(
    Config(),
    {
        "verdict": {"planted_draws": 0, "draws": 200},
        "walk_forward": {"folds": 2},
        "target": {"names": ("return", "direction")},
    },
)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return ground_of_world(draw_world(np.random.default_rng(1), "return", 2600, 0.2), CONFIG)


@pytest.fixture(scope="module")
def fresh() -> Dataset:
    return world_dataset(draw_world(np.random.default_rng(2), "return", 20_000, 0.2), CONFIG)


def test_rows_behind_are_no_window_of_the_rows_before(ground: Ground, fresh: Dataset) -> None:
    rows = np.arange(5000, 9000)
    joined, count = behind(ground.dataset, fresh, rows), len(ground.dataset.cutoff)
    assert np.array_equal(joined.features[:count], ground.dataset.features, equal_nan=True)
    assert np.array_equal(joined.features[count:], fresh.features[rows], equal_nan=True)
    assert joined.run_length[count] == 1
    lookback = ground.config.network.lookback_bars
    asked = joined.decisions(lookback)
    assert asked[asked >= count].min() >= count + lookback - 1
    assert len(asked) > 3000


def test_on_the_tested_rows_themselves_it_is_the_effect(ground: Ground) -> None:
    """Where each fold is asked about what it tested, the long run is the study's own figure."""
    [*answers] = run_ablation(ground, audit_clean=True, words_alone=True).answers
    one = ground.folds[0]
    alone = Ground(**{**vars(ground), "folds": (one,)})
    tested = ground.dataset
    cut = np.isin(np.arange(len(tested.cutoff)), one.test)
    hidden = {
        key: np.where(cut, target.y, np.nan) for key, target in tested.targets.items()
    }  # only what the fold tested has an answer
    shown = replace(tested, targets={k: replace(t, y=hidden[k]) for k, t in tested.targets.items()})
    found = expected_gains(alone, shown)
    for answer in answers:
        key = f"{answer.target}_{answer.horizon_bars}"
        own = answer.fold_effects[0] * answer.evidence.null_loss
        assert found[key] == pytest.approx(own, rel=1e-6), key


def test_a_strong_effect_is_worth_much_in_the_long_run(ground: Ground, fresh: Dataset) -> None:
    found = expected_gains(ground, fresh)
    losses = {a.target: a.losses["null"] for a in run_ablation(ground, True).answers}
    assert 0.1 < found["return_1"] / losses["return"] < 0.2, "a thousand rows teach most of it"
    again = expected_gains(ground, fresh)
    assert found == again


def test_the_worth_is_written_beside_the_word() -> None:
    rows = answer_world(CONFIG, Cell("develop", "return", 0.2, 2600, 0), Way(5000))
    for row in rows:
        assert row["expected"] == pytest.approx(row["effect"], abs=0.1), row["target"]
