"""Worlds are what they are said to be: no effect means none, and an effect has its size."""

from __future__ import annotations

import numpy as np
import pytest

from moodtape.calibrate.worlds import (
    EFFECTS,
    KINDS,
    NO_EFFECT,
    VOLATILITY,
    World,
    draw_world,
    moving_sum,
)
from moodtape.forecaster.features.rolling import rolling_mean
from moodtape.forecaster.features.volatility import garman_klass

HOURS = 150_000


def moves(world: World) -> np.ndarray:
    """Return each hour's log return in units of the usual volatility; 0 where there is no bar."""
    hour = (world.bars["open_time"] - world.sums["hour"].iloc[0]) // np.timedelta64(1, "h")
    found = np.zeros(len(world.sums))
    found[hour.to_numpy()] = np.log((world.bars["close"] / world.bars["open"]).to_numpy())
    return found / VOLATILITY


def mean_tone(world: World) -> np.ndarray:
    return world.sums["sum_tone"].to_numpy() / world.sums["n"].to_numpy() * 1e-6


def robust_t(x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Return the t-values of the last columns, errors of unequal size allowed (White 1980)."""
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    errors = y - x @ weights
    inverse = np.linalg.inv(x.T @ x)
    scores = x * errors[:, None]
    spread = np.sqrt(np.diag(inverse @ (scores.T @ scores) @ inverse))
    return (weights / spread)[-count:]


def worth_of_texts(world: World) -> float:
    """Return the largest |t| of an hour's texts beside past prices, for the next bar's answers."""
    move, count = moves(world), len(world.sums)
    size = np.abs(move)
    history = [moving_sum(move, 0, n) for n in (1, 2, 4, 24, 168)]
    history += [moving_sum(move, 61, 107), np.tanh(move)]
    history += [np.log(moving_sum(size, 0, n) + 0.1) for n in (1, 6, 24, 168)]
    history += [np.tanh(moving_sum(size, 0, 6) / 6 - 0.8)]
    texts = [mean_tone(world), np.log1p(world.sums["n"].to_numpy())]
    rows = slice(300, -1)
    x = np.column_stack([*history, np.ones(count), *texts])[rows]
    scale = moving_sum(size, 0, 24)[rows] + 0.1
    answers = (move[301:] / scale, np.log(size[301:] + 0.05))
    return max(float(np.abs(robust_t(x, y, 2)).max()) for y in answers)


@pytest.mark.parametrize("kind", NO_EFFECT)
def test_without_an_effect_texts_tell_nothing_that_prices_do_not(kind: str) -> None:
    assert worth_of_texts(draw_world(np.random.default_rng(5), kind, HOURS)) < 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", NO_EFFECT)
def test_nor_do_they_over_a_million_bars(kind: str) -> None:
    assert worth_of_texts(draw_world(np.random.default_rng(7), kind, 1_000_000)) < 3


@pytest.mark.parametrize("kind", EFFECTS)
def test_that_test_sees_an_effect(kind: str) -> None:
    assert worth_of_texts(draw_world(np.random.default_rng(5), kind, HOURS, 0.002)) > 3


@pytest.mark.parametrize("kind", NO_EFFECT)
def test_the_future_of_prices_does_not_reach_into_the_texts(kind: str) -> None:
    """Texts of an hour are made of bars over by then: correlate with later moves on their own."""
    world = draw_world(np.random.default_rng(6), kind, HOURS)
    tone, move = mean_tone(world), moves(world)
    for ahead in (2, 5, 48):
        assert abs(np.corrcoef(tone[:-ahead], move[ahead:])[0, 1]) < 0.02


def test_tone_tells_of_past_prices_where_it_is_an_echo() -> None:
    echo = draw_world(np.random.default_rng(1), "echo", HOURS)
    assert np.corrcoef(mean_tone(echo), moves(echo))[0, 1] > 0.4
    assert np.corrcoef(moves(echo)[:-1], moves(echo)[1:])[0, 1] == pytest.approx(-0.08, abs=0.02)
    old = draw_world(np.random.default_rng(1), "old echo", HOURS)
    recent = [
        np.corrcoef(mean_tone(old)[60:], moves(old)[60 - k : -k or None])[0, 1] for k in (0, 30, 60)
    ]
    assert np.abs(recent).max() < 0.02, "nothing that the window of 60 bars shows"
    assert np.corrcoef(mean_tone(old), moving_sum(moves(old), 61, 107))[0, 1] > 0.6


def test_an_effect_has_the_size_that_is_stated() -> None:
    world = draw_world(np.random.default_rng(2), "return", HOURS, 0.03)
    tone, move = mean_tone(world)[:-1], moves(world)[1:]
    scale = np.sqrt(moving_sum(moves(world) ** 2, 0, 168) / 168)[:-1]
    gained = np.corrcoef(tone[300:], (move / scale)[300:])[0, 1] ** 2
    assert gained == pytest.approx(0.03, rel=0.15)
    assert (world.gains["return"], world.gains["volatility"]) == (0.03, 0.0)
    up = (move > 0).astype(float)
    assert np.corrcoef(tone, up)[0, 1] ** 2 == pytest.approx(world.gains["direction"], rel=0.15)
    loud = draw_world(np.random.default_rng(2), "volatility", HOURS, 0.05)
    assert gained_on_volatility(loud) == pytest.approx(0.05, rel=0.15)


def gained_on_volatility(world: World) -> float:
    """Return what share of the squared error past bars and the hour leave, tone takes off."""
    bars = world.bars.set_index("open_time").reindex(world.sums["hour"])
    names = ("open", "high", "low", "close")
    variance = garman_klass(*(bars[name].to_numpy() for name in names))
    hour = 2 * np.pi * (np.arange(len(variance)) + 1) / 24
    known = [np.log(rolling_mean(variance, n, 0.5)) for n in (1, 2, 4, 6, 12, 24, 48, 168)]
    known += [np.cos(hour), np.sin(hour), np.ones(len(hour))]
    x, y = np.column_stack([*known, mean_tone(world)])[:-1], 0.5 * np.log(variance[1:])
    there = ~np.isnan(x).any(axis=1) & ~np.isnan(y)
    x, y = x[there], y[there]
    errors = [y - part @ np.linalg.lstsq(part, y, rcond=None)[0] for part in (x[:, :-1], x)]
    return float(1 - errors[1].var() / errors[0].var())


def test_bars_have_hours_of_the_day_jumps_and_holes() -> None:
    world = draw_world(np.random.default_rng(4), "nothing", HOURS)
    size = np.abs(moves(world))
    by_hour = size[: HOURS // 24 * 24].reshape(-1, 24).mean(axis=0)
    assert np.argmax(by_hour) in (14, 15, 16)
    assert by_hour.max() > 1.4 * by_hour.min()
    assert 0.001 < 1 - len(world.bars) / HOURS < 0.01
    heavy = draw_world(np.random.default_rng(4), "heavy", HOURS)
    assert wildest(heavy) > 1.3 * wildest(world)


def wildest(world: World) -> float:
    """Return how much a move in ten thousand is larger than one in ten."""
    low, high = np.quantile(np.abs(moves(world)), [0.9, 0.9999])
    return float(high / low)


def test_worlds_are_drawn_from_their_seed_and_whole() -> None:
    for kind in KINDS:
        gain = 0.02 if kind in EFFECTS else 0.0
        one, two = (draw_world(np.random.default_rng(3), kind, 3000, gain) for _ in range(2))
        assert one.bars.equals(two.bars)
        assert one.sums.equals(two.sums)
        bars = one.bars
        assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
        assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
        assert (one.sums["n"] >= 1).all()
    with pytest.raises(ValueError, match="'moon' is no kind of world"):
        draw_world(np.random.default_rng(0), "moon", 100)
