"""Daily bars of a stock exchange: known at the session's close; texts reach the next session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from moodtape.calendars import get_calendar
from moodtape.clock import to_datetime64
from moodtape.config import Config
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.loading import load_dataset
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

NOW = datetime(2024, 7, 1, tzinfo=UTC)
FIRST, END = datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
CONFIG = Config.model_validate(
    {
        "market": {"interval": "1d", "calendar": "XNYS"},
        "network": {"lookback_bars": 10},
        "target": {"names": ["return"]},
    }
)
TEXTS = [
    ("2024-01-02T15:00", "2024-01-02T15:10", "ACME opens a long and quiet crawl"),
    ("2024-03-07T22:30", "2024-03-07T22:40", "ACME soars on an evening call"),
    ("2024-03-08T20:30", "2024-03-08T20:40", "ACME gains before the bell"),
    ("2024-03-08T20:50", "2024-03-08T21:00", "ACME falls as the bell rings"),
    ("2024-03-09T15:00", "2024-03-09T15:20", "ACME plunges, a weekend paper says"),
    ("2024-03-10T23:00", "2024-03-10T23:05", "ACME rallies in talk on Sunday night"),
    ("2024-03-29T12:00", "2024-03-29T12:10", "ACME trades sideways on a holiday"),
    ("2024-03-30T15:00", "2024-03-30T15:10", "ACME ends the crawl"),
]


@pytest.fixture(scope="module")
def stocks(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return two stocks, one of them listed in February and halted for two sessions."""
    folder = tmp_path_factory.mktemp("stocks")
    warehouse = Warehouse(folder / "m.duckdb")
    days = get_calendar("XNYS").expected_opens(FIRST, END, timedelta(days=1))
    frames = []
    for seed, (symbol, own) in enumerate({"ACME": days, "LATE": days[25:]}.items()):
        close = 50 * np.exp(np.cumsum(0.01 * np.random.default_rng(seed).standard_normal(len(own))))
        bars = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
        table = pd.DataFrame({"date": own.astype("datetime64[D]").astype(str), "symbol": symbol})
        frames.append(table.assign(**bars, volume=1e6))
    frames[1] = frames[1].drop(index=[20, 21])
    texts = pd.DataFrame(TEXTS, columns=["published_at", "collected_at", "title"])
    for column in ("published_at", "collected_at"):
        texts[column] = pd.to_datetime(texts[column], utc=True)
    texts["symbol"] = "ACME"
    stored = {
        "bars": (pd.concat(frames), {"interval": "1d", "venue": "nyse", "quote": "USD"}),
        "documents": (texts, {"source": "news", "crawled": True}),
    }
    for what, (table, options) in stored.items():
        path = folder / f"{what}.parquet"
        table.to_parquet(path, index=False)
        said = ImportOptions(what, **options)
        done = import_file(warehouse, folder / "stage", path, said, CONFIG, what, NOW)
        assert done.counts.quarantined == 0, done.counts.reasons
    scorer = score_unscored(warehouse, LexiconScorer(), HourRules(), "score", NOW).scorer
    return load_dataset(warehouse, CONFIG, Request(("ACME", "LATE"), NOW, scorer))


def session(dataset: Dataset, day: str, symbol: int = 0) -> int:
    (row,) = np.flatnonzero((dataset.open_time == np.datetime64(day)) & (dataset.symbol == symbol))
    return int(row)


def texts_of(dataset: Dataset, day: str) -> int:
    place = [c.name for c in dataset.columns].index("news.count_last")
    return round(float(np.expm1(dataset.features[session(dataset, day), place])))


def test_a_bar_is_known_at_the_close_of_its_session(stocks: Dataset) -> None:
    closes = {"2024-03-08": "2024-03-08T21:00", "2024-03-11": "2024-03-11T20:00"}
    for day, close in closes.items():
        row = session(stocks, day)
        assert stocks.cutoff[row] == np.datetime64(close), "the clocks change on 10 March"
        assert stocks.decision_time[row] - stocks.cutoff[row] == np.timedelta64(120, "s")
    friday = stocks.targets["return_1"]
    assert friday.known_at[session(stocks, "2024-03-08")] == np.datetime64("2024-03-11T20:00")


def test_weekends_and_holidays_are_no_holes(stocks: Dataset) -> None:
    rows = stocks.symbol == 0
    assert not np.isnan(stocks.close[rows]).any()
    assert stocks.run_length[rows][-1] == rows.sum()
    assert not (stocks.open_time == np.datetime64("2024-03-29")).any(), "Good Friday"


def test_a_text_of_the_evening_or_the_weekend_reaches_the_next_session(stocks: Dataset) -> None:
    counts = {day: texts_of(stocks, day) for day in ("2024-03-07", "2024-03-08", "2024-03-11")}
    assert counts == {"2024-03-07": 0, "2024-03-08": 2, "2024-03-11": 3}
    assert texts_of(stocks, "2024-03-12") == 0
    assert texts_of(stocks, "2024-03-28") == 0


def test_histories_may_be_unequal(stocks: Dataset) -> None:
    first = stocks.cutoff[stocks.symbol == 1].min()
    assert first > to_datetime64(FIRST) + np.timedelta64(30, "D")
    holes = np.isnan(stocks.close[stocks.symbol == 1])
    assert holes.sum() == 2
    rows = stocks.decisions(10)
    assert (np.diff(stocks.cutoff[rows]) >= np.timedelta64(0, "us")).all()
    per_symbol = np.bincount(stocks.symbol[rows])
    assert 10 < per_symbol[1] < per_symbol[0] - 25
