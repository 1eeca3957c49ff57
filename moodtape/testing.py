"""For tests of Moodtape and of what is built on it: checks of plug-ins and a synthetic market.

    1. moods      an hourly state per symbol that texts follow
    2. texts      headlines made of the lexicon's words, known minutes after publication
    3. bars       fat tails, clusters of volatility; the tone of an hour may drive the next bar
    4. write      through the real import, the lexicon scorer and the hourly sums

What has an effect here is stated, so that a study of it can be right or wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from moodtape.config import Config
from moodtape.forecaster.features.check import check_feature
from moodtape.ingest.check import check_collector
from moodtape.nlp.check import check_scorer
from moodtape.storage.db import Warehouse

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Market",
    "check_collector",
    "check_feature",
    "check_scorer",
    "store_market",
    "synthetic_market",
]

Driven = Literal["nothing", "return", "volatility"]

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEPS = 12
"""Moves inside one bar; its high and low come from them."""

TAIL_DEGREES = 5
"""Returns follow Student's t with so many degrees of freedom."""

RANGE_NOISE = 0.54
"""Deviation of half the log of a bar's measured variance from what older bars tell, measured."""

RISES = ("soars", "surges", "rallies", "jumps", "climbs", "rebounds", "gains")
FALLS = ("crashes", "plunges", "tumbles", "slides", "drops", "slumps", "falls")
RESTS = ("trades sideways", "sits idle", "stays where it was", "moves little")
DESKS = ("Lisbon", "Oslo", "Lagos", "Quito", "Perth", "Osaka", "Turin", "Malmo", "Graz", "Cusco")


@dataclass(frozen=True)
class Market:
    """One drawn world, not yet stored.

    bars: open_time, symbol, open, high, low, close, volume; one row an hour and symbol.
    documents: document_id, published_at, collected_at, title, symbol.
    tone: mean tone of the texts of each hour, zero without texts, shape (n_symbols, hours).
    driven, gain: what the tone of an hour does to the next bar.
    """

    symbols: tuple[str, ...]
    bars: pd.DataFrame
    documents: pd.DataFrame
    tone: Floats
    driven: Driven
    gain: float

    @property
    def end(self) -> datetime:
        """Return when the last bar closes."""
        last: datetime = self.bars["open_time"].max().to_pydatetime() + HOUR
        return last


def synthetic_market(
    rng: np.random.Generator,
    hours: int,
    symbols: Sequence[str] = ("BTC",),
    driven: Driven = "nothing",
    gain: float = 0.0,
    texts_an_hour: float = 2.0,
    start: datetime = START,
) -> Market:
    """Draw hourly bars and texts of some symbols, each for itself.

    Args:
        hours: length of the world; 2,000 hours take about a second to draw and store.
        driven: what the tone of an hour moves. `return`: the next bar's return, whose
            variance it explains by the share `gain`. `volatility`: the log volatility of
            the next bar, likewise, as far as older bars do not tell it.
        gain: share of the variance, from 0 to below 1.
    """
    import pandas as pd

    if not 0 <= gain < 1:
        raise ValueError(f"gain is a share of variance from 0 to below 1, not {gain}")
    bars, documents, tones = [], [], []
    for symbol in symbols:
        texts, tone = _texts(rng, hours, symbol, texts_an_hour, start)
        documents.append(texts)
        tones.append(tone)
        bars.append(_bars(rng, symbol, tone, driven, gain, start))
    import numpy as np

    return Market(
        tuple(symbols), pd.concat(bars), pd.concat(documents), np.stack(tones), driven, gain
    )


def store_market(warehouse: Warehouse, folder: Path, market: Market, config: Config) -> str:
    """Import a market's bars and texts, score the texts by the lexicon; return the scorer's id.

    Args:
        folder: an empty place for two Parquet files and the import's own.
    """
    from moodtape.ingest.importer import ImportOptions, import_file
    from moodtape.nlp.lexicon import LexiconScorer
    from moodtape.nlp.score import score_unscored
    from moodtape.storage.hours import HourRules

    folder.mkdir(parents=True, exist_ok=True)
    now = market.end + timedelta(days=1)
    options = {
        "bars": ImportOptions("bars", interval="1h", venue="synthetic", quote="USD"),
        "documents": ImportOptions(
            "documents", source="news", collection="synthetic", crawled=True
        ),
    }
    for name, table in (("bars", market.bars), ("documents", market.documents)):
        path = folder / f"{name}.parquet"
        table.to_parquet(path, index=False)
        import_file(
            warehouse, folder / "staging", path, options[name], config, f"import {name}", now
        )
    rules = HourRules(
        timedelta(hours=config.clock.max_age_h),
        timedelta(hours=config.sentiment.repost_window_h),
        config.sentiment.repost_similarity,
    )
    return score_unscored(warehouse, LexiconScorer(), rules, "score", now).scorer


def _texts(
    rng: np.random.Generator, hours: int, symbol: str, an_hour: float, start: datetime
) -> tuple[pd.DataFrame, Floats]:
    """Return headlines that follow a slow mood, and the mean tone of each hour."""
    import numpy as np
    import pandas as pd

    from moodtape.nlp.lexicon import probabilities, tone

    of_phrase = {}
    for phrase in (*RISES, *FALLS, *RESTS):
        negative, _, positive = probabilities(tone(headline(symbol, phrase, "Lisbon", 1)))
        of_phrase[phrase] = positive - negative
    mood = _autoregression(rng, hours, 0.7)
    hour = np.repeat(np.arange(hours), rng.poisson(an_hour, hours))
    lean = mood[hour] + rng.standard_normal(len(hour))
    second = rng.uniform(0, 3000, len(hour))
    delay = rng.uniform(30, 500, len(hour))
    pick = rng.integers(0, 1 << 30, (3, len(hour)))
    titles, tones = [], np.zeros(len(hour))
    for i, leaning in enumerate(lean):
        phrases = RISES if leaning > 0.6 else FALLS if leaning < -0.6 else RESTS
        phrase = phrases[pick[0, i] % len(phrases)]
        titles.append(headline(symbol, phrase, DESKS[pick[1, i] % len(DESKS)], pick[2, i]))
        tones[i] = of_phrase[phrase]
    published = _instants(start, hour * 3600 + second)
    table = pd.DataFrame(
        {
            "document_id": [f"{symbol}-{i}" for i in range(len(hour))],
            "published_at": published,
            "collected_at": _instants(start, hour * 3600 + second + delay),
            "title": titles,
            "symbol": symbol,
        }
    )
    count = np.bincount(hour, minlength=hours)
    return table, np.bincount(hour, tones, hours) / np.maximum(count, 1)


def headline(symbol: str, phrase: str, desk: str, number: int) -> str:
    """Return a title whose words are not repeated, so that none counts as a repost."""
    return f"{symbol} {phrase} while {desk} desk {number} reads the tape"


def _bars(
    rng: np.random.Generator,
    symbol: str,
    tone: Floats,
    driven: Driven,
    gain: float,
    start: datetime,
) -> pd.DataFrame:
    """Return hourly bars; the tone of an hour acts on the bar that opens at its end."""
    import numpy as np
    import pandas as pd

    hours = len(tone)
    spread = tone.std()
    signal = np.concatenate([[0.0], tone[:-1]]) / (spread if spread > 0 else 1.0)
    log_volatility = np.log(0.004) + 0.35 * _autoregression(rng, hours, 0.97)
    pull = np.zeros(hours)
    if driven == "volatility":
        log_volatility = log_volatility + RANGE_NOISE * np.sqrt(gain / (1 - gain)) * signal
    elif driven == "return":
        pull = np.sqrt(gain) * signal
    tail = np.sqrt((TAIL_DEGREES - 2) / rng.chisquare(TAIL_DEGREES, hours))
    noise = rng.standard_normal((hours, STEPS)) / np.sqrt(STEPS) * tail[:, None]
    if driven == "return":
        noise = noise * np.sqrt(1 - gain)
    moves = np.exp(log_volatility)[:, None] * (noise + pull[:, None] / STEPS)
    path = np.cumsum(moves.ravel()).reshape(hours, STEPS) + np.log(30_000)
    close = path[:, -1]
    opened = np.concatenate([[np.log(30_000)], close[:-1]])
    high = np.maximum(path.max(axis=1), opened)
    low = np.minimum(path.min(axis=1), opened)
    volume = np.exp(5 + np.log(high - low + 1e-6) + 0.3 * rng.standard_normal(hours))
    return pd.DataFrame(
        {
            "open_time": _instants(start, 3600 * np.arange(hours, dtype="float64")),
            "symbol": symbol,
            "open": np.exp(opened),
            "high": np.exp(high),
            "low": np.exp(low),
            "close": np.exp(close),
            "volume": volume,
        }
    )


def _autoregression(rng: np.random.Generator, count: int, memory: float) -> Floats:
    """Return a stationary series of unit variance whose next value keeps a share of the last."""
    import numpy as np

    shocks = rng.standard_normal(count)
    shocks[1:] *= np.sqrt(1 - memory**2)
    series = np.empty(count)
    last = 0.0
    for i, shock in enumerate(shocks):
        last = memory * last + shock
        series[i] = last
    return series


def _instants(start: datetime, seconds: Floats) -> pd.DatetimeIndex:
    import numpy as np
    import pandas as pd

    micros = pd.to_timedelta(np.round(seconds * 1e6).astype("int64"), unit="us")
    return pd.DatetimeIndex(pd.Timestamp(start).as_unit("us") + micros)
