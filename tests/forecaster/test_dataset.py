"""The whole way from files to the feature matrix, with cells worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.config import Config
from moodtape.errors import ConfigError, DataMissing
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.loading import load_dataset
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import LexiconScorer, probabilities, tone
from moodtape.nlp.registry import scorer_id
from moodtape.nlp.score import score_unscored
from moodtape.records import Span
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

START = datetime(2024, 3, 1, tzinfo=UTC)
NOW = datetime(2024, 6, 1, tzinfo=UTC)
HOURS = 24 * 14
GOOD = "Bitcoin soars past every doubt while the desk in Oslo sleeps"
BAD = "Bitcoin plunges hard while the desk in Quito keeps selling"
CONFIG = Config.model_validate({"network": {"lookback_bars": 10}})
SCORER = scorer_id(LexiconScorer())


def at(day: int, clock: str) -> datetime:
    """Return an instant of March 2024."""
    hour, minute = clock.split(":")
    return datetime(2024, 3, day, int(hour), int(minute), tzinfo=UTC)


class Line:
    """A warehouse and a short way to bring tables into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = Warehouse(folder / "m.duckdb")
        self.files = 0

    def take(self, what: Any, table: pd.DataFrame, now: datetime = NOW, **options: Any) -> None:
        self.files += 1
        path = self.folder / f"table_{self.files}.parquet"
        table.to_parquet(path, index=False)
        said = ImportOptions(what, **options)
        run = f"run {self.files}"
        result = import_file(self.warehouse, self.folder / "stage", path, said, CONFIG, run, now)
        assert result.counts.quarantined == 0, result.counts.reasons

    def score(self) -> None:
        # Texts here differ by a word or two, and are meant to be different ones.
        rules = HourRules(repost_similarity=1.0)
        score_unscored(self.warehouse, LexiconScorer(), rules, "score", NOW)

    def load(self, config: Config = CONFIG, **request: Any) -> Dataset:
        base = Request(("BTC",), NOW, SCORER)
        return load_dataset(self.warehouse, config, replace(base, **request))


def hourly(close: np.ndarray, symbol: str = "BTC") -> pd.DataFrame:
    opened = np.concatenate([close[:1], close[:-1]])
    return pd.DataFrame(
        {
            "open_time": [START + timedelta(hours=i) for i in range(len(close))],
            "symbol": symbol,
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": 10.0 + np.arange(len(close)) % 7,
        }
    )


def walk(seed: int = 0, count: int = HOURS) -> np.ndarray:
    return 50_000 * np.exp(np.cumsum(0.005 * np.random.default_rng(seed).standard_normal(count)))


def texts(rows: list[tuple[datetime, datetime, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["published_at", "collected_at", "title", "symbol"])


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """Return a warehouse with two weeks of bars."""
    made = Line(tmp_path)
    made.take("bars", hourly(walk()), interval="1h", venue="test", quote="USD")
    return made


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Return a data set of bars, a hole, a handful of texts and a daily metric."""
    made = Line(tmp_path_factory.mktemp("filled"))
    bars = hourly(walk()).drop(index=200)
    made.take("bars", bars, interval="1h", venue="test", quote="USD")
    rows = [
        (at(1, "00:05"), at(1, "00:10"), "First words of a long and quiet crawl", "ETH"),
        (at(5, "10:20"), at(5, "10:30"), GOOD, "BTC"),
        (at(6, "09:50"), at(6, "10:30"), BAD, "BTC"),
        (at(7, "10:10"), at(7, "11:00"), f"{GOOD} again today", "BTC"),
        (at(8, "10:05"), at(8, "10:06"), f"{GOOD} once more", "BTC"),
        (at(8, "10:40"), at(8, "10:50"), f"{BAD} once more", "BTC"),
        (at(9, "02:00"), at(9, "10:30"), f"{GOOD} but heard late", "BTC"),
        (at(14, "23:00"), at(14, "23:30"), "Last words of a long and quiet crawl", "ETH"),
    ]
    made.take("documents", texts(rows), source="news", collection="desk", crawled=True)
    made.score()
    days = [START - timedelta(days=20) + timedelta(days=i) for i in range(34)]
    metric = pd.DataFrame({"date": [d.date() for d in days], "TxCnt": np.arange(34.0) ** 2})
    made.take("metrics", metric, symbol="BTC", provider="test", lag="6h", label="start")
    return made.load()


def cell(dataset: Dataset, column: str, cutoff: datetime) -> float:
    names = [c.name for c in dataset.columns]
    row = dataset.cutoff == np.datetime64(cutoff.replace(tzinfo=None), "us")
    assert row.sum() == 1
    return float(dataset.features[row, names.index(column)][0])


def lexicon_tone(text: str) -> float:
    negative, _, positive = probabilities(tone(text))
    return positive - negative


def test_a_text_reaches_the_decision_after_the_hour_in_which_it_was_known(filled: Dataset) -> None:
    assert cell(filled, "news.count_last", at(5, "10:00")) == 0
    assert cell(filled, "news.count_last", at(5, "11:00")) == pytest.approx(np.log(2))
    assert cell(filled, "news.count_last", at(5, "12:00")) == 0
    assert cell(filled, "news.tone_last", at(5, "11:00")) == pytest.approx(
        lexicon_tone(GOOD), abs=2e-6
    )
    assert np.isnan(cell(filled, "news.tone_last", at(5, "10:00")))


def test_what_counts_is_when_it_was_known_and_not_when_it_was_published(filled: Dataset) -> None:
    assert cell(filled, "news.count_last", at(6, "10:00")) == 0
    assert cell(filled, "news.tone_last", at(6, "11:00")) == pytest.approx(
        lexicon_tone(BAD), abs=2e-6
    )


def test_a_text_known_at_the_cutoff_waits_for_the_next(filled: Dataset) -> None:
    assert cell(filled, "news.count_last", at(7, "11:00")) == 0
    assert cell(filled, "news.count_last", at(7, "12:00")) == pytest.approx(np.log(2))


def test_an_hour_is_the_mean_of_its_texts(filled: Dataset) -> None:
    assert cell(filled, "news.count_last", at(8, "11:00")) == pytest.approx(np.log(3))
    mean = (lexicon_tone(f"{GOOD} once more") + lexicon_tone(f"{BAD} once more")) / 2
    assert cell(filled, "news.tone_last", at(8, "11:00")) == pytest.approx(mean, abs=2e-6)


def test_a_text_heard_eight_hours_late_is_no_news(filled: Dataset) -> None:
    assert cell(filled, "news.count_last", at(9, "11:00")) == 0


def test_texts_about_another_coin_do_not_count_but_show_that_somebody_watched(
    filled: Dataset,
) -> None:
    assert cell(filled, "news.count_last", at(15, "00:00")) == 0
    assert cell(filled, "news.observed", at(15, "00:00")) == 1
    before = replace(filled)
    first = before.cutoff[0]
    assert first == np.datetime64("2024-03-01T01:00")
    assert cell(filled, "news.observed", at(1, "01:00")) == 1


def test_a_decayed_tone_by_hand(filled: Dataset) -> None:
    decay = 0.5 ** (1 / 6)
    good, bad = lexicon_tone(GOOD), lexicon_tone(BAD)
    age_good, age_bad = 24 + 3, 3
    weights = decay**age_good, decay**age_bad
    expected = (weights[0] * good + weights[1] * bad) / sum(weights)
    assert cell(filled, "news.tone_6h", at(6, "14:00")) == pytest.approx(expected, abs=1e-5)


def test_a_daily_metric_is_joined_on_when_it_was_known(filled: Dataset) -> None:
    """The value of day D, ended at midnight and known six hours later, is new at 06:00."""

    def age(day: int, clock: str) -> float:
        return 7 * cell(filled, "TxCnt@test.age", at(day, clock))

    delay = 120 / 86_400
    assert age(5, "05:00") == pytest.approx(1 + 5 / 24 + delay)
    assert age(5, "06:00") == pytest.approx(6 / 24 + delay)
    assert age(5, "07:00") == pytest.approx(7 / 24 + delay)


def test_a_metrics_level_against_the_slow_way(filled: Dataset) -> None:
    def known(when: datetime) -> float:
        # The last day that ended at least six hours before; day 0 is twenty before the start.
        done = int((when - timedelta(hours=6) - START) / timedelta(days=1) + 1000) - 1000 - 1
        return float((20 + done) ** 2)

    cutoff = at(12, "15:00")
    shown = [known(at(12, "15:02") - timedelta(hours=k)) for k in range(24 * 30)]
    inside = [v for k, v in enumerate(shown) if cutoff - timedelta(hours=k) > START]
    expected = (shown[0] - np.mean(inside)) / np.std(inside)
    assert cell(filled, "TxCnt@test.level", cutoff) == pytest.approx(expected)


def test_returns_and_answers_stand_on_either_side_of_the_close(filled: Dataset) -> None:
    close = walk()
    row = 100
    assert filled.close[row] == pytest.approx(close[row])
    assert cell(filled, "ret_1", START + timedelta(hours=101)) == pytest.approx(
        np.log(close[100] / close[99])
    )
    assert filled.targets["return_1"].y[row] == pytest.approx(np.log(close[101] / close[100]))
    assert filled.targets["return_1"].known_at[row] == filled.cutoff[row + 1]
    assert filled.decision_time[row] - filled.cutoff[row] == np.timedelta64(120, "s")


def test_a_hole_ends_windows_and_answers(filled: Dataset) -> None:
    assert np.isnan(filled.close[200])
    assert np.isnan(filled.targets["return_1"].y[[199, 200]]).all()
    assert filled.run_length[[199, 200, 201]].tolist() == [200, 0, 1]
    usable = filled.decisions(10)
    assert not np.isin(np.arange(200, 210), usable).any()
    assert np.isin([199, 210], usable).all()
    assert filled.notes["missing_bars"] == 1


def test_every_column_is_described(filled: Dataset) -> None:
    assert len(filled.columns) == filled.features.shape[1]
    names = [c.name for c in filled.columns]
    assert len(set(names)) == len(names)
    assert filled.streams == ("news", "news_market")
    assert filled.metrics == ("TxCnt@test",)
    marked = {c.name for c in filled.columns if c.polarity}
    tones = ("tone_last", "tone_6h", "tone_48h", "spread_48h")
    assert marked == {f"{s}.{t}" for s in filled.streams for t in tones}


def test_loading_twice_gives_the_same_bits(line: Line) -> None:
    assert line.load(scorer=None).fingerprint() == line.load(scorer=None).fingerprint()


def test_without_texts_there_are_no_streams(line: Line) -> None:
    for dataset in (line.load(), line.load(scorer=None)):
        assert dataset.streams == ()
        assert not len(dataset.group("sentiment"))


def test_a_span_bounds_decisions_and_changes_no_cell(line: Line) -> None:
    whole = line.load(scorer=None)
    part = line.load(scorer=None, span=Span(at(8, "00:00"), at(10, "00:00")))
    rows = part.decisions(10)
    times = part.decision_time[rows]
    assert times.min() == np.datetime64("2024-03-08T00:02")
    assert times.max() == np.datetime64("2024-03-09T23:02")
    in_whole = np.searchsorted(whole.cutoff, part.cutoff[rows])
    assert np.array_equal(whole.features[in_whole], part.features[rows], equal_nan=True)
    y = part.targets["return_1"].y[rows]
    assert not np.isnan(y).any(), "the answer of the last decision lies after the span"


def test_a_span_ends_with_the_bars(line: Line) -> None:
    span = Span(START, START + timedelta(days=900))
    until = line.load(scorer=None, span=span).span.until
    assert until - (START + timedelta(hours=HOURS)) < timedelta(minutes=3)
    early = line.load(scorer=None, as_of=at(9, "12:30"))
    assert early.span.until - at(9, "12:00") < timedelta(minutes=3)
    assert early.cutoff[-1] == np.datetime64("2024-03-09T12:00")


def test_a_correction_reaches_later_decisions_only(line: Line) -> None:
    before = line.load(scorer=None)
    table = hourly(walk())
    table.loc[150, ["close", "high"]] *= 1.05
    line.take("bars", table[150:151], at(9, "00:30"), interval="1h", venue="test", quote="USD")
    after = line.load(scorer=None)
    assert after.notes["corrected_bars"] == 1
    known = np.datetime64("2024-03-09T00:30")
    changed = (before.features != after.features) & ~np.isnan(before.features)
    rows = np.flatnonzero(changed.any(axis=1))
    assert (after.decision_time[rows] >= known).all()
    assert after.decision_time[rows[0]] == np.datetime64("2024-03-09T01:02")
    assert np.array_equal(before.close, after.close), "answers settle on the first version"


def test_an_unknown_symbol_and_an_empty_span_say_what_to_run(line: Line) -> None:
    with pytest.raises(DataMissing, match="moodtape import bars FILE --symbol SOL"):
        line.load(symbols=("SOL",))
    late = Span(datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC))
    with pytest.raises(DataMissing, match="No 1h bars for BTC between 2025-01-01"):
        line.load(span=late)
    with pytest.raises(DataMissing, match="were known by 2023-01-01"):
        line.load(as_of=datetime(2023, 1, 1, tzinfo=UTC))


def test_a_study_without_price_is_refused(line: Line) -> None:
    bare = Config.model_validate({"features": {"groups": ("calendar", "sentiment")}})
    with pytest.raises(ConfigError, match="must hold 'price'"):
        line.load(bare)


def test_symbols_stand_one_under_the_other(line: Line) -> None:
    line.take("bars", hourly(walk(9, 200), "ETH"), interval="1h", venue="test", quote="USD")
    both = line.load(symbols=("BTC", "ETH"), scorer=None)
    assert np.bincount(both.symbol).tolist() == [HOURS, 200]
    alone = line.load(symbols=("ETH",), scorer=None)
    names = [c.name for c in both.columns]
    own = [names.index(c.name) for c in alone.columns]
    rows = np.flatnonzero(both.symbol == 1)
    assert np.array_equal(both.features[np.ix_(rows, own)], alone.features, equal_nan=True)
    rows = both.decisions(10)
    assert (np.diff(both.cutoff[rows]) >= np.timedelta64(0, "us")).all()
    assert np.isnan(both.targets["return_1"].y[HOURS - 1]), "no answer reaches the next symbol"


@pytest.mark.parametrize("cut", [at(6, "13:59"), at(9, "06:10"), at(12, "00:00")])
def test_what_was_known_later_changes_no_earlier_row(
    filled: Dataset, tmp_path: Path, cut: datetime
) -> None:
    def build(folder: Path, later: Callable[[pd.DataFrame], pd.DataFrame]) -> Dataset:
        made = Line(folder)
        folder.mkdir()
        bars = later(hourly(walk()))
        made.take("bars", bars, interval="1h", venue="test", quote="USD")
        rng = np.random.default_rng(3)
        rows = []
        for i in range(150):
            known = START + timedelta(hours=float(rng.uniform(0, HOURS)))
            text = f"{(GOOD, BAD)[i % 2]} note {i}"
            if known > cut and later is not keep:
                text = f"{BAD} instead {i}"
            rows.append((known - timedelta(minutes=20), known, text, "BTC"))
        made.take("documents", texts(rows), source="news", collection="desk", crawled=True)
        made.score()
        return made.load(streams=("news", "news_market"), span=Span(START, at(14, "23:00")))

    def keep(bars: pd.DataFrame) -> pd.DataFrame:
        return bars

    def wreck(bars: pd.DataFrame) -> pd.DataFrame:
        late = bars["open_time"] + timedelta(hours=1) > cut
        bars.loc[late, ["open", "high", "low", "close"]] *= 1.3
        bars.loc[late, "volume"] *= 5
        return bars

    one, other = build(tmp_path / "one", keep), build(tmp_path / "two", wreck)
    past = one.decision_time <= np.datetime64(cut.replace(tzinfo=None), "us")
    assert one.features[past].tobytes() == other.features[past].tobytes()
    assert one.features[~past].tobytes() != other.features[~past].tobytes()


def test_a_symbol_whose_bars_ended_long_ago_keeps_its_place_without_decisions(line: Line) -> None:
    later = hourly(walk(1, 400), "ETH")
    later["open_time"] += timedelta(days=60)
    line.take("bars", later, interval="1h", venue="test", quote="USD")
    span = Span(START + timedelta(days=76), START + timedelta(days=76, hours=6))
    found = line.load(symbols=("BTC", "ETH"), span=span, scorer=None)
    alone = line.load(symbols=("ETH",), span=span, scorer=None)
    assert found.symbols == ("BTC", "ETH")
    assert set(found.symbol[found.decisions(10)]) == {1}, "ETH is still the second"
    assert np.isnan(found.close[found.symbol == 0]).all()
    there, own = found.symbol == 1, found.columns.index(alone.columns[0])
    np.testing.assert_array_equal(found.features[there, own], alone.features[:, 0])
    peers = CONFIG.features.model_copy(update={"peers": ("BTC",)})
    config = CONFIG.model_copy(update={"features": peers})
    with pytest.raises(DataMissing, match="No 1h bars for BTC between 2024-05-16"):
        line.load(config, symbols=("ETH",), span=span, scorer=None)
