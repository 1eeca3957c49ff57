"""Tone against the bars around its decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.timing import rank_correlation, timings


def test_ranks_are_those_of_scipy_and_holes_are_left_out() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal(60), rng.standard_normal(60).round(1)
    left[5], right[9] = np.nan, np.nan
    both = np.isfinite(left) & np.isfinite(right)
    expected = spearmanr(left[both], right[both]).statistic
    assert rank_correlation(left, right) == pytest.approx(expected)
    assert rank_correlation(left[:20], right[:20]) is None
    assert rank_correlation(left, np.ones(60)) is None


@pytest.mark.parametrize(("bars", "where"), [(0, "before"), (1, "at"), (2, "after")])
def test_each_bar_has_its_place(
    make_dataset: Callable[..., Dataset], bars: int, where: str
) -> None:
    dataset = make_dataset(count=300, symbols=("BTC", "ETH"))
    features = dataset.features.copy()
    tone = int(dataset.polarity[0])
    own = dataset.symbol == 1
    returns = dataset.history[own, 0]
    features[own, tone] = np.concatenate([returns[bars:], np.full(bars, np.nan)])
    planted = replace(dataset, features=features)
    found = {row.symbol: row for row in timings(planted, "sentiment")}
    assert getattr(found["ETH"], where) == pytest.approx(1.0)
    others = [v for k, v in vars(found["ETH"]).items() if k in ("before", "at", "after")]
    assert sum(abs(v) > 0.2 for v in others) == 1
    assert abs(getattr(found["BTC"], where)) < 0.2
    assert found["ETH"].column == "news.tone_last"
