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
from moodtape.forecaster.ablation import run_study
from moodtape.forecaster.arms import NULL, real_arm
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.metrics import deciding_loss
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
    found = expected_gains(*first_fold_alone(ground))
    for answer in answers:
        key = f"{answer.target}_{answer.horizon_bars}"
        own = answer.fold_effects[0] * answer.evidence.null_loss
        assert found[key] == pytest.approx(own, rel=1e-6), key


def first_fold_alone(ground: Ground) -> tuple[Ground, Dataset]:
    """Return a study of the first fold, and its dataset with what that fold tested alone."""
    one, tested = ground.folds[0], ground.dataset
    cut = np.isin(np.arange(len(tested.cutoff)), one.test)
    targets = {k: replace(t, y=np.where(cut, t.y, np.nan)) for k, t in tested.targets.items()}
    return replace(ground, folds=(one,)), replace(tested, targets=targets)


def test_of_a_network_it_is_the_mean_over_its_seeds() -> None:
    """Fitted anew beside other rows, its models are the ones that the study tested."""
    sections = {
        "verdict": CONFIG.verdict.model_copy(update={"forecaster": "network"}),
        "network": CONFIG.network.model_copy(update={"lookback_bars": 24, "filters": 8}),
        "training": CONFIG.training.model_copy(
            update={"seeds": 2, "epochs": 1, "max_rows": 300, "device": "cpu"}
        ),
    }
    config = CONFIG.model_copy(update=sections)
    world = draw_world(np.random.default_rng(3), "return", 2600, 0.2)
    ground, shown = first_fold_alone(ground_of_world(world, config))
    arms = [next(arm for arm in ground.arms if arm.name == NULL), real_arm(ground.arms)]
    study = run_study(ground.dataset, ground.folds, arms, config, "network")
    rows, found = study.rows, expected_gains(ground, shown)
    for key, target in ground.dataset.targets.items():
        losses = [
            deciding_loss(
                target.name, target.y[rows], told, ground.dataset.trailing_variance[rows], 1
            )
            for arm in arms
            for told in study.arms[arm.name].by_key[key]
        ]
        null, real = np.nanmean(losses[:2]), np.nanmean(losses[2:])
        assert found[key] == pytest.approx(null - real, rel=1e-4), key
        assert abs(np.nanmean(losses[0]) - null) > 1e-6, "one seed is not the mean of both"


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
