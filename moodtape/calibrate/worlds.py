"""Hourly worlds whose truth is known: bars and texts, with or without an effect.

    nothing      texts are noise of their own
    heavy        as nothing, under tails so fat that a return has no fourth moment
    echo         tone tells what prices just did; prices partly turn back, as hourly BTC does
    old echo     tone tells what prices did longer ago than the network looks
    counts       the number of texts follows the size of past moves; tone is noise
    return       tone tells part of the next bar's return
    volatility   tone tells part of the next bar's log volatility

No effect means: given the prices known by then, the answer is independent of the texts. So
counts and tone are made of observable past bars and noise, never of the hidden volatility.
Bars have fat tails, clusters of volatility, hours of the day, jumps and holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.texts import Texts
from moodtape.records import Span

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NO_EFFECT = ("nothing", "echo", "old echo", "counts", "heavy")
EFFECTS = ("return", "volatility")
KINDS = (*NO_EFFECT, *EFFECTS)

START = datetime(2022, 1, 3, tzinfo=UTC)
DELAY = timedelta(minutes=2)
"""The last decision comes so long after the last close."""

SYMBOL, STREAM = "BTC", "news"
STEPS = 12
"""Moves inside one bar; its high and low come from them."""

TAIL_DEGREES, HEAVY_DEGREES = 5, 3
"""Returns follow Student's t with so many degrees of freedom."""

JUMPS, JUMP_SIZE = 0.002, 5.0
"""Share of the bars that jump, and the deviation of a jump, in units of the bar's own."""

DAY_SWING, LOUDEST_HOUR = 0.25, 15
"""Log volatility of the loudest hour (UTC) above the day's mean; twelve hours later as far below.
"""

HOLES, HOLE_BARS = 1 / 1500, 6
"""A bar is the first of a hole so often; mean length of a hole in bars."""

SIGN_SHARE = 1.0
"""Of what tone explains of a return, the share it explains of its sign: (2 f(0))^2 for these tails
and jumps; a normal law would have 2 / pi."""

LOSS_SHARE = 0.85
"""Of what tone explains of a move, the share it explains of the loss on a return, whose unit is the
trailing deviation and not the bar's own: measured over 900,000 bars."""

RANGE_SHARE = 0.59
"""The same of log volatility, the rest of which past bars tell, since tone lasts as it does."""

REVERSAL = 0.08
"""Share of a move that the next bar takes back: 53.9 % of hours turn on BTC."""

VOLATILITY, VOLATILITY_SPREAD, VOLATILITY_MEMORY = 0.004, 0.35, 0.97
RANGE_NOISE = 0.54
"""Deviation of half the log of a bar's measured variance from what older bars tell, measured."""

TONE = 0.2
"""Deviation of an hour's mean tone."""

LOOK_BACK = (61, 168)
"""Bars ago that an old echo tells of: none of them lies in the network's window of 60."""


@dataclass(frozen=True)
class World:
    """One drawn world: bars and texts as `forecaster.loading` reads them of a warehouse.

    bars: as `storage.read.bar_versions` gives them. streams: of the texts that are columns.
    span: of the decisions. gains: by target name, what share of its loss an oracle of the tone
        would save; about that share for `direction`.
    """

    kind: str
    symbol: str
    bars: pd.DataFrame
    texts: Texts
    streams: tuple[str, ...]
    span: Span
    gains: dict[str, float]

    @property
    def sums(self) -> pd.DataFrame:
        """Return the hourly sums of the texts."""
        return self.texts.sums


def draw_world(rng: np.random.Generator, kind: str, hours: int, gain: float = 0.0) -> World:
    """Draw a world of some kind.

    Args:
        gain: of an effect: share of the deciding loss that the tone explains, below a half.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of world; they are {', '.join(KINDS)}")
    signal = autoregression(rng, hours, 0.7)
    bars = _bars(rng, hours, kind, signal, gain)
    own = np.log(bars["close"].to_numpy() / bars["open"].to_numpy()) / VOLATILITY
    there = _without_holes(rng, hours)
    own[~there] = 0.0  # what nobody saw, no text tells
    if kind == "echo":
        day = moving_sum(own, 0, 24) / np.sqrt(24)
        signal = 0.6 * np.tanh(own) + 0.4 * np.tanh(day) + 0.7 * signal
    elif kind == "old echo":
        first, last = LOOK_BACK
        old = moving_sum(own, first, last - first) / np.sqrt(last - first)
        signal = 0.8 * old + 0.6 * signal
    rate = np.full(hours, 2.0)
    if kind == "counts":
        rate = 2.0 * np.exp(0.5 * np.tanh(moving_sum(np.abs(own), 0, 6) / 6 - 0.8))
    bars = bars[there].reset_index(drop=True)
    texts, until = _texts(_sums(rng, signal, rate)), bars["close_time"].iloc[-1].to_pydatetime()
    span = Span(START, until + DELAY)
    return World(kind, SYMBOL, bars, texts, (STREAM,), span, _gains(kind, gain))


def _gains(kind: str, gain: float) -> dict[str, float]:
    found = dict.fromkeys(("return", "direction", "volatility"), 0.0)
    if kind == "volatility":
        found["volatility"] = gain
    elif kind == "return":
        found |= {"return": gain, "direction": SIGN_SHARE * gain / LOSS_SHARE}
    return found


def _bars(
    rng: np.random.Generator, hours: int, kind: str, signal: Floats, gain: float
) -> pd.DataFrame:
    """Return hourly bars with fat tails and clusters; an hour's signal acts on the next bar."""
    import pandas as pd

    told = np.concatenate([[0.0], signal[:-1]])
    log_volatility = VOLATILITY_SPREAD * autoregression(rng, hours, VOLATILITY_MEMORY)
    pull = np.zeros(hours)
    calm = 1.0
    if kind == "volatility":
        explained = gain / RANGE_SHARE
        log_volatility += RANGE_NOISE * np.sqrt(explained / (1 - explained)) * told
    elif kind == "return":
        explained = gain / LOSS_SHARE
        pull, calm = np.sqrt(explained) * told, np.sqrt(1 - explained)
    noise = _noise(rng, hours, HEAVY_DEGREES if kind == "heavy" else TAIL_DEGREES)
    day = DAY_SWING * np.cos(2 * np.pi * (np.arange(hours) - LOUDEST_HOUR) / 24)
    size = VOLATILITY * np.exp(log_volatility + day)
    moves = size[:, None] * (calm * noise + pull[:, None] / STEPS)
    if kind == "echo":
        from scipy.signal import lfilter

        whole = lfilter([1.0], [1.0, REVERSAL], moves.sum(axis=1))
        moves[1:] -= REVERSAL / STEPS * whole[:-1, None]
    path = np.cumsum(moves.ravel()).reshape(hours, STEPS) + np.log(30_000)
    close = path[:, -1]
    opened = np.concatenate([[np.log(30_000)], close[:-1]])
    high, low = np.maximum(path.max(axis=1), opened), np.minimum(path.min(axis=1), opened)
    opens = pd.date_range(START, periods=hours, freq="h").as_unit("us")
    closes = opens + pd.Timedelta(hours=1)
    volume = np.exp(5 + np.log(high - low + 1e-6) + 0.3 * rng.standard_normal(hours))
    return pd.DataFrame(
        {
            "open_time": opens, "close_time": closes, "known_at": closes,
            "open": np.exp(opened), "high": np.exp(high), "low": np.exp(low),
            "close": np.exp(close), "volume": volume, "taker_buy_volume": np.nan, "version": 1,
        }
    )  # fmt: skip


def _noise(rng: np.random.Generator, hours: int, degrees: int) -> Floats:
    """Return the moves of each bar but for its size; their sums have unit variance. (T, STEPS)"""
    tail = np.sqrt((degrees - 2) / rng.chisquare(degrees, hours))
    noise = rng.standard_normal((hours, STEPS)) / np.sqrt(STEPS) * tail[:, None]
    at = np.flatnonzero(rng.random(hours) < JUMPS)
    noise[at, rng.integers(0, STEPS, len(at))] += JUMP_SIZE * rng.standard_normal(len(at))
    return np.asarray(noise / np.sqrt(1 + JUMPS * JUMP_SIZE**2))


def _without_holes(rng: np.random.Generator, hours: int) -> NDArray[np.bool_]:
    """Return which bars are there; the first and the last are. (T,)"""
    there = np.ones(hours, dtype=bool)
    starts = np.flatnonzero(rng.random(hours) < HOLES)
    for start, length in zip(starts, rng.geometric(1 / HOLE_BARS, len(starts)), strict=True):
        there[start : start + length] = False
    there[[0, -1]] = True
    return there


def _sums(rng: np.random.Generator, signal: Floats, rate: Floats) -> pd.DataFrame:
    """Return hourly sums of texts: every hour has one at least, whose tone is the signal's."""
    import pandas as pd

    n = 1 + rng.poisson(rate)
    mean = np.clip(TONE * signal / signal.std(), -0.95, 0.95)
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


def autoregression(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """Return a stationary series of unit variance whose next value keeps a share of the last."""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(count)
    shocks[1:] *= np.sqrt(1 - memory**2)
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks))


def moving_sum(x: Floats, ago: int, bars: int) -> Floats:
    """Return the sum of `bars` values up to the one `ago` rows before; zero before the first.

    >>> moving_sum(np.arange(5.0), 1, 2).tolist()
    [0.0, 0.0, 1.0, 3.0, 5.0]
    """
    sums = np.cumsum(np.concatenate([np.zeros(ago + bars), x]))
    return np.asarray(sums[bars : bars + len(x)] - sums[: len(x)])
