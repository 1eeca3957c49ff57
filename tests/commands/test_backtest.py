"""`moodtape backtest` on a small study: figures, rivals, ledger, and what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from moodtape.storage.db import Warehouse

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the study lies that the first test made; empty before."""
    return tmp_path_factory.mktemp("studied")


@pytest.fixture
def studied(kept: Path, tmp_path: Path, run: Run, request: pytest.FixtureRequest) -> Path:
    """Return a project with a study, a copy of one that is made once."""
    if not any(kept.iterdir()):
        loaded = request.getfixturevalue("loaded")
        done = run("ablate", "--project", loaded, "-q")
        assert done.code == 0, done.err
        shutil.copytree(loaded, kept, dirs_exist_ok=True)
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_study_is_traded_beside_its_rivals(studied: Path, run: Run) -> None:
    done = run("backtest", "--json", "--project", studied)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {(r["target"], r["horizon_bars"]) for r in found["results"]} == {
        ("return", 1), ("direction", 1)
    }  # fmt: skip
    for row in found["results"]:
        names = [rival["name"] for rival in row["rivals"]]
        assert {"buy and hold", "null", "persistence", "reversal"} <= set(names)
        assert "planted" not in names, "it knows the answers"
        assert row["deflated_sharpe"]["probability"] is None
        assert [c["cost_bps"] for c in row["costs"]][:2] == [0.0, 1.0]
        moves = [w["market_return"] for w in row["worst"]]
        assert moves == sorted(moves)
        assert len(moves) == 10
    folder = studied / "runs" / found["study"]
    assert json.loads((folder / "backtest.json").read_text()) == found
    path = pd.read_parquet(folder / "backtest_BTC_return_1.parquet")
    row = next(r for r in found["results"] if r["target"] == "return")
    assert path["equity"].iloc[-1] - 1 == pytest.approx(row["figures"]["total_return"])

    page = (folder / "report.html").read_text()
    assert "None of these figures enters the verdict" in page
    for row in found["results"]:
        assert row["overfitting"]["probability"] is None, "there are fewer than forty days"
        assert row["overfitting"]["strategies"] >= 1
    with Warehouse(studied / "moodtape.duckdb").read() as connection:
        kept = connection.execute("SELECT return_days, daily_returns FROM simulation").fetchall()
    assert all(len(days) == len(returns) > 10 for days, returns in kept)
    again = run("report", "--run", found["study"], "--project", studied)
    assert Path(again.out.strip()).read_text() == page

    printed = run("backtest", "--project", studied)
    assert "buy and hold" in printed.out
    assert "Probability of overfitting: not defined" in printed.out
    assert "Trading figures never enter a verdict." in printed.out


def test_a_strategy_counts_once_and_other_settings_count_again(studied: Path, run: Run) -> None:
    def tried() -> int:
        with Warehouse(studied / "moodtape.duckdb").read() as connection:
            return connection.execute("SELECT count(*) FROM simulation").fetchall()[0][0]

    where = ("--project", studied, "-q")
    assert run("backtest", *where).code == 0
    assert run("backtest", *where).code == 0
    assert tried() == 2  # return and direction
    assert run("backtest", "--model", "null", *where).code == 0
    assert tried() == 4
    (studied / "tight.toml").write_text("[trading]\nfee_bps = 1.0\n")
    assert run("backtest", "-c", studied / "tight.toml", *where).code == 0
    assert tried() == 6


def test_forecasts_that_an_earlier_version_kept_are_traded_alike(studied: Path, run: Run) -> None:
    figures = json.loads(run("backtest", "--json", "--project", studied).out)["results"]
    (path,) = studied.glob("runs/*/predictions.parquet")
    names = {"arm": "model", "y": "actual", "yhat": "forecast"}
    earlier = ["symbol", "cutoff", "fold", "target", "forecaster", "seed", *names.values()]
    pd.read_parquet(path).rename(columns=names)[earlier].to_parquet(path)
    again = json.loads(run("backtest", "--json", "--project", studied).out)["results"]
    assert [row["figures"] for row in again] == [row["figures"] for row in figures]


def test_nothing_is_sold_short_without_funding_rates(studied: Path, run: Run) -> None:
    done = run("backtest", "--instrument", "perp", "--json", "--project", studied)
    found = json.loads(done.out)
    assert "moodtape ingest funding" in found["warnings"][0]
    assert not any(row["shorts"] for row in found["results"])
    table = pd.read_parquet(studied / "runs" / found["study"] / "backtest_BTC_direction_1.parquet")
    assert (table["position"] >= 0).all()


def test_a_perpetual_pays_its_venue_and_a_spot_position_nobody(
    studied: Path, tmp_path: Path, run: Run
) -> None:
    hours = pd.date_range("2025-01-01", "2025-03-01", freq="8h", tz="UTC")
    rates = pd.DataFrame({"time": hours, "funding_rate": 0.001})
    rates.to_csv(tmp_path / "rates.csv", index=False)
    where = ("--project", studied, "-q")
    lag = ("--label", "end", "--lag", "0h", "--symbol", "BTC")

    def stored_by(*venues: str) -> None:
        for venue in venues:
            file = tmp_path / "rates.csv"
            assert run("import", "metrics", file, "--provider", venue, *lag, *where).code == 0
        assert run("ablate", *where).code == 0  # one that may know them

    stored_by("here", "elsewhere")
    unclear = run("backtest", "--instrument", "perp", *where)
    assert unclear.code == 2
    assert "stored by elsewhere, here" in unclear.err
    stored_by("file")

    def traded(instrument: str) -> dict[str, Any]:
        done = run("backtest", "--instrument", instrument, "--json", "--project", studied)
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    spot, perp = traded("spot"), traded("perp")
    assert {row["figures"]["funding"] for row in spot["results"]} == {0.0}
    assert any(row["figures"]["funding"] for row in perp["results"])
    assert all(row["shorts"] for row in perp["results"])
    assert perp["warnings"] == []


def test_what_it_cannot_trade_it_refuses(studied: Path, tmp_path: Path, run: Run) -> None:
    where = ("--project", studied, "-q")
    wrong = run("backtest", "--model", "nul", *where)
    assert wrong.code == 2
    assert "Did you mean null?" in wrong.err
    assert run("backtest", "--forecaster", "network", *where).code == 2
    empty = tmp_path / "empty"
    empty.mkdir()
    none = run("backtest", "--project", empty)
    assert none.code == 3
    assert "moodtape ablate" in none.err
