"""Hourly texts told anew: as past bars tell them, with what else was in them at other times.

Each series (asset or market, source, collection) keeps its hours: where nobody watched, nobody
watches. Its number and its mean tone are regressed on past bars, once, on the user's own; what
is left over is noise that is drawn in blocks, the same hours for all series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.forecaster.echo import carried, fitted_values, standardised
from moodtape.forecaster.grid import text_stream

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from moodtape.forecaster.texts import Texts

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]
    Mask = NDArray[np.bool_]

KEY = ["symbol", "source", "collection"]
WEEK_HOURS = 168
LEADS = (0, 1, 24, 48)
"""Hours ahead at which a text may meet the bar that it was written before."""


@dataclass(frozen=True)
class Series:
    """One series of texts on a grid of hours.

    key: symbol, source, collection. watched: whether anybody watched, shape (H,).
    n, stale, repost: texts of the hour. tone, spread: mean and variance of their tone, 0 without.
        Each shape (H,).
    """

    key: tuple[str, ...]
    watched: Mask
    n: Floats
    stale: Floats
    repost: Floats
    tone: Floats
    spread: Floats


@dataclass(frozen=True)
class Rewriter:
    """A user's texts and the past bars that they were fitted on.

    hours: starts of the grid's hours, shape (H,). history: what bars told at their ends, (H, 20).
    """

    hours: NDArray[np.datetime64]
    history: Floats
    series: tuple[Series, ...]

    @classmethod
    def of(cls, texts: Texts, hours: NDArray[np.datetime64], history: Floats) -> Rewriter:
        """Return the texts on a grid of hours, the series with most texts first."""
        made = [
            _series(tuple(map(str, key)), part, texts, hours)
            for key, part in texts.sums.groupby(KEY, sort=True)
        ]
        return cls(hours, history, tuple(sorted(made, key=lambda s: -s.n.sum())))

    def surprise(self, rows: Rows) -> Floats:
        """Return what past bars do not tell of the tone of the largest series, of other hours.

        Of unit variance; zero before it had a text. (H,)
        """
        main = self.series[0]
        _, rest = self._split(main.tone, main.n > 0, self.history)
        return np.asarray(rest[rows] / rest[main.n > 0].std())

    def rewritten(self, history: Floats, rows: Rows) -> pd.DataFrame:
        """Return hourly sums as `storage.read.hourly_sums` gives them.

        Args:
            history: what the new bars tell at the end of each hour, shape (H, 20).
            rows: the hour that each one has its noise from, shape (H,).
        """
        import pandas as pd

        parts = [self._rewritten(one, history, rows) for one in self.series]
        return pd.concat(parts, ignore_index=True)

    def _rewritten(self, one: Series, history: Floats, rows: Rows) -> pd.DataFrame:
        import pandas as pd

        told, rest = self._split(np.log1p(one.n), one.watched, history)
        most = np.log1p(2 * one.n.max())
        n = np.rint(np.expm1(np.clip(told + rest[rows], 0.0, most)))
        told, rest = self._split(one.tone, one.n > 0, history)
        tone = np.clip(told + rest[rows], -1.0, 1.0)
        spread = _last(one.spread, one.n > 0)[rows]
        stale, repost = (_last(values, one.watched)[rows] for values in (one.stale, one.repost))
        keep = one.watched & (n + stale + repost > 0)
        frame = pd.DataFrame(dict(zip(KEY, one.key, strict=True)), index=range(int(keep.sum())))
        frame["hour"] = pd.DatetimeIndex(self.hours[keep], tz="UTC")
        frame["n"], frame["n_stale"], frame["n_repost"] = n[keep], stale[keep], repost[keep]
        frame["sum_tone"] = np.rint(1e6 * n * tone)[keep]
        frame["sum_tone_squared"] = np.rint(1e12 * n * (tone**2 + spread))[keep]
        whole = ("n", "n_stale", "n_repost", "sum_tone", "sum_tone_squared")
        return frame.astype(dict.fromkeys(whole, "int64"))

    def _split(self, values: Floats, there: Mask, history: Floats) -> tuple[Floats, Floats]:
        """Return what past bars tell of values under some history, and the rest under their own.

        The rest of an hour without a value is that of the hour before. 2 x (H,)
        """
        count, known = len(self.hours), np.flatnonzero(there)
        x = standardised(np.vstack([self.history, history]), known)
        told = fitted_values(x, np.concatenate([values, values]), known)
        return told[count:], _last(values - told[:count], there)


def _last(values: Floats, there: Mask) -> Floats:
    """Return each hour's value, or that of the last hour that has one; zero before. (H,)"""
    return carried(values[:, None], there[:, None], 0, len(values))[:, 0]


def _series(
    key: tuple[str, ...], sums: pd.DataFrame, texts: Texts, hours: NDArray[np.datetime64]
) -> Series:
    own = texts.of_source(key[1])
    columns = text_stream(key[1], sums, own.seen, own.coverage, hours).columns
    watched = ~np.isnan(columns["n"])
    filled = {name: np.nan_to_num(values) for name, values in columns.items()}
    n = filled["n"]
    tone = filled["sum_tone"] / np.maximum(n, 1)
    spread = np.maximum(filled["sum_tone_squared"] / np.maximum(n, 1) - tone**2, 0.0)
    return Series(key, watched, n, filled["n_stale"], filled["n_repost"], tone, spread)


def apart(rows: Rows, of_bars: Rows) -> Rows:
    """Return hours moved by further weeks, where they would meet the bars they were written by.

    Args:
        rows: the hour that each one has its noise from, shape (H,), H of three weeks at least.
        of_bars: the hour that the bar over it is from, likewise.
    """
    count, at = len(rows), np.arange(len(rows))
    result, open_ = rows.copy(), np.ones(count, dtype=bool)
    for weeks in (0, 1, -1, 2, -2, 3, -3, 4, -4):
        moved = rows + weeks * WEEK_HOURS
        fits = open_ & (moved >= 0) & (moved < count)
        for lead in LEADS:
            ahead = np.minimum(at + lead, count - 1)
            meets = np.abs((of_bars[ahead] - ahead) - (moved - at)) < WEEK_HOURS // 2
            fits &= ~meets
        result[fits], open_ = moved[fits], open_ & ~fits
    return result
