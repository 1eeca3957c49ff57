"""A small real warehouse for audits: bars with a gap and corrections, texts, a daily metric."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from moodtape.audit import AuditResult, audit, run
from moodtape.config import Config
from moodtape.forecaster.dataset import Request
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.score import score_unscored
from moodtape.records import Poll, Span
from moodtape.storage.collected import store_polls
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.storage.perturb import Near, Scratch, open_scratch
from moodtape.storage.write import Merge

START = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARS = 600
CUT = START + timedelta(hours=470, minutes=2)
NOW = START + 700 * HOUR
RULES = HourRules()


@dataclass(frozen=True)
class Study:
    """What an audit is given."""

    warehouse: Warehouse
    config: Config
    request: Request
    rules: HourRules
    workdir: Path

    def audit(self, **options: Any) -> AuditResult:
        return audit(self.warehouse, self.config, self.request, self.rules, self.workdir, **options)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the search for the distance out, and small matrices to one thread."""
    monkeypatch.setattr(run, "LOOK_STEPS", 0)
    with threadpool_limits(1):
        yield


@pytest.fixture
def distance(monkeypatch: pytest.MonkeyPatch, _quick: None) -> None:
    """Let audits search how far an offender looked ahead."""
    monkeypatch.setattr(run, "LOOK_STEPS", 6)


@pytest.fixture(scope="session")
def config() -> Config:
    return Config.model_validate(
        {
            "market": {"symbols": ["BTC"]},
            "sentiment": {"scorer": "lexicon", "sources": ["news", "reddit"]},
            "features": {"metrics": ["AdrActCnt", "fear_greed"]},
            "target": {"names": ["return"], "horizons": [1, 6]},
            "network": {"lookback_bars": 12, "sentiment_lookback_bars": 6},
            "walk_forward": {"folds": 2, "min_train_rows": 60, "embargo_bars": 6},
            "ablation": {"also": [], "baselines": []},
        }
    )


@pytest.fixture(scope="session")
def study(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study of 600 hours; audits only read its warehouse."""
    folder = tmp_path_factory.mktemp("audit")
    warehouse = Warehouse(folder / "moodtape.duckdb")
    rng = np.random.default_rng(11)
    market, corrected = bars(rng)
    store = Importer(warehouse, folder, config)
    store("bars", market[market.open_time < START + 400 * HOUR], START + 400 * HOUR)
    store("bars", corrected, START + 403 * HOUR)
    store("bars", market[market.open_time >= START + 400 * HOUR], NOW)
    store("metrics", metrics(rng), NOW, provider="coinmetrics")
    store("bars", bars(np.random.default_rng(12))[0], NOW, symbol="ETH")
    store("documents", news(rng), NOW, source="news", crawled=True)
    store("documents", posts(rng), NOW, source="reddit")
    with warehouse.write() as connection:
        store_polls(connection, "news", polls(rng), Merge("polls", NOW))
    scorer = score_unscored(warehouse, LexiconScorer(), RULES, "score", NOW).scorer
    span = Span(START + 100 * HOUR, START + BARS * HOUR)
    request = Request(("BTC",), as_of=NOW, scorer=scorer, span=span)
    return Study(warehouse, config, request, RULES, folder)


@dataclass
class Importer:
    """Brings tables in through files, as users do."""

    warehouse: Warehouse
    folder: Path
    config: Config
    count: int = 0

    def __call__(self, what: str, table: pd.DataFrame, now: datetime, **options: object) -> None:
        self.count += 1
        path = self.folder / f"{what}_{self.count}.parquet"
        table.to_parquet(path, index=False)
        if what == "bars":
            of_bars = {"symbol": "BTC", "interval": "1h", "venue": "binance", "quote": "USDT"}
            options = of_bars | options
        said = ImportOptions(what, **options)
        run = f"import {self.count}"
        import_file(self.warehouse, self.folder / "staging", path, said, self.config, run, now)


def bars(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return hourly bars with a hole of three, and corrections of some of them."""
    close = 80_000 * np.exp(np.cumsum(rng.standard_t(5, BARS) * 0.004))
    opened = np.concatenate([[80_000], close[:-1]])
    wide = 1 + np.abs(rng.standard_normal((2, BARS))) * 0.003
    table = pd.DataFrame(
        {
            "open_time": [START + i * HOUR for i in range(BARS)],
            "open": opened,
            "high": np.maximum(opened, close) * wide[0],
            "low": np.minimum(opened, close) / wide[1],
            "close": close,
            "volume": rng.lognormal(3, 1, BARS),
        }
    )
    table["taker_buy_volume"] = table["volume"] * np.abs(np.sin(np.arange(BARS)))
    corrected = table.iloc[[330, 380, 398]].copy()
    corrected["close"] *= 1.0005
    corrected["high"] = corrected[["high", "close"]].max(axis=1)
    return table.drop(index=[150, 151, 152]), corrected


def polls(rng: np.random.Generator) -> list[Poll]:
    """Return polls of two feeds around the hours, most of them good."""
    states = rng.choice(["ok", "empty", "capped", "down", "refused", "unreadable"], (2, BARS),
                        p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05])  # fmt: skip
    return [
        Poll(f"feed {feed}", states[feed, i], START + i * HOUR + timedelta(minutes=int(minute)), 0)
        for feed in range(2)
        for i, minute in enumerate(rng.integers(0, 60, BARS))
    ]


def metrics(rng: np.random.Generator) -> pd.DataFrame:
    """Return a metric by day, a month before the bars too; one day is missing."""
    days = pd.date_range(START - timedelta(days=40), START + BARS * HOUR, freq="D", tz="UTC")
    table = pd.DataFrame({"date": days, "AdrActCnt": 9e5 * rng.lognormal(0, 0.1, len(days))})
    return table.drop(index=55)


WORDS = ("soars", "crashes", "trades sideways", "rallies", "plunges", "sits idle", "gains", "falls")


def news(rng: np.random.Generator) -> pd.DataFrame:
    """Return headlines known an hour or two after publication; some stale, repeated, revised."""
    published = np.sort(rng.uniform(0, BARS, 240))
    delay = np.where(np.arange(240) % 17 == 0, 9.0, rng.uniform(0.3, 3.0, 240))
    about = np.where(rng.uniform(size=240) < 0.7, "bitcoin", "the stock market")
    title = [
        f"{about[i]} {WORDS[rng.integers(8)]} as traders in town {i} watch closely"
        for i in range(240)
    ]
    for i in range(20, 240, 20):
        title[i] = title[i - 1]
    table = pd.DataFrame(
        {
            "id": [f"n{i}" for i in range(240)],
            "title": title,
            "published_at": [START + h * HOUR for h in published],
            "collected_at": [START + h * HOUR for h in published + delay],
        }
    )
    revised = table.iloc[5::11].copy()
    revised["title"] = ["bitcoin crashes and plunges, says a second look"] * len(revised)
    revised["collected_at"] += timedelta(hours=5)
    return pd.concat([table, revised])


def posts(rng: np.random.Generator) -> pd.DataFrame:
    """Return posts without a collection time, with reactions read nobody knows when."""
    published = np.sort(rng.uniform(0, BARS, 120))
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(120)],
            "title": [f"Why bitcoin {WORDS[rng.integers(8)]} on day {i} again" for i in range(120)],
            "created_utc": [START + h * HOUR for h in published],
            "score": rng.integers(0, 500, 120),
            "removed": rng.uniform(size=120) < 0.2,
        }
    )


@pytest.fixture(scope="session")
def before(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """Return the study's rows as they are."""
    with scratch(study, tmp_path_factory.mktemp("before")) as made:
        yield made


@pytest.fixture(scope="session")
def after(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """Return the study's rows with another future after CUT."""
    folder = tmp_path_factory.mktemp("after")
    with scratch(study, folder) as made, made.another_future(CUT, 5):
        yield made


def scratch(study: Study, spill: Path) -> AbstractContextManager[Scratch]:
    near = Near(
        symbols=("BTC",),
        interval="1h",
        bars_until=START + 1000 * HOUR,
        metrics=("AdrActCnt",),
        scorer=study.request.scorer or "",
        texts=Span(START, START + 1000 * HOUR),
        as_of=study.request.as_of,
    )
    return open_scratch(study.warehouse, near, study.rules, spill)
