"""Worlds like a user's own data: what there is, in another order, with or without an effect.

    1. bars      the shapes of bars in blocks of a week or so, each moved by whole weeks, chained
    2. texts     counts and tone as past bars told them: fitted on the user's, told of the new bars
    3. noise     what that leaves of counts and tone, in blocks moved by weeks of their own
    4. effect    none; or what past bars do not tell of an hour's tone moves the next bar

No effect means: given the prices known by then, the answer is independent of the texts. The new
texts are made of new bars over by then and of noise that comes from other weeks than the bars
around it, so whatever the user's texts know of what comes next is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.calibrate.rewrite import Rewriter, apart
from moodtape.calibrate.worlds import TARGETS, World
from moodtape.clock import parse_duration
from moodtape.errors import DataMissing
from moodtape.forecaster.claims import ATTENTION, TONE
from moodtape.forecaster.echo import fitted_values, price_history, residual_rows, standardised
from moodtape.forecaster.features.volatility import garman_klass
from moodtape.forecaster.grid import BarGrid, bar_grid, hour_grid, naive
from moodtape.forecaster.loading import read_stored
from moodtape.forecaster.reach import reach_of
from moodtape.forecaster.target import trailing_variance
from moodtape.forecaster.texts import hours_of_bars
from moodtape.records import Span
from moodtape.study.ground import Question, lay_ground

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from moodtape.config import Config
    from moodtape.forecaster.texts import Texts
    from moodtape.storage.db import Warehouse

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

MINE = "mine"
MINE_KINDS = (MINE, f"{MINE} return", f"{MINE} volatility")
FEWEST_WEEKS = 8
"""With fewer, blocks could not be moved to other weeks than those of the texts."""

NEAR = 0.25
"""Moves within so many deviations of zero tell how dense moves are there."""

WEEK = np.timedelta64(7, "D").astype("timedelta64[us]")


@dataclass(frozen=True)
class Mine:
    """A user's bars and texts of one asset, as a study of it reads them.

    grid: of the bars, as first known. span: of the decisions of a study. streams: of its texts.
    """

    symbol: str
    grid: BarGrid
    texts: Texts
    streams: tuple[str, ...]
    span: Span
    interval: timedelta

    @cached_property
    def hours(self) -> NDArray[np.datetime64]:
        """Return the starts of all hours in which texts can matter. (H,)"""
        return hour_grid(self.grid.open_time[0], self.grid.close_time[-1])

    @property
    def fingerprint(self) -> str:
        """Return a hash of the bars and the hourly sums."""
        digest = hashlib.sha256()
        for values in self.grid.first.values():
            digest.update(np.ascontiguousarray(values).tobytes())
        digest.update(self.texts.sums.to_csv(index=False).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def rewriter(self) -> Rewriter:
        """Return the texts with what past bars tell at the end of each hour."""
        return Rewriter.of(self.texts, self.hours, self.told(self.grid.first))

    @cached_property
    def shapes(self) -> dict[str, Floats]:
        """Return every bar by its moves, each (T,); NaN where it is missing."""
        bars = self.grid.first
        before = np.concatenate([bars["open"][:1], bars["close"][:-1]])
        gap = np.where(np.isnan(before), 0.0, np.log(bars["open"] / before))
        moves = {name: np.log(bars[name] / bars["open"]) for name in ("close", "high", "low")}
        return {
            "gap": gap, "body": moves["close"], "up": moves["high"], "down": moves["low"],
            "volume": bars["volume"], "taker_buy_volume": bars["taker_buy_volume"],
        }  # fmt: skip

    @cached_property
    def range_noise(self) -> float:
        """Return the deviation of log volatility from what older bars tell of it."""
        bars = self.grid.first
        variance = garman_klass(bars["open"], bars["high"], bars["low"], bars["close"])
        y = 0.5 * np.log(np.maximum(variance[1:], 1e-8))
        there = np.flatnonzero(~np.isnan(y))
        x = standardised(price_history(bars)[:-1], there)
        return float(np.std((y - fitted_values(x, y, there))[there]))

    def told(self, bars: Mapping[str, Floats]) -> Floats:
        """Return what bars tell at the end of each hour, of those closed by then. (H, 20)"""
        ends = self.hours + np.timedelta64(1, "h")
        row = np.searchsorted(self.grid.close_time, ends, "right") - 1
        return np.where((row >= 0)[:, None], price_history(bars)[row], np.nan)


def read_mine(warehouse: Warehouse, config: Config) -> Mine:
    """Return the bars and texts of the config's first asset.

    Args:
        config: as `settings_for_worlds` makes it.
    Raises:
        DataMissing: no bars or texts, texts without a score, or too few weeks of them.
    """
    ground = lay_ground(warehouse, config, Question(whole=True))
    dataset, symbol = ground.dataset, ground.dataset.symbols[0]
    calendar, interval = get_calendar(config.market.calendar), parse_duration(dataset.interval)
    stored = read_stored(warehouse, config, ground.fixed_request)
    reach = reach_of(config, calendar, interval, dataset.span.since)
    bars = stored.bars[symbol]
    first = max(dataset.span.since - reach, bars["open_time"].min().to_pydatetime())
    opens = calendar.expected_opens(first, dataset.span.until, interval)
    closes = calendar.close_times(opens, interval)
    opens, closes = opens[closes <= naive(bars["close_time"]).max()], closes
    grid = bar_grid(bars, opens, closes[: len(opens)])
    texts = stored.texts.near(Span(first, dataset.span.until), timedelta(0))
    mine = Mine(symbol, grid, texts, dataset.streams, dataset.span, interval)
    if mine.hours[-1] - mine.hours[0] < FEWEST_WEEKS * WEEK:
        raise DataMissing(
            f"Bars and texts of {symbol} span less than {FEWEST_WEEKS} weeks: too few to be put"
            " in another order. Import more of them."
        )
    return mine


def draw_like(rng: np.random.Generator, mine: Mine, kind: str, gain: float = 0.0) -> World:
    """Draw a world like a user's own.

    Args:
        kind: of MINE_KINDS. gain: of an effect: share of the deciding loss that an oracle of
            the tone saves, about.
    """
    grid, hours = mine.grid, mine.hours
    taken = residual_rows(grid.open_time, 0, len(grid.open_time), rng)
    from_hour = apart(residual_rows(hours, 0, len(hours), rng), _hours_of(mine, taken))
    shapes = {name: values[taken] for name, values in mine.shapes.items()}
    signal = _before_bars(mine, mine.rewriter.surprise(from_hour))
    if kind == MINE_KINDS[1]:
        shapes = _pulled(shapes, signal, gain)
    elif kind == MINE_KINDS[2]:
        shapes = _stirred(shapes, signal, gain, mine.range_noise)
    bars = _chained(shapes, mine)
    sums = mine.rewriter.rewritten(mine.told(bars), from_hour)
    return World(
        kind, mine.symbol, _versions(bars, mine), replace(mine.texts, sums=sums), mine.streams,
        mine.span, _gains(kind, gain, shapes),
    )  # fmt: skip


def _hours_of(mine: Mine, taken: Rows) -> Rows:
    """Return for each hour the one that the bar over it is from, by the moves of the bars. (H,)"""
    opens, hour = mine.grid.open_time, np.timedelta64(1, "h")
    row = np.clip(np.searchsorted(opens, mine.hours, "right") - 1, 0, len(opens) - 1)
    moved = (opens[taken[row]] - opens[row]) // hour
    return np.asarray(np.arange(len(row)) + moved.astype(np.int64))


def _before_bars(mine: Mine, surprise: Floats) -> Floats:
    """Return what the hours of the bar before brought, in unit variance. (H,) -> (T,)"""
    first, last = hours_of_bars(mine.grid.close_time, mine.interval, mine.hours)
    sums = np.concatenate([[0.0], np.cumsum(surprise)])
    brought = sums[last + 1] - sums[first]
    told = np.concatenate([[0.0], brought[:-1]])
    return np.asarray(told / told.std())


def _pulled(shapes: Mapping[str, Floats], signal: Floats, gain: float) -> dict[str, Floats]:
    """Return shapes with a pull of the tone in the move from open to close."""
    path = np.exp(np.cumsum(np.nan_to_num(shapes["gap"] + shapes["body"])))
    unit = np.sqrt(np.concatenate([[np.nan], trailing_variance(path)[:-1]]))
    unit = np.nan_to_num(unit, nan=0.0)
    whole = np.nanmean(((shapes["gap"] + shapes["body"])[unit > 0] / unit[unit > 0]) ** 2)
    pull = np.sqrt(gain * whole) * unit * signal
    calm = np.sqrt(1 - gain)
    body = calm * shapes["body"] + pull
    up = calm * shapes["up"] + np.maximum(pull, 0.0)
    down = calm * shapes["down"] + np.minimum(pull, 0.0)
    return {**shapes, "gap": calm * shapes["gap"], "body": body, "up": up, "down": down}


def _stirred(
    shapes: Mapping[str, Floats], signal: Floats, gain: float, noise: float
) -> dict[str, Floats]:
    """Return shapes as much larger or smaller as the tone says."""
    size = np.exp(noise * np.sqrt(gain / (1 - gain)) * signal)
    return {**shapes, **{name: size * shapes[name] for name in ("body", "up", "down")}}


def _chained(shapes: Mapping[str, Floats], mine: Mine) -> dict[str, Floats]:
    """Return bars whose moves follow each other from the first price there was."""
    start = np.log(mine.grid.first["open"][~np.isnan(mine.grid.first["open"])][0])
    step = np.nan_to_num(shapes["gap"] + shapes["body"])
    close = start + np.cumsum(step)
    opened = np.concatenate([[start], close[:-1]]) + np.nan_to_num(shapes["gap"])
    missing = np.isnan(shapes["body"])
    log_bars = {
        "open": opened, "high": opened + shapes["up"], "low": opened + shapes["down"],
        "close": close,
    }  # fmt: skip
    made = {name: np.where(missing, np.nan, np.exp(values)) for name, values in log_bars.items()}
    return {**made, "volume": shapes["volume"], "taker_buy_volume": shapes["taker_buy_volume"]}


def _versions(bars: Mapping[str, Floats], mine: Mine) -> pd.DataFrame:
    """Return bars as `storage.read.bar_versions` gives them; a missing one has no row."""
    import pandas as pd

    closes = pd.DatetimeIndex(mine.grid.close_time, tz="UTC")
    frame = pd.DataFrame(
        {
            "open_time": pd.DatetimeIndex(mine.grid.open_time, tz="UTC"), "close_time": closes,
            "known_at": closes, **bars, "version": 1,
        }
    )  # fmt: skip
    return frame[~np.isnan(bars["close"])].reset_index(drop=True)


def _gains(kind: str, gain: float, shapes: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """Return by claim and target what an oracle would save; about that, of a direction."""
    found = {claim: dict.fromkeys(TARGETS, 0.0) for claim in (TONE, ATTENTION)}
    if kind == MINE_KINDS[1]:
        moves = (shapes["gap"] + shapes["body"])[~np.isnan(shapes["body"])]
        near = NEAR * moves.std()
        density = np.mean(np.abs(moves) < near) / (2 * NEAR)
        found[TONE] |= {"return": gain, "direction": float((2 * density) ** 2 * gain)}
    elif kind == MINE_KINDS[2]:
        found[TONE]["volatility"] = gain
    return found
