"""What the other assets did, as of each decision, by hand and through the warehouse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from moodtape.config import Config
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.others import MEANS, others_rows
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage.db import Warehouse

NAN = np.nan
START, HOUR = datetime(2024, 3, 1, tzinfo=UTC), timedelta(hours=1)
LATE = START + 400 * HOUR


def hours(*numbers: int) -> np.ndarray:
    return np.datetime64("2024-01-01", "us") + np.array(numbers) * np.timedelta64(1, "h")


def shown(*returns: float) -> np.ndarray:
    return np.tile(np.array(returns)[:, None], len(MEANS))


def test_a_row_sees_the_mean_of_the_others_and_never_itself() -> None:
    cutoffs = [hours(1, 2, 3), hours(2, 3), hours(1, 2, 3, 4)]
    columns = [shown(0.1, 0.2, 0.3), shown(-0.2, NAN), shown(0.4, 0.6, 0.8, 1.0)]
    a, b, c = others_rows(cutoffs, columns, 3)
    np.testing.assert_allclose(a[:, 0], [0.4, (0.6 - 0.2) / 2, 0.8])
    np.testing.assert_allclose(b[:, 0], [(0.2 + 0.6) / 2, (0.3 + 0.8) / 2])
    np.testing.assert_allclose(c[:, 0], [0.1, (0.2 - 0.2) / 2, 0.3, NAN], atol=1e-15)
    np.testing.assert_allclose(a[:, -1], [1, 0.5, 1], err_msg="share that rose")


def test_peers_are_seen_and_have_no_rows() -> None:
    made = list(others_rows([hours(1, 2), hours(1, 2)], [shown(0.1, 0.2), shown(0.3, 0.4)], 1))
    assert len(made) == 1
    np.testing.assert_allclose(made[0][:, 0], [0.3, 0.4])


def bars(symbol: str, seed: int, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(count)))
    opened = np.concatenate([[100.0], close[:-1]])
    return pd.DataFrame(
        {
            "open_time": [START + i * HOUR for i in range(count)],
            "symbol": symbol,
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": 5.0,
        }
    )


class Market:
    """A warehouse with hourly bars of three assets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, 0
        self.warehouse = Warehouse(folder / "m.duckdb")
        for seed, (symbol, count) in enumerate({"BTC": 200, "ETH": 150, "XRP": 200}.items()):
            self.take(bars(symbol, seed, count), START + 300 * HOUR)

    def take(self, table: pd.DataFrame, now: datetime) -> None:
        self.files += 1
        path = self.folder / f"{self.files}.parquet"
        table.to_parquet(path, index=False)
        options = ImportOptions("bars", interval="1h", venue="test", quote="USD")
        import_file(
            self.warehouse, self.folder / "stage", path, options, Config(), f"r{self.files}", now
        )

    def load(
        self, *symbols: str, as_of: datetime = START + 400 * HOUR, **features: object
    ) -> Dataset:
        config = Config.model_validate(
            {
                "network": {"lookback_bars": 10},
                "features": features,
                "target": {"names": ["return"]},
            }
        )
        return load_dataset(self.warehouse, config, Request(symbols, as_of, None))


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def column(dataset: Dataset, name: str, symbol: int = 0) -> pd.Series:
    place = [c.name for c in dataset.columns].index(name)
    rows = dataset.symbol == symbol
    return pd.Series(dataset.features[rows, place], index=dataset.cutoff[rows])


def test_the_other_of_two_is_the_other_as_it_shows_itself(market: Market) -> None:
    both = market.load("BTC", "ETH")
    for name in MEANS:
        theirs, seen = column(both, name, 1), column(both, f"others.{name}", 0)
        np.testing.assert_allclose(seen.loc[theirs.index], theirs, atol=1e-12)
        assert seen.iloc[150:].isna().all(), "ETH has no bars any more"
    assert (column(both, "others.missing", 0).iloc[150:] == 1).all()


def test_one_asset_alone_has_no_others_unless_it_is_given_peers(market: Market) -> None:
    alone = [c.name for c in market.load("ETH").columns]
    assert not any(name.startswith("others.") for name in alone)
    peered = market.load("ETH", peers=["XRP"])
    assert peered.symbols == ("ETH",)
    pair = market.load("ETH", "XRP")
    for name in MEANS:
        pd.testing.assert_series_equal(
            column(peered, f"others.{name}"), column(pair, f"others.{name}"), check_names=False
        )
    off = market.load("BTC", "ETH", others=False)
    assert [c.name for c in off.columns] == alone


def test_a_correction_of_another_asset_reaches_later_decisions_only(market: Market) -> None:
    before = market.load("BTC", "XRP")
    corrected = bars("XRP", 2, 200).iloc[100:101].copy()
    corrected[["close", "high"]] *= 1.2
    known = START + timedelta(hours=120, minutes=30)
    market.take(corrected, known)
    after = market.load("BTC", "XRP")
    one, two = column(before, "others.realised_24"), column(after, "others.realised_24")
    changed = one.index[(one != two) & ~(one.isna() & two.isna())]
    assert changed.min() == np.datetime64((known + HOUR / 2).replace(tzinfo=None))
    assert changed.max() == np.datetime64((START + 125 * HOUR).replace(tzinfo=None))


def test_later_bars_of_the_others_change_no_earlier_row(market: Market) -> None:
    cut = START + 140 * HOUR
    then = market.load("BTC", "ETH", as_of=cut)
    now = market.load("BTC", "ETH")
    rows = then.cutoff[then.symbol == 0]
    for name in (*MEANS, "up_1"):
        old, new = column(then, f"others.{name}"), column(now, f"others.{name}").loc[rows]
        assert old.to_numpy().tobytes() == new.to_numpy().tobytes(), name
