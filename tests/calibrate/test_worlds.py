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

HOURS = 150_000


def moves(world: World) -> np.ndarray:
    """Return each bar's log return in units of the usual volatility."""
    close = np.log(world.bars["close"].to_numpy())
    return np.diff(close, prepend=close[0]) / VOLATILITY


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


@pytest.mark.parametrize("kind", NO_EFFECT)
def test_without_an_effect_texts_tell_nothing_that_prices_do_not(kind: str) -> None:
    world = draw_world(np.random.default_rng(5), kind, HOURS)
    move, size = moves(world), np.abs(moves(world))
    history = [moving_sum(move, 0, n) for n in (1, 2, 4, 24, 168)]
    history += [moving_sum(move, 61, 107), np.tanh(move)]
    history += [np.log(moving_sum(size, 0, n) + 0.1) for n in (1, 6, 24, 168)]
    history += [np.tanh(moving_sum(size, 0, 6) / 6 - 0.8)]
    texts = [mean_tone(world), np.log1p(world.sums["n"].to_numpy())]
    rows = slice(300, -1)
    x = np.column_stack([*history, np.ones(HOURS), *texts])[rows]
    scale = moving_sum(size, 0, 24)[rows] + 0.1
    for y in (move[301:] / scale, np.log(size[301:] + 0.05)):
        assert np.abs(robust_t(x, y, 2)).max() < 3, kind


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
    hidden = np.abs(move).mean()
    assert np.corrcoef(tone, move)[0, 1] ** 2 == pytest.approx(0.03, rel=0.35), hidden
    assert world.gains == {"return": 0.03, "direction": 0.96 * 0.03, "volatility": 0.0}
    up = (move > 0).astype(float)
    assert np.corrcoef(tone, up)[0, 1] ** 2 == pytest.approx(world.gains["direction"], rel=0.25)
    loud = draw_world(np.random.default_rng(2), "volatility", HOURS, 0.05)
    spread = np.log(np.log(loud.bars["high"] / loud.bars["low"]).to_numpy())
    assert np.corrcoef(mean_tone(loud)[:-1], spread[1:])[0, 1] > 0.1


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
