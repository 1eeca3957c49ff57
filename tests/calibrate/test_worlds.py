"""Worlds are what they are said to be: no effect means none, and an effect has its size."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from moodtape.calibrate.bars import DAY, HOUR, VOLATILITY, moving_sum
from moodtape.calibrate.worlds import EFFECTS, KINDS, NO_EFFECT, World, draw_world
from moodtape.forecaster.claims import ATTENTION, TONE
from moodtape.forecaster.features.rolling import rolling_mean
from moodtape.forecaster.features.volatility import garman_klass

HOURS = 150_000


def moves(world: World, bar: timedelta = HOUR) -> np.ndarray:
    """Return each bar's log return in units of an hour's volatility; 0 where there is no bar."""
    number = (world.bars["open_time"] - world.sums["hour"].iloc[0]) // bar
    found = np.zeros(len(world.sums) // (bar // HOUR))
    found[number.to_numpy()] = np.log((world.bars["close"] / world.bars["open"]).to_numpy())
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


@pytest.mark.parametrize("bar", [HOUR, DAY])
def test_an_effect_has_the_size_that_is_stated(bar: timedelta) -> None:
    hours = HOURS * (bar // HOUR)
    world = draw_world(np.random.default_rng(2), "return", hours, 0.03, bar)
    tone, move = texts_of_bars(world, bar)["tone"][:-1], moves(world, bar)[1:]
    scale = np.sqrt(moving_sum(moves(world, bar) ** 2, 0, 168) / 168)[:-1]
    gained = np.corrcoef(tone[300:], (move / scale)[300:])[0, 1] ** 2
    assert gained == pytest.approx(0.03, rel=0.15)
    assert (world.gains[TONE]["return"], world.gains[TONE]["volatility"]) == (0.03, 0.0)
    up = (move > 0).astype(float)
    stated = world.gains[TONE]["direction"]
    assert np.corrcoef(tone, up)[0, 1] ** 2 == pytest.approx(stated, rel=0.15)
    for kind, claim, told in (("volatility", TONE, "tone"), ("crowd", ATTENTION, "number")):
        loud = draw_world(np.random.default_rng(2), kind, hours, 0.05, bar)
        assert loud.gains[claim]["volatility"] == 0.05
        assert sum(gain for own in loud.gains.values() for gain in own.values()) == 0.05
        assert gained_on_volatility(loud, bar, told) == pytest.approx(0.05, rel=0.15)


def texts_of_bars(world: World, bar: timedelta) -> dict[str, np.ndarray]:
    """Return the mean tone and the log number of the texts of each bar."""
    each = bar // HOUR
    n, tone = (world.sums[name].to_numpy().reshape(-1, each) for name in ("n", "sum_tone"))
    return {"tone": tone.sum(axis=1) / n.sum(axis=1) * 1e-6, "number": np.log(n.sum(axis=1))}


def gained_on_volatility(world: World, bar: timedelta, told: str) -> float:
    """Return what share of the squared error past bars and the hour leave, texts take off."""
    each = bar // HOUR
    bars = world.bars.set_index("open_time").reindex(world.sums["hour"].iloc[::each])
    names = ("open", "high", "low", "close")
    variance = garman_klass(*(bars[name].to_numpy() for name in names))
    hour = 2 * np.pi * (np.arange(len(variance)) * each % 24 + 1) / 24
    known = [np.log(rolling_mean(variance, n, 0.5)) for n in (1, 2, 4, 6, 12, 24, 48, 168)]
    known += [np.cos(hour), np.sin(hour), np.ones(len(hour))]
    x = np.column_stack([*known, texts_of_bars(world, bar)[told]])[:-1]
    y = 0.5 * np.log(variance[1:])
    there = ~np.isnan(x).any(axis=1) & ~np.isnan(y)
    x, y = x[there], y[there]
    errors = [y - part @ np.linalg.lstsq(part, y, rcond=None)[0] for part in (x[:, :-1], x)]
    return float(1 - errors[1].var() / errors[0].var())


def test_a_crowd_tells_of_volatility_and_its_tone_of_nothing() -> None:
    world = draw_world(np.random.default_rng(9), "crowd", HOURS, 0.05)
    size = np.log(np.abs(moves(world)[1:]) + 0.05)
    assert np.corrcoef(texts_of_bars(world, HOUR)["number"][:-1], size)[0, 1] > 0.05
    assert abs(np.corrcoef(mean_tone(world)[:-1], size)[0, 1]) < 0.01


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
    days = draw_world(np.random.default_rng(3), "echo", 24 * 400, bar=DAY)
    assert set(days.bars["close_time"] - days.bars["open_time"]) == {DAY}
    assert len(days.sums) == 24 * 400
    with pytest.raises(ValueError, match="'moon' is no kind of world"):
        draw_world(np.random.default_rng(0), "moon", 100)
