"""Tests that describe: against plain loops, other routes to the same number, and drawn worlds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from moodtape.errors import InsufficientData
from moodtape.forecaster.descriptive import (
    clark_west,
    confidence_set,
    giacomini_white,
    overfitting,
    pesaran_timmermann,
    superior_ability,
)


def test_clark_west_is_a_regression_on_a_constant_with_hac_errors() -> None:
    from statsmodels.api import OLS

    rng = np.random.default_rng(1)
    y = rng.standard_normal(200)
    null, real = np.zeros(200), 0.1 * y + 0.2 * rng.standard_normal(200)
    adjusted = (y - null) ** 2 - (y - real) ** 2 + (null - real) ** 2
    kernel = {"maxlags": 3, "use_correction": False}
    fit = OLS(adjusted, np.ones(200)).fit(cov_type="HAC", cov_kwds=kernel)
    found = clark_west(y, null, real, 4)
    assert found.value == pytest.approx(float(fit.tvalues[0]))
    assert found.p == pytest.approx(float(stats.norm.sf(fit.tvalues[0])))


def test_clark_west_finds_what_accuracy_hides() -> None:
    """A larger model that helps in population and loses by its noise."""
    rng = np.random.default_rng(2)
    signal = 0.1 * rng.standard_normal(4_000)
    y = signal + rng.standard_normal(4_000)
    real = signal + 0.15 * rng.standard_normal(4_000)
    assert ((y - real) ** 2).mean() > (y**2).mean()
    assert clark_west(y, np.zeros(4_000), real, 1).p < 0.01


def test_giacomini_white_is_n_r_squared_of_a_constant_on_the_moments() -> None:
    rng = np.random.default_rng(3)
    null, real = rng.standard_normal((2, 300)) ** 2
    difference = null - real
    now, known = difference[1:], difference[:-1]
    z = np.column_stack([now, now * known])
    ones = np.ones(len(z))
    beta = np.linalg.lstsq(z, ones, rcond=None)[0]
    by_regression = len(z) * (1 - ((ones - z @ beta) ** 2).sum() / len(z))
    found = giacomini_white(null, real, 1)
    assert found.value == pytest.approx(by_regression)
    assert found.p == pytest.approx(float(stats.chi2(2).sf(by_regression)))


def test_giacomini_white_sees_a_difference_that_can_be_foretold() -> None:
    rng = np.random.default_rng(4)
    difference = np.zeros(1_000)
    for i in range(1, 1_000):
        difference[i] = 0.3 * difference[i - 1] + rng.standard_normal()
    assert abs(difference.mean()) < 0.1
    assert giacomini_white(difference, np.zeros(1_000), 1).p < 0.01
    assert giacomini_white(rng.permutation(difference), np.zeros(1_000), 1).p > 0.01


def test_pesaran_timmermann_by_hand() -> None:
    up = np.array([1] * 60 + [0] * 40, dtype=float)
    p_up = np.array([0.9] * 40 + [0.1] * 20 + [0.9] * 10 + [0.1] * 30)
    share, called, hits = 0.6, 0.5, 0.7
    chance = share * called + 0.4 * 0.5
    of_hits = chance * (1 - chance) / 100
    of_chance = (0.2**2 * 0.25 + 0 + 4 * 0.6 * 0.5 * 0.4 * 0.5 / 100) / 100
    found = pesaran_timmermann(up, p_up)
    assert found is not None
    assert found.value == pytest.approx((hits - chance) / np.sqrt(of_hits - of_chance))
    assert found.p < 0.001


def test_one_direction_alone_has_no_such_test() -> None:
    up = np.array([1.0, 0.0] * 30)
    assert pesaran_timmermann(up, np.full(60, 0.7)) is None
    assert pesaran_timmermann(np.ones(60), up) is None


def test_overfitting_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(5)
    losses = {str(i): rng.standard_normal(97) for i in range(5)}
    parts = np.array_split(np.column_stack(list(losses.values())), 6)
    below = 0
    for chosen in combinations(range(6), 3):
        inside = np.concatenate([parts[i] for i in chosen]).mean(axis=0)
        outside = np.concatenate([parts[i] for i in range(6) if i not in chosen]).mean(axis=0)
        rank = stats.rankdata(-outside)[inside.argmin()] / 6
        below += np.log(rank / (1 - rank)) <= 0
    assert overfitting(losses, 6) == pytest.approx(below / 20)


def test_a_true_best_is_never_overfitted_and_noise_is() -> None:
    rng = np.random.default_rng(6)
    noise = {str(i): rng.standard_normal(400) for i in range(9)}
    assert overfitting(noise | {"best": rng.standard_normal(400) - 3}) == 0
    drawn = [
        overfitting({str(i): np.random.default_rng([s, i]).standard_normal(200) for i in range(8)})
        for s in range(20)
    ]
    assert 0.3 < np.mean(drawn) < 0.8


def test_the_set_holds_the_best_and_leaves_the_worst() -> None:
    rng = np.random.default_rng(7)
    base = rng.standard_normal(500) ** 2
    near = base + 0.001 * rng.standard_normal(500)
    losses = {"near": near, "best": base, "worst": base + 1 + rng.standard_normal(500)}
    assert set(confidence_set(losses, 5, 200, 1)) == {"near", "best"}
    assert superior_ability(losses["worst"], {"a": base, "b": near}, 5, 200, 1) < 0.01
    assert superior_ability(base, {"b": near, "w": losses["worst"]}, 5, 200, 1) > 0.05


def test_too_few_are_refused() -> None:
    few = np.arange(20.0)
    with pytest.raises(InsufficientData):
        giacomini_white(few, few[::-1], 1)
    with pytest.raises(InsufficientData):
        clark_west(few, few * 0, few * 0.5, 1)
