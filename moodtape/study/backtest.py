"""A study's test forecasts, traded: which bars, which forecasts, what is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.clock import parse_instant
from moodtape.config import Config
from moodtape.errors import DataMissing, UsageError, did_you_mean
from moodtape.forecaster.arms import PLANTS
from moodtape.forecaster.report.tables import real_arm
from moodtape.forecaster.report.trading import Traded
from moodtape.forecaster.runs import RESULTS, find_run, read_json
from moodtape.forecaster.trading.assess import Rule
from moodtape.forecaster.trading.market import Market, fund_bars
from moodtape.storage import read
from moodtape.storage.db import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection as Connection

PREDICTIONS, CONFIG, BACKTEST = "predictions.parquet", "config.json", "backtest.json"
EARLIER = {"model": "arm", "forecast": "yhat"}
"""Columns of forecasts that an earlier version kept."""

TRADED = ("return", "direction")
FUNDING, PERP = "funding_rate", "perp"


@dataclass(frozen=True)
class Told:
    """The test forecasts of a finished study.

    table: one row a symbol, cutoff, target key, forecaster, arm and seed.
    model: the arm that reads everything; forecaster: the one that gave the word.
    """

    folder: Path
    config: Config
    as_of: Any
    table: pd.DataFrame
    forecaster: str
    model: str

    def questions(self) -> list[tuple[str, str, int]]:
        """Return (symbol, target, horizon in bars) of everything that can be traded on."""
        found = []
        for symbol, key in self.table[["symbol", "target"]].drop_duplicates().itertuples(False):
            target, _, horizon = key.rpartition("_")
            if target in TRADED:
                found.append((symbol, target, int(horizon)))
        return sorted(found)

    def forecasts(self, symbol: str, target: str, horizon: int) -> tuple[Any, dict[str, Any]]:
        """Return cut-offs (m,) in order, and by model the mean forecast over seeds (m,)."""
        mine = self.table[
            (self.table["symbol"] == symbol)
            & (self.table["target"] == f"{target}_{horizon}")
            & self.table["forecaster"].isin([self.forecaster, "baseline"])
        ]
        wide = mine.pivot_table(
            index="cutoff", columns="arm", values="yhat", aggfunc="mean", sort=True
        )
        cutoffs = _instants(wide.index.to_series())
        return cutoffs, {str(name): wide[name].to_numpy() for name in wide.columns}


def told_by(runs: Path, run: str | None, forecaster: str | None, model: str | None) -> Told:
    """Return the forecasts of a study: the newest, its word's forecaster and its full arm.

    Raises:
        DataMissing: no study has kept forecasts.
        UsageError: it has none by that forecaster or model, with those that it has.
    """
    import pandas as pd

    folder = find_run(runs, run, PREDICTIONS, "ablate")
    results = read_json(folder / RESULTS)
    if "question" not in results:
        raise DataMissing(
            f"{folder.name} is no study with arms. Run: moodtape ablate, or name one with --run"
        )
    table = pd.read_parquet(folder / PREDICTIONS).rename(columns=EARLIER)
    # What was planted knows the answers: nobody could have traded on it.
    planted = [arm["name"] for arm in results["arms"] if arm["treatment"] in PLANTS]
    table = table[~table["arm"].isin(planted)]
    told = forecaster or results["question"]["forecaster"]
    _must_be(told, sorted(set(table["forecaster"]) - {"baseline"}), "forecaster", folder)
    chosen = model or real_arm(results) or ""
    named = sorted(set(table.loc[table["forecaster"].isin([told, "baseline"]), "arm"]))
    _must_be(chosen, named, "model", folder)
    config = Config.model_validate(read_json(folder / CONFIG))
    return Told(folder, config, parse_instant(results["question"]["as_of"]), table, told, chosen)


def path_file(folder: Path, symbol: str, target: str, horizon_bars: int) -> Path:
    """Return where the path of one question lies: equity, position and trades by bar."""
    return folder / f"backtest_{symbol}_{target}_{horizon_bars}.parquet"


def traded_of(folder: Path) -> Traded | None:
    """Return what the newest backtest of a study left in its folder; None if there was none."""
    import pandas as pd

    if not (folder / BACKTEST).exists():
        return None
    results, paths = read_json(folder / BACKTEST), {}
    for row in results["results"]:
        asked = (row["symbol"], row["target"], row["horizon_bars"])
        if (file := path_file(folder, *asked)).exists():
            paths[asked] = pd.read_parquet(file, columns=["close_time", "close", "equity"])
    return Traded(results, paths)


def _must_be(name: str, known: Sequence[str], what: str, folder: Path) -> None:
    if name not in known:
        raise UsageError(
            f"{folder.name} has no forecasts of {what} {name!r}.{did_you_mean(name, known)}"
            f" It has: {', '.join(known)}."
        )


def market_of(connection: Connection, told: Told, symbol: str, instrument: str) -> Market:
    """Return a symbol's bars as they were first known; of a `perp` with the funding that is stored.

    Raises:
        DataMissing: the warehouse no longer has the bars.
        UsageError: rates of several providers are stored, none of which is the bars' venue.
    """
    market = told.config.market
    series = read.choose_series(
        connection, symbol, market.interval, market.venue.get(symbol), market.quote.get(symbol)
    )
    bars = read.bar_versions(connection, series, told.as_of)
    bars = bars[bars["version"] == 1]
    opens = _instants(bars["open_time"])
    rates = read.first_values(connection, symbol, FUNDING, told.as_of)
    paid = _payer(rates["provider"], series) if instrument == PERP else None
    rates = rates[rates["provider"] == paid]
    due = _instants(rates["period_end"])
    funding = fund_bars(opens, due, rates["value"].to_numpy(float))
    first, high, low, last = (bars[n].to_numpy(float) for n in ("open", "high", "low", "close"))
    year = get_calendar(market.calendar).sessions_per_year
    return Market(opens, _instants(bars["close_time"]), first, high, low, last, funding, year, due)


def _payer(providers: pd.Series[str], series: read.Series) -> str | None:
    """Return whose funding rates are paid: those of the bars' venue, else the only ones."""
    known = sorted(set(providers))
    if series.venue in known or len(known) < 2:
        return series.venue if series.venue in known else next(iter(known), None)
    raise UsageError(
        f"Funding rates of {series.symbol} are stored by {', '.join(known)}, and none of them is"
        f" {series.venue}, whose bars are traded. A position pays at one place only."
    )


def _instants(column: pd.Series[Any]) -> Any:
    return column.dt.tz_convert(None).to_numpy().astype("datetime64[us]")


def rule_of(
    told: Told, question: tuple[str, str, int], cutoffs: Any, market: Market, instrument: str
) -> Rule:
    """Return how forecasts become orders; without funding rates nothing is sold short.

    Raises:
        DataMissing: the bars of the study's test span are not in the warehouse.
    """
    symbol, target, horizon = question
    if not len(market) or not np.isin(cutoffs, market.closes).all():
        raise DataMissing(
            f"Bars of {symbol} that {told.folder.name} tested are not in the warehouse any more."
            " Import them again, or run: moodtape ablate"
        )
    last = np.searchsorted(market.closes, cutoffs[-1])
    first = np.searchsorted(market.closes, cutoffs[0])
    shorts = instrument == PERP and market.is_funded(int(first), int(last))
    delay = np.timedelta64(timedelta(seconds=told.config.clock.decision_delay_s), "us")
    return Rule(cutoffs, target, horizon, delay, shorts)


def table_of(market: Market, path: Any, first: int) -> pd.DataFrame:
    """Return a path as a table: one row a bar, with equity, position and what was traded."""
    import pandas as pd

    span = market.part(first, first + len(path.equity))
    return pd.DataFrame(
        {
            "close_time": pd.to_datetime(span.closes).tz_localize("UTC"),
            "close": span.close,
            "equity": path.equity,
            "position": path.weight,
            "traded": path.traded,
        }
    )


def warehouse_market(warehouse: Warehouse, told: Told, symbol: str, instrument: str) -> Market:
    """Return `market_of` through a connection of its own."""
    with warehouse.read() as connection:
        return market_of(connection, told, symbol, instrument)


def strategy_facts(told: Told, question: tuple[str, str, int], result: Mapping[str, Any]) -> Any:
    """Return what the ledger of simulated strategies keeps of one."""
    symbol, target, horizon = question
    figures = result["figures"]
    year = get_calendar(told.config.market.calendar).sessions_per_year
    sharpe = figures["sharpe"]
    return {
        "symbol": symbol, "target": target, "horizon_bars": horizon,
        "forecaster": told.forecaster, "model": told.model, "study": told.folder.name,
        "span_from": result["from"], "span_until": result["until"],
        "daily_sharpe": None if np.isnan(sharpe) else sharpe / float(np.sqrt(year)),
    }  # fmt: skip
