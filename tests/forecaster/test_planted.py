"""The positive control: as much as was asked for, for one who knows what was planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moodtape.errors import ConfigError
from moodtape.forecaster.baselines import har
from moodtape.forecaster.planted import blend, overlapping, planted, surprise
from tests.forecaster.test_echo import fold_of

GAINS = {"return_1": 0.02, "direction_1": 0.012, "volatility_1": 0.04}


def explained(y: np.ndarray, x: np.ndarray) -> float:
    """Return the share of squared error about its mean that a line in x takes away."""
    return float(np.corrcoef(y, x)[0, 1] ** 2)


@pytest.mark.parametrize("gains", [GAINS, {k: v / 4 for k, v in GAINS.items()}])
def test_an_oracle_gains_in_every_target_what_was_planted(
    make_dataset: Any, gains: dict[str, float]
) -> None:
    dataset = make_dataset(60_000)
    fold = fold_of(dataset)
    tone = np.zeros((60_000, 2))
    made = planted(tone, dataset, fold, gains, 7, 0)
    assert not made[:, 1].any(), "one column carries it"
    x = made[:, 0]
    assert x.std() == pytest.approx(1, abs=0.02)
    test = fold.test[:-1]
    for key, gain in gains.items():
        z = surprise(dataset, fold, key)[test]
        there = ~np.isnan(z)
        assert explained(z[there], x[test][there]) == pytest.approx(gain, rel=0.25), key


def test_an_oracle_of_volatility_gains_on_top_of_har(make_dataset: Any) -> None:
    """Slowly: fit HAR and the copy together out of sample, and compare with HAR alone."""
    dataset = make_dataset(60_000, names=("volatility",))
    fold = fold_of(dataset)
    x = planted(np.zeros((60_000, 1)), dataset, fold, {"volatility_1": 0.05}, 7, 0)[:, 0]
    y = dataset.targets["volatility_1"].y
    train, test = fold.train, fold.test[:-1]
    alone = har(dataset, train, y[train], np.arange(60_000))
    residual = y - alone
    slope = residual[train] @ x[train] / (x[train] @ x[train])
    before = np.mean(residual[test] ** 2)
    after = np.mean((residual[test] - slope * x[test]) ** 2)
    assert 1 - after / before == pytest.approx(0.05, abs=0.006)


def test_a_longer_window_tells_an_oracle_no_more(make_dataset: Any) -> None:
    dataset = make_dataset(60_000, names=("return",), horizons=(6,))
    fold = fold_of(dataset)
    x = planted(np.zeros((60_000, 1)), dataset, fold, {"return_6": 0.05}, 7, 0)[:, 0]
    z = surprise(dataset, fold, "return_6")
    rows = np.arange(300, 59_000)
    window = np.column_stack([x[rows - lag] for lag in range(13)])
    residual = z[rows] - window @ np.linalg.lstsq(window, z[rows], rcond=None)[0]
    gain = 1 - np.mean(residual**2) / np.mean(z[rows] ** 2)
    assert gain == pytest.approx(0.05, abs=0.015)


def test_each_horizon_has_a_column_and_more_than_there_are_is_refused(make_dataset: Any) -> None:
    dataset = make_dataset(3000, names=("return",), horizons=(1, 4, 24))
    gains = {"return_1": 0.02, "return_4": 0.02, "return_24": 0.02}
    tone = np.random.default_rng(0).standard_normal((3000, 4))
    made = planted(tone, dataset, fold_of(dataset), gains, 7, 0)
    changed = [not np.array_equal(made[:, i], tone[:, i]) for i in range(4)]
    assert changed == [True, True, True, False]
    with pytest.raises(ConfigError, match="can be planted for 2 horizons"):
        planted(tone[:, :2], dataset, fold_of(dataset), gains, 7, 0)


def test_margins_that_no_column_can_bring_are_refused(make_dataset: Any) -> None:
    dataset = make_dataset(3000)
    gains = {"return_1": 0.9, "direction_1": 0.3, "volatility_1": 0.01}
    with pytest.raises(ConfigError, match=r"verdict.margin: gains \[0.9, 0.3, 0.01\] are more"):
        planted(np.zeros((3000, 1)), dataset, fold_of(dataset), gains, 7, 0)


def test_blend_solves_its_equation() -> None:
    correlation = np.array([[1, 0.8, 0.1], [0.8, 1, 0.05], [0.1, 0.05, 1]])
    gains = [0.005, 0.003, 0.01]
    w = blend(correlation, gains)
    total = 1 + w @ correlation @ w
    np.testing.assert_allclose((correlation @ w) ** 2 / total, gains)
    with pytest.raises(ValueError, match="more than one copy can explain"):
        blend(np.eye(2), [0.6, 0.6])


def test_noise_overlaps_as_answers_do() -> None:
    symbol = np.repeat([0, 1], 50_000)
    noise = overlapping(np.random.default_rng(0).standard_normal(100_000), symbol, 4)
    assert noise.std() == pytest.approx(1, abs=0.02)
    for lag, expected in ((1, 0.75), (3, 0.25), (4, 0.0)):
        own = np.corrcoef(noise[:50_000][lag:], noise[:50_000][:-lag])[0, 1]
        assert own == pytest.approx(expected, abs=0.03)


def test_draws_differ_and_repeat(make_dataset: Any) -> None:
    dataset = make_dataset(3000)
    fold, tone = fold_of(dataset), np.zeros((3000, 1))
    made = [planted(tone, dataset, fold, GAINS, 7, draw) for draw in (0, 1, 0)]
    np.testing.assert_array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])
