"""Which comes first, texts or price: against statsmodels, a plain loop, and planted leads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from moodtape.errors import InsufficientData
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.leadlag import LAGS, granger, lead_lag
from moodtape.forecaster.verdict import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def draw(seed: int, n: int, lead: float) -> tuple[Floats, Floats]:
    """Return a follower and a leader, which tells the next value of the other by `lead`."""
    rng = np.random.default_rng(seed)
    leader = rng.standard_normal(n)
    for i in range(1, n):
        leader[i] += 0.5 * leader[i - 1]
    follower = rng.standard_t(5, n)
    follower[1:] += lead * leader[:-1]
    return follower, leader


def test_without_robust_errors_it_is_the_test_of_statsmodels() -> None:
    from statsmodels.tsa.stattools import grangercausalitytests

    follower, leader = draw(1, 400, 0.1)
    theirs = grangercausalitytests(np.column_stack([follower, leader]), [4])[4][0]["ssr_ftest"]
    found = granger(follower, leader, 4, robust=False)
    assert (found.statistic, found.p) == pytest.approx(theirs[:2])
    assert found.n == 396


def test_robust_errors_are_those_of_a_plain_loop() -> None:
    follower, leader = draw(2, 300, 0.1)
    lags, n = 2, 298
    rows = [
        [1.0, *(follower[t - k] for k in (1, 2)), *(leader[t - k] for k in (1, 2))]
        for t in range(2, 300)
    ]
    x, y = np.array(rows), follower[2:]
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    scores = x * (y - x @ beta)[:, None]
    most = max(lags, int(4 * (n / 100) ** (2 / 9)))
    meat = scores.T @ scores
    for lag in range(1, most + 1):
        cross = scores[lag:].T @ scores[:-lag]
        meat += (1 - lag / (most + 1)) * (cross + cross.T)
    covariance = inverse @ meat @ inverse * n / (n - 5)
    part = beta[3:]
    statistic = float(part @ np.linalg.solve(covariance[3:, 3:], part)) / lags
    assert granger(follower, leader, lags).statistic == pytest.approx(statistic)


def test_what_leads_is_found_and_what_follows_is_not() -> None:
    follower, leader = draw(3, 3_000, 0.2)
    there, back = granger(follower, leader, LAGS), granger(leader, follower, LAGS)
    assert there.p < 1e-4
    assert 0.01 < there.share < 0.1
    assert back.p > 0.01
    assert abs(back.share) < 0.01


def test_holes_are_left_out_of_every_window() -> None:
    follower, leader = draw(4, 500, 0.0)
    follower[100], leader[200] = np.nan, np.nan
    assert granger(follower, leader, 3).n == 497 - 4 - 3


def test_too_little_or_nothing_is_refused() -> None:
    follower, leader = draw(5, 30, 0.0)
    with pytest.raises(InsufficientData, match="too few"):
        granger(follower, leader, LAGS)
    follower, leader = draw(5, 300, 0.0)
    with pytest.raises(InsufficientData, match="vary"):
        granger(follower, np.zeros(300), LAGS)


def test_a_chance_lead_is_rare_under_fat_tails_and_clusters() -> None:
    """Of 120 worlds without a lead six are expected below 5 %; 13 or more are rarer than 1 %."""
    below = 0
    for seed in range(120):
        rng = np.random.default_rng([seed, 9])
        shock, variance = rng.standard_t(4, 800), np.ones(800)
        for i in range(1, 800):
            variance[i] = 0.1 + 0.1 * variance[i - 1] * min(shock[i - 1] ** 2, 50) / 2
            variance[i] += 0.8 * variance[i - 1]
        follower = shock * np.sqrt(variance)
        below += granger(follower, draw(seed, 800, 0.0)[1], LAGS).p < 0.05
    assert below < 13


def test_a_study_is_tested_both_ways_and_corrected_over_all(
    make_dataset: Callable[..., Dataset],
) -> None:
    dataset = replace(make_dataset(count=1_200, pull=0.3), streams=("news", "news_polls"))
    found = lead_lag(dataset)
    assert len(found) == 2 * 2 * 2
    assert {row.stream for row in found} == {"news"}
    assert [row.p_adjusted for row in found] == holm([row.p for row in found])
    by = {(row.text, row.price, row.leads): row for row in found}
    assert by["tone", "return", "texts"].p_adjusted < 0.001, "planted"
    assert by["tone", "return", "price"].p_adjusted > 0.05
    assert by["number", "return", "texts"].p_adjusted > 0.05


def test_streams_without_texts_of_the_last_bar_are_left_out(
    make_dataset: Callable[..., Dataset],
) -> None:
    dataset = replace(make_dataset(count=400), streams=("news", "reddit"))
    assert {row.stream for row in lead_lag(dataset)} == {"news"}
    silent = replace(dataset, features=np.zeros_like(dataset.features))
    assert lead_lag(silent) == [], "nothing varies"
