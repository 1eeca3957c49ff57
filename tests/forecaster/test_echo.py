"""The placebo that past prices make: what it keeps of the tone, and what it loses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moodtape.forecaster.echo import (
    ECHO_BARS,
    echoed,
    price_history,
    residual_rows,
    told_by_prices,
)
from moodtape.forecaster.splits import Fold

TONE = 6
HOUR = np.timedelta64(1, "h").astype("timedelta64[us]")
WEEK = 168


def echo_of(
    tone: np.ndarray, present: np.ndarray, dataset: Any, fold: Fold, seed: int, draw: int
) -> np.ndarray:
    told = told_by_prices(tone, present, dataset, fold)
    return echoed(told, present, dataset, fold, seed, draw)


def fold_of(dataset: Any, share: float = 0.6) -> Fold:
    """Return a fold that trains on the first rows of every symbol and tests the others."""
    cut = np.quantile(dataset.cutoff.astype("int64"), share)
    early = dataset.cutoff.astype("int64") < cut
    rows = np.flatnonzero(dataset.run_length > 170)
    nothing = rows[:0]
    train, test = rows[early[rows]], rows[~early[rows]]
    return Fold(0, train, nothing, nothing, test, dataset.cutoff[0], *dataset.cutoff[[-1, -1]])


def test_history_by_hand() -> None:
    close = 100 * np.exp(np.cumsum(np.full(200, 0.01)))
    bars = {"close": close, "high": close * 1.02, "low": close, "volume": np.arange(200.0)}
    found = price_history(bars)
    assert found.shape == (200, 4 * len(ECHO_BARS))
    np.testing.assert_allclose(found[180, :5], 0.01 * np.array(ECHO_BARS))
    np.testing.assert_allclose(found[180, 5:10], np.abs(found[180, :5]))
    np.testing.assert_allclose(found[180, 10:15], np.log(1.02))
    means = [np.arange(181 - n, 181).mean() for n in ECHO_BARS]
    np.testing.assert_allclose(found[180, 15:], np.log1p(means))
    assert np.isnan(found[3, 2])
    falling = price_history({**bars, "close": 1 / close})
    np.testing.assert_allclose(falling[180, 5:10], found[180, 5:10])


def test_history_knows_no_later_bar(make_dataset: Any) -> None:
    rng = np.random.default_rng(0)
    bars = {name: rng.lognormal(3, 0.1, 400) for name in ("high", "low", "close", "volume")}
    other = {name: np.concatenate([v[:250], 5 * v[250:]]) for name, v in bars.items()}
    np.testing.assert_array_equal(price_history(bars)[:250], price_history(other)[:250])


def test_an_echo_keeps_what_prices_tell_and_loses_the_rest(make_dataset: Any) -> None:
    dataset = make_dataset(8000)
    rng = np.random.default_rng(1)
    past = np.nan_to_num(dataset.history[:, 0]) / 0.01
    own = rng.standard_normal(len(past))
    tone = (0.8 * past + 0.6 * own)[:, None]
    fold = fold_of(dataset)
    made = echo_of(tone, np.ones_like(tone, dtype=bool), dataset, fold, 7, 0)[:, 0]
    after = slice(200, None)
    correlation = np.corrcoef(np.stack([made, past, own, tone[:, 0]])[:, after])
    assert correlation[0, 1] == pytest.approx(0.8, abs=0.03), "what prices tell is kept whole"
    assert abs(correlation[0, 2]) < 0.05, "what they do not tell is another hour's"
    assert made[after].std() == pytest.approx(tone[after].std(), rel=0.05)


def test_an_echo_sees_no_tone_after_its_training_rows(make_dataset: Any) -> None:
    dataset = make_dataset(3000, symbols=("BTC", "ETH"))
    tone = np.random.default_rng(2).standard_normal((6000, 2))
    fold = fold_of(dataset)
    late = dataset.cutoff > dataset.cutoff[fold.train].max()
    other = np.where(late[:, None], 9.0, tone)
    there = np.ones_like(tone, dtype=bool)
    one = echo_of(tone, there, dataset, fold, 7, 3)
    np.testing.assert_array_equal(one, echo_of(other, there, dataset, fold, 7, 3))
    moved = np.where(dataset.cutoff[:, None] == dataset.cutoff[fold.train[0]], 9.0, tone)
    assert not np.array_equal(one, echo_of(moved, there, dataset, fold, 7, 3))


def test_rows_without_tone_stay_without_and_columns_stay_together(make_dataset: Any) -> None:
    dataset = make_dataset(4000)
    rng = np.random.default_rng(3)
    tone = rng.standard_normal((4000, 1)).repeat(2, axis=1)
    present = rng.random((4000, 2)) < 0.5
    present[:, 1] = present[:, 0]
    made = echo_of(np.where(present, tone, 0.0), present, dataset, fold_of(dataset), 7, 0)
    assert not made[~present].any()
    assert (made[present] != 0).all()
    np.testing.assert_allclose(made[:, 0], made[:, 1], atol=1e-12)


def test_draws_differ_and_repeat(make_dataset: Any) -> None:
    dataset = make_dataset(3000)
    tone = np.random.default_rng(4).standard_normal((3000, 1))
    there, fold = np.ones_like(tone, dtype=bool), fold_of(dataset)
    made = [echo_of(tone, there, dataset, fold, 7, draw) for draw in (0, 1, 0)]
    np.testing.assert_array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])


def test_residuals_come_in_blocks_from_the_same_hour_of_other_weeks() -> None:
    times = np.datetime64("2024-01-01", "us") + HOUR * np.arange(30 * WEEK)
    first, stop = 200, 20 * WEEK
    source = residual_rows(times, first, stop, np.random.default_rng(0))
    assert source.min() >= first
    assert source.max() < stop
    assert ((source - np.arange(len(times))) % WEEK == 0).all()
    assert (source != np.arange(len(times))).all(), "no row gets its own"
    jumps = np.flatnonzero(np.diff(source) != 1)
    assert 30 * WEEK / len(jumps) == pytest.approx(WEEK, rel=0.4), "blocks last about a week"
    used = np.unique(source[stop:] // WEEK)
    assert len(used) > 5, "from many weeks"


def test_residuals_of_a_short_past_are_what_there_is() -> None:
    times = np.datetime64("2024-01-01", "us") + HOUR * np.arange(400)
    source = residual_rows(times, 10, 60, np.random.default_rng(0))
    assert source.min() >= 10
    assert source.max() < 60


def test_sessions_with_holidays_fall_back_to_the_session_before() -> None:
    days = np.arange("2024-01-01", "2025-01-01", dtype="datetime64[D]")
    times = days[np.is_busday(days)].astype("datetime64[us]")
    times = np.delete(times, 40)
    source = residual_rows(times, 5, 150, np.random.default_rng(1))
    same = (times[source] - times) % np.timedelta64(7, "D").astype("timedelta64[us]")
    assert (same == np.timedelta64(0)).mean() > 0.95
    assert source.min() >= 5
    assert source.max() < 150


def test_an_echo_against_a_slow_one(make_dataset: Any) -> None:
    """The same by statsmodels and a loop over rows."""
    import statsmodels.api as sm

    from moodtape.forecaster.seeds import generator

    dataset = make_dataset(2500)
    tone = np.random.default_rng(5).standard_normal((2500, 1))
    fold = fold_of(dataset)
    made = echo_of(tone, np.ones_like(tone, dtype=bool), dataset, fold, 7, 1)[:, 0]
    train, history = fold.train, dataset.history
    scaled = (history - np.nanmean(history[train], axis=0)) / np.nanstd(history[train], axis=0)
    x = sm.add_constant(np.nan_to_num(np.clip(scaled, -5, 5)), prepend=False)
    fit = sm.OLS(tone[train, 0], x[train]).fit()
    fitted = x @ fit.params
    rng = generator(7, "echo", "BTC", 0, 1)
    source = residual_rows(dataset.open_time, train[0], train[-1] + 1, rng)
    slow = [fitted[i] + tone[source[i], 0] - fitted[source[i]] for i in range(2500)]
    np.testing.assert_allclose(made, slow, atol=0.01)


def test_a_symbol_without_training_rows_has_no_echo(make_dataset: Any) -> None:
    dataset = make_dataset(1500, symbols=("BTC", "ETH"))
    fold = fold_of(dataset)
    fold = replace(fold, train=fold.train[dataset.symbol[fold.train] == 0])
    tone = np.ones((3000, 1))
    made = echo_of(tone, np.ones_like(tone, dtype=bool), dataset, fold, 7, 0)
    assert not made[1500:].any()
