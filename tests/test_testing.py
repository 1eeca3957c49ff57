"""The synthetic market, and what the whole line says of worlds whose truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import run_study
from moodtape.forecaster.answers import Answer, answer_all
from moodtape.forecaster.arms import arms_of
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.splits import make_folds
from moodtape.forecaster.verdict import CANNOT_TELL, HELPS
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.nlp.lexicon import probabilities, tone
from moodtape.settings import bundled_config
from moodtape.storage.db import Warehouse
from moodtape.testing import Market, store_market, synthetic_market

CONFIG = Config.model_validate({"verdict": {"forecaster": "linear"}})


def load(folder: Path, market: Market, config: Config = CONFIG) -> Dataset:
    warehouse = Warehouse(folder / "m.duckdb")
    scorer = store_market(warehouse, folder / "files", market, config)
    as_of = market.end + timedelta(days=1)
    return load_dataset(warehouse, config, Request(market.symbols, as_of, scorer))


def ask(dataset: Dataset, config: Config = CONFIG) -> dict[str, Answer]:
    folds = make_folds(dataset, config.network.lookback_bars, config.walk_forward)
    arms = arms_of(config, dataset, "sentiment", bundled_config("ablation.toml"))
    study = run_study(dataset, folds, arms, config, LINEAR)
    answers = answer_all([study], dataset, config, audit_clean=True)
    return {f"{a.symbol} {a.target}": a for a in answers}


@pytest.fixture(scope="module")
def drawn() -> Market:
    """Return 30,000 hours in which nothing has an effect."""
    return synthetic_market(np.random.default_rng(0), 30_000)


def returns(market: Market) -> np.ndarray:
    return np.diff(np.log(market.bars["close"].to_numpy()))


def test_bars_are_whole_and_have_fat_tails_and_clusters(drawn: Market) -> None:
    bars = drawn.bars
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all()
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["low"] > 0).all()
    assert (bars["open_time"].diff().dropna() == timedelta(hours=1)).all()
    moves = returns(drawn)
    assert np.mean(moves**4) / np.mean(moves**2) ** 2 > 5
    size = np.abs(moves)
    assert np.corrcoef(size[24:], size[:-24])[0, 1] > 0.03
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.03


def test_texts_are_known_in_the_hour_that_they_are_about(drawn: Market) -> None:
    table = drawn.documents
    assert (table["collected_at"] > table["published_at"]).all()
    same = table["collected_at"].dt.floor("h") == table["published_at"].dt.floor("h")
    assert same.all()
    assert table["title"].is_unique


def test_the_stated_tone_is_that_of_the_lexicon(drawn: Market) -> None:
    hour = drawn.documents["collected_at"].dt.floor("h")
    first = hour.iloc[0]
    scores = []
    for title in drawn.documents["title"][hour == first]:
        negative, _, positive = probabilities(tone(title))
        scores.append(positive - negative)
    row = int((first - drawn.bars["open_time"].iloc[0]) / timedelta(hours=1))
    assert drawn.tone[0, row] == pytest.approx(np.mean(scores))


def explained(market: Market) -> tuple[float, float]:
    """Return the share of the next bar's return and size that the tone of an hour explains."""
    moves, signal = returns(market), market.tone[0, :-1]
    scale = pd.Series(moves**2).rolling(168).mean().shift(1).to_numpy()
    ready = ~np.isnan(scale)
    z = moves[ready] / np.sqrt(scale[ready])
    size = np.log(np.abs(z) + 1e-3)
    pair = [np.corrcoef(x, signal[ready])[0, 1] ** 2 for x in (z, size)]
    return pair[0], pair[1]


def test_what_has_an_effect_is_what_was_stated(drawn: Market) -> None:
    of_return, of_size = explained(drawn)
    assert of_return < 3e-4
    assert of_size < 3e-4
    rng = np.random.default_rng(1)
    moved = explained(synthetic_market(rng, 30_000, driven="return", gain=0.03))
    assert moved[0] == pytest.approx(0.03, abs=0.008)
    stirred = explained(synthetic_market(rng, 30_000, driven="volatility", gain=0.05))
    assert stirred[0] < 3e-4
    assert stirred[1] > 0.005


def test_a_gain_of_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="share of variance"):
        synthetic_market(np.random.default_rng(0), 100, driven="return", gain=1.0)


def test_the_same_seed_draws_the_same_market() -> None:
    one, two = (synthetic_market(np.random.default_rng(3), 200, ("BTC", "ETH")) for _ in range(2))
    pd.testing.assert_frame_equal(one.bars, two.bars)
    pd.testing.assert_frame_equal(one.documents, two.documents)


def test_the_tone_arrives_in_the_features(tmp_path: Path) -> None:
    market = synthetic_market(np.random.default_rng(4), 300)
    dataset = load(tmp_path, market)
    names = [c.name for c in dataset.columns]
    found = dataset.features[:, names.index("news.tone_last")]
    with_texts = ~np.isnan(found)
    assert 0.7 < with_texts.mean() < 1
    np.testing.assert_allclose(found[with_texts], market.tone[0][with_texts], atol=2e-6)


def test_a_planted_effect_is_found(tmp_path: Path) -> None:
    market = synthetic_market(np.random.default_rng(2), 2500, driven="return", gain=0.03)
    found = ask(load(tmp_path, market))
    for target in ("return", "direction"):
        answer = found[f"BTC {target}"]
        assert answer.verdict.word == HELPS, (target, answer.verdict)
        assert 0.005 < answer.effect < 0.05
    assert found["BTC volatility"].verdict.word == CANNOT_TELL


def test_texts_that_say_nothing_do_not_help(tmp_path: Path) -> None:
    found = ask(load(tmp_path, synthetic_market(np.random.default_rng(0), 2500)))
    assert [a.verdict.word for a in found.values()] == [CANNOT_TELL] * 3, found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 30))
def test_texts_that_say_nothing_never_help_in_more_worlds(tmp_path: Path, seed: int) -> None:
    found = ask(load(tmp_path, synthetic_market(np.random.default_rng(seed), 2500)))
    assert HELPS not in {a.verdict.word for a in found.values()}


@pytest.mark.slow
def test_a_planted_effect_on_volatility_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    market = synthetic_market(rng, 5000, driven="volatility", gain=0.06)
    found = ask(load(tmp_path, market))
    assert found["BTC volatility"].verdict.word == HELPS
    assert found["BTC return"].verdict.word != HELPS


def test_two_symbols_are_fitted_together_and_answered_apart(tmp_path: Path) -> None:
    config = Config.model_validate({"target": {"names": ("return",), "horizons": (1, 4)}})
    market = synthetic_market(
        np.random.default_rng(5), 1200, ("BTC", "ETH"), driven="return", gain=0.2
    )
    dataset = load(tmp_path, market, config)
    folds = make_folds(dataset, config.network.lookback_bars, config.walk_forward)
    assert set(dataset.symbol[folds[0].train]) == {0, 1}
    arms = arms_of(config, dataset, "sentiment", bundled_config("ablation.toml"))
    study = run_study(dataset, folds, arms, config, LINEAR)
    answers = answer_all([study], dataset, config, audit_clean=True)
    assert [(a.symbol, a.horizon_bars) for a in answers] == [
        ("BTC", 1), ("BTC", 4), ("ETH", 1), ("ETH", 4),
    ]  # fmt: skip
    for one in answers:
        if one.horizon_bars == 1:
            assert one.effect > 0.05
            assert one.evidence.against["null"] is not None
            assert one.evidence.against["null"].p_better < config.verdict.level


def test_daily_bars_of_an_exchange_run_through(tmp_path: Path) -> None:
    dataset, config = daily_panel(tmp_path)
    days = dataset.cutoff[dataset.symbol == 0].astype("datetime64[D]")
    assert np.is_busday(days).all()
    assert np.datetime64("2022-07-04") not in days, "the exchange was closed"
    friday = np.flatnonzero(days == np.datetime64("2022-11-25"))[0]
    assert dataset.cutoff[friday] == np.datetime64("2022-11-25T18:00"), "a short session"
    known = dataset.targets["return_5"].known_at[friday]
    assert known == np.datetime64("2022-12-02T21:00"), "five sessions later"
    assert not np.isnan(dataset.targets["return_5"].y[friday])
    found = ask(dataset, config)
    assert set(found) == {"SPY return", "QQQ return"}
    for one in found.values():
        assert one.evidence.against["null"] is not None
        assert one.evidence.against["null"].block >= 10, "two horizons of sessions"


def test_warm_up_before_a_span_counts_sessions(tmp_path: Path) -> None:
    from moodtape.records import Span

    whole, config = daily_panel(tmp_path)
    span = Span(datetime(2023, 10, 2, tzinfo=UTC), whole.span.until)
    request = Request(("SPY", "QQQ"), datetime(2024, 2, 1, tzinfo=UTC), scorer(tmp_path), span)
    part = load_dataset(Warehouse(tmp_path / "m.duckdb"), config, request)
    for symbol in (0, 1):
        rows = [r for r in part.decisions(20) if part.symbol[r] == symbol]
        of_whole = np.flatnonzero(whole.symbol == symbol)
        at = of_whole[np.searchsorted(whole.cutoff[of_whole], part.cutoff[rows])]
        assert np.array_equal(whole.features[at], part.features[rows], equal_nan=True)


def scorer(folder: Path) -> str:
    return (folder / "scorer").read_text()


def daily_panel(folder: Path) -> tuple[Dataset, Config]:
    """Return two years of daily bars of two shares, with a few headlines a week."""
    from moodtape.calendars import get_calendar
    from moodtape.nlp.lexicon import LexiconScorer
    from moodtape.nlp.score import score_unscored
    from moodtape.storage.hours import HourRules

    values: dict[str, Any] = {
        "market": {"interval": "1d", "calendar": "XNYS"},
        "network": {"lookback_bars": 20},
        "target": {"names": ("return",), "horizons": (5,)},
        "walk_forward": {"folds": 2, "min_train_rows": 60, "embargo_bars": 5},
    }
    config = Config.model_validate(values)
    start, now = datetime(2022, 1, 3, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)
    days = get_calendar("XNYS").expected_opens(
        start, datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
    )
    rng = np.random.default_rng(6)
    warehouse, tables = Warehouse(folder / "m.duckdb"), []
    for symbol in ("SPY", "QQQ"):
        close = 400 * np.exp(np.cumsum(0.01 * rng.standard_normal(len(days))))
        opened = np.concatenate([close[:1], close[:-1]])
        tables.append(
            pd.DataFrame(
                {
                    "date": pd.DatetimeIndex(days).tz_localize("UTC"),
                    "symbol": symbol,
                    "open": opened,
                    "high": np.maximum(opened, close) * 1.002,
                    "low": np.minimum(opened, close) * 0.998,
                    "close": close,
                    "volume": 1e6,
                }
            )
        )
    published = [start + timedelta(hours=float(h)) for h in np.sort(rng.uniform(0, 17_000, 500))]
    headlines = pd.DataFrame(
        {
            "published_at": published,
            "collected_at": [t + timedelta(minutes=5) for t in published],
            "title": [
                f"Shares {('surge', 'slump', 'sit idle')[i % 3]} as desk {i} writes its notes"
                for i in range(500)
            ],
            "symbol": [("SPY", "QQQ")[i % 2] for i in range(500)],
        }
    )
    said = {
        "bars": ImportOptions("bars", interval="1d", venue="nyse", quote="USD", calendar="XNYS"),
        "documents": ImportOptions("documents", source="news", collection="wire", crawled=True),
    }
    for name, table in (("bars", pd.concat(tables)), ("documents", headlines)):
        path = folder / f"{name}.parquet"
        table.to_parquet(path, index=False)
        result = import_file(warehouse, folder / "stage", path, said[name], config, name, now)
        assert result.counts.quarantined == 0, result.counts.reasons
    scored = score_unscored(warehouse, LexiconScorer(), HourRules(), "score", now)
    (folder / "scorer").write_text(scored.scorer)
    request = Request(("SPY", "QQQ"), now, scored.scorer)
    return load_dataset(warehouse, config, request), config
