"""Worlds whose truth is known: bars and texts, with or without an effect.

    nothing      texts are noise of their own
    heavy        as nothing, under tails so fat that a return has no fourth moment
    echo         tone tells what prices just did; prices partly turn back, as hourly BTC does
    old echo     tone tells what prices did longer ago than the network looks
    counts       the number of texts follows the size of past moves; tone is noise
    return       tone tells part of the next bar's return
    volatility   tone tells part of the next bar's log volatility
    crowd        the number of texts tells part of the next bar's log volatility; tone is noise

No effect means: given the prices known by then, the answer is independent of the texts. So
counts and tone are made of observable past bars and noise, never of the hidden volatility.
A bar is an hour or a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calibrate.bars import (
    DAY,
    HEAVY_DEGREES,
    HOUR,
    RANGE_NOISE,
    REVERSAL,
    START,
    TAIL_DEGREES,
    autoregression,
    draw_bars,
    moving_sum,
    volatility,
    without_holes,
)
from moodtape.forecaster.claims import ATTENTION, TONE
from moodtape.forecaster.texts import Texts
from moodtape.records import Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NO_EFFECT = ("nothing", "echo", "old echo", "counts", "heavy")
EFFECTS = ("return", "volatility", "crowd")
KINDS = (*NO_EFFECT, *EFFECTS)
STIRS = {"volatility": TONE, "crowd": ATTENTION}
"""Kinds in which volatility is told, and what of the texts tells it."""

TARGETS = ("return", "direction", "volatility")
DELAY = timedelta(minutes=2)
"""The last decision comes so long after the last close."""

SYMBOL, STREAM = "BTC", "news"
SIGN_SHARE = 1.0
"""Of what tone explains of a return, the share it explains of its sign: (2 f(0))^2 for these tails
and jumps; a normal law would have 2 / pi."""

LOSS_SHARE = 0.85
"""Of what tone explains of a move, the share it explains of the loss on a return, whose unit is the
trailing deviation and not the bar's own: measured over 900,000 bars."""

RANGE_SHARE = 0.59
"""The same of log volatility, the rest of which past bars tell, since tone lasts as it does."""

CROWD_SHARE = {HOUR: 0.855, DAY: 0.62}
"""The same of the number of texts in a bar, by its length: an hour's tells less of those around it.
"""

SPREAD = 0.2
"""Deviation of an hour's mean tone."""

LOOK_BACK = (61, 168)
"""Bars ago that an old echo tells of: none of them lies in the network's window of 60."""


@dataclass(frozen=True)
class World:
    """One drawn world: bars and texts as `forecaster.loading` reads them of a warehouse.

    bars: as `storage.read.bar_versions` gives them. streams: of the texts that are columns.
    span: of the decisions. gains: by claim and target name, what share of its loss an oracle of
        what is claimed would save; about that share for `direction`.
    """

    kind: str
    symbol: str
    bars: pd.DataFrame
    texts: Texts
    streams: tuple[str, ...]
    span: Span
    gains: dict[str, dict[str, float]]

    @property
    def sums(self) -> pd.DataFrame:
        """Return the hourly sums of the texts."""
        return self.texts.sums


def draw_world(
    rng: np.random.Generator, kind: str, hours: int, gain: float = 0.0, bar: timedelta = HOUR
) -> World:
    """Draw a world of some kind.

    Args:
        hours: its length. bar: length of a bar, an hour or a day.
        gain: of an effect: share of the deciding loss that the texts explain, below a half.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of world; they are {', '.join(KINDS)}")
    each = bar // HOUR
    count = hours // each
    signal, n = autoregression(rng, count, 0.7), None
    told = signal
    if kind == "crowd":
        n = _numbers(rng, 2.0 * np.exp(0.5 * signal), each)
        crowd = np.log(n.reshape(count, each).sum(axis=1))
        told = (crowd - crowd.mean()) / crowd.std()
        signal = autoregression(rng, count, 0.7)
    pull, stir = _moved(kind, gain, np.concatenate([[0.0], told[:-1]]), bar)
    turns = REVERSAL if kind == "echo" else 0.0
    degrees = HEAVY_DEGREES if kind == "heavy" else TAIL_DEGREES
    bars = draw_bars(rng, count, pull, stir, turns, degrees, bar)
    own = np.log(bars["close"].to_numpy() / bars["open"].to_numpy()) / volatility(bar)
    there = without_holes(rng, count)
    own[~there] = 0.0  # what nobody saw, no text tells
    if n is None:
        n = _numbers(rng, _rate(kind, own), each)
    bars = bars[there].reset_index(drop=True)
    texts = _texts(_sums(np.repeat(_tone(kind, signal, own), each), n))
    span = Span(START, bars["close_time"].iloc[-1].to_pydatetime() + DELAY)
    return World(kind, SYMBOL, bars, texts, (STREAM,), span, _gains(kind, gain))


def _moved(kind: str, gain: float, told: Floats, bar: timedelta) -> tuple[Floats, Floats]:
    """Return what texts do to a bar's move and to its log volatility. (T,), (T,)

    Args:
        told: by the texts of the bar before, in unit variance.
    """
    if kind == "return":
        return np.sqrt(gain / LOSS_SHARE) * told, np.zeros(len(told))
    if kind in STIRS:
        explained = gain / (CROWD_SHARE[bar] if kind == "crowd" else RANGE_SHARE)
        return np.zeros(len(told)), RANGE_NOISE * np.sqrt(explained / (1 - explained)) * told
    return np.zeros(len(told)), np.zeros(len(told))


def _tone(kind: str, signal: Floats, own: Floats) -> Floats:
    """Return the tone of each bar from noise and from moves that are over. (T,)"""
    if kind == "echo":
        day = moving_sum(own, 0, 24) / np.sqrt(24)
        return np.asarray(0.6 * np.tanh(own) + 0.4 * np.tanh(day) + 0.7 * signal)
    if kind == "old echo":
        first, last = LOOK_BACK
        old = moving_sum(own, first, last - first) / np.sqrt(last - first)
        return np.asarray(0.8 * old + 0.6 * signal)
    return signal


def _rate(kind: str, own: Floats) -> Floats:
    """Return how many texts more than one an hour brings, from moves that are over. (T,)"""
    if kind == "counts":
        return np.asarray(2.0 * np.exp(0.5 * np.tanh(moving_sum(np.abs(own), 0, 6) / 6 - 0.8)))
    return np.full(len(own), 2.0)


def _gains(kind: str, gain: float) -> dict[str, dict[str, float]]:
    found = {claim: dict.fromkeys(TARGETS, 0.0) for claim in (TONE, ATTENTION)}
    if kind in STIRS:
        found[STIRS[kind]]["volatility"] = gain
    elif kind == "return":
        found[TONE] |= {"return": gain, "direction": SIGN_SHARE * gain / LOSS_SHARE}
    return found


def _numbers(rng: np.random.Generator, rate: Floats, each: int) -> NDArray[np.int64]:
    """Return numbers of texts of each hour, one at least, from the rate of each bar. (H,)"""
    return np.asarray(1 + rng.poisson(np.repeat(rate, each)))


def _sums(signal: Floats, n: NDArray[np.int64]) -> pd.DataFrame:
    """Return hourly sums of texts whose mean tone is the signal's."""
    import pandas as pd

    mean = np.clip(SPREAD * signal / signal.std(), -0.95, 0.95)
    squares = n * (mean**2 + 0.04)
    return pd.DataFrame(
        {
            "symbol": SYMBOL, "source": STREAM, "collection": "world",
            "hour": pd.date_range(START, periods=len(n), freq="h").as_unit("us"),
            "n": n, "n_stale": 0, "n_repost": 0,
            "sum_tone": np.round(1e6 * n * mean).astype("int64"),
            "sum_tone_squared": np.round(1e12 * squares).astype("int64"),
        }
    )  # fmt: skip


def _texts(sums: pd.DataFrame) -> Texts:
    """Return texts that were watched from the first hour to the last."""
    import pandas as pd

    hours = sums["hour"]
    coverage = pd.DataFrame(
        {
            "source": [STREAM], "collection": ["world"], "covered_from": [hours.iloc[0]],
            "covered_until": [hours.iloc[-1] + pd.Timedelta(hours=1)], "state": ["crawled"],
        }
    )  # fmt: skip
    polls = pd.DataFrame({"source": [], "hour": pd.DatetimeIndex([], tz="UTC")})
    return Texts(sums, sums[["source", "hour"]], coverage, polls)
