"""Do texts lead price, or does price lead texts? Granger's question, put both ways.

    1. series    of each text stream: net tone and number; of the price: return and range
    2. test      do past values of one help the other, given its own past and nothing else
    3. correct   Holm over every pair, stream, symbol and direction

In-sample, linear, over all of the study's time: it says what comes first in these data, not
what causes what, and not whether anybody could have gained by it. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import to_datetime64
from moodtape.errors import InsufficientData
from moodtape.forecaster.features.polls import SCOPE as POLLS
from moodtape.forecaster.verdict import holm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

LAGS = 6
"""Past bars of either series; fixed, so that none is picked for its outcome."""

FEWEST_PER_LAG = 20
"""A test needs so many rows for each lag."""

BASIS_POINT = 1e-4
TEXTS, PRICE = "texts", "price"


@dataclass(frozen=True)
class LeadLag:
    """Whether one series leads the other.

    stream: of texts. text: `tone` or `number`; price: `return` or `range`.
    leads: which of them is asked to come first, `texts` or `price`.
    statistic, p: of an F test that no lag counts, with heteroskedasticity- and
        autocorrelation-consistent errors; p_adjusted: by Holm over the whole table.
    share: of the variance that the follower's own past leaves, what the leader's past explains.
    """

    symbol: str
    stream: str
    text: str
    price: str
    leads: str
    lags: int
    statistic: float
    p: float
    p_adjusted: float
    share: float
    n: int


@dataclass(frozen=True)
class Granger:
    """Result of one test; see `LeadLag`."""

    statistic: float
    p: float
    share: float
    n: int


def lead_lag(dataset: Dataset) -> list[LeadLag]:
    """Return every test of a study, both ways, corrected together; pairs too short are left out."""
    found = list(_tests(dataset))
    adjusted = holm([result.p for _, result in found])
    return [
        LeadLag(*asked, LAGS, result.statistic, result.p, p, result.share, result.n)
        for (asked, result), p in zip(found, adjusted, strict=True)
    ]


def granger(follower: Floats, leader: Floats, lags: int, robust: bool = True) -> Granger:
    """Test whether past values of one series help to tell the next of another.

    Rows with a hole in either window are left out.

    Args:
        follower, leader: at the same instants, NaN where missing, shape (T,).
        robust: with Newey-West errors over `lags` lags or by the usual rule, whichever is more.
    Raises:
        InsufficientData: too few rows, or a series that does not vary.
    Source: Granger (1969); Newey & West (1987); F test by `statsmodels`.
    """
    from statsmodels.api import OLS

    own, other = _lagged(follower, lags), _lagged(leader, lags)
    y = follower[lags:]
    whole = np.isfinite(y) & np.isfinite(own).all(axis=1) & np.isfinite(other).all(axis=1)
    y, own, other = y[whole], own[whole], other[whole]
    n = len(y)
    if n < FEWEST_PER_LAG * lags:
        raise InsufficientData(f"{n} rows are too few for {lags} lags.")
    if min(y.std(), other[:, 0].std()) == 0:
        raise InsufficientData("One of the series does not vary.")
    restricted = np.column_stack([np.ones(n), own])
    design = np.column_stack([restricted, other])
    model = OLS(y, design)
    if robust:
        most = max(lags, int(4 * (n / 100) ** (2 / 9)))
        kernel = {"maxlags": most, "use_correction": True}
        fitted = model.fit(cov_type="HAC", cov_kwds=kernel, use_t=True)
    else:
        fitted = model.fit()
    absent = np.hstack([np.zeros((lags, 1 + lags)), np.eye(lags)])
    test = fitted.f_test(absent)
    alone = float(OLS(y, restricted).fit().ssr)
    return Granger(float(test.fvalue), float(test.pvalue), 1 - float(fitted.ssr) / alone, n)


def _lagged(series: Floats, lags: int) -> Floats:
    """Return the `lags` values before each from the `lags`-th on. (T,) -> (T - lags, lags)"""
    return np.column_stack([series[lags - k : len(series) - k] for k in range(1, lags + 1)])


def _tests(dataset: Dataset) -> Iterator[tuple[tuple[str, str, str, str, str], Granger]]:
    low, high = to_datetime64(dataset.span.since), to_datetime64(dataset.span.until)
    inside = (dataset.decision_time >= low) & (dataset.decision_time < high)
    for number, symbol in enumerate(dataset.symbols):
        rows = np.flatnonzero(inside & (dataset.symbol == number))
        prices = _price_series(dataset, rows)
        for stream in dataset.streams:
            if stream.endswith(f"_{POLLS}") or not _has_texts(dataset, stream):
                continue
            for text, told in _text_series(dataset, rows, stream).items():
                for price, moved in prices.items():
                    for leads, pair in ((TEXTS, (moved, told)), (PRICE, (told, moved))):
                        try:
                            result = granger(*pair, LAGS)
                        except InsufficientData:  # a short or silent stream has no test
                            continue
                        yield (symbol, stream, text, price, leads), result


def _has_texts(dataset: Dataset, stream: str) -> bool:
    """Say whether the study has the columns of what each bar brought."""
    names = {column.name for column in dataset.columns}
    return {f"{stream}.count_last", f"{stream}.tone_last"} <= names


def _price_series(dataset: Dataset, rows: Rows) -> dict[str, Floats]:
    """Return the log return and the log of the range of the bar that closed at each decision."""
    returns, ranges = dataset.history[rows, 0], dataset.history[rows, 10]
    return {"return": returns, "range": np.log(np.maximum(ranges, BASIS_POINT))}


def _text_series(dataset: Dataset, rows: Rows, stream: str) -> dict[str, Floats]:
    """Return the sum of the tones and the log number of the texts that each bar brought.

    Zero where a watched bar brought none, NaN where nobody watched.
    """
    names = [column.name for column in dataset.columns]
    number = dataset.features[rows, names.index(f"{stream}.count_last")]
    tone = dataset.features[rows, names.index(f"{stream}.tone_last")]
    net = np.where(np.isnan(number), np.nan, np.nan_to_num(tone) * np.expm1(number))
    return {"tone": net, "number": number}
