"""What a backtest left, on the page: apart from the answers, and as untrusted as all else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.report.page import ReportSeries, Traded, render_page
from moodtape.forecaster.report.trading import simulated

Run = tuple[dict[str, Any], ReportSeries]
START = pd.Timestamp("2025-05-02T00:00Z")
BARS = 24 * 20
FIGURES = {
    "total_return": -0.182, "yearly_return": -0.86, "volatility": 0.28, "sharpe": -6.81,
    "sortino": -7.38, "calmar": -4.18, "max_drawdown": -0.216, "exposure": 0.53,
    "time_in_market": 0.53, "turnover": 2404.0, "traded": 300.0, "trades": 258, "stops": 0,
    "limits": 0, "breaks": 0, "costs": 0.29, "funding": 0.0, "days": 36,
}  # fmt: skip


def rival(name: str, sharpe: float | None = 2.67) -> dict[str, Any]:
    return {
        "name": name, "total_return": 0.134, "sharpe": sharpe, "max_drawdown": -0.0927,
        "exposure": 1.0, "trades": 1, "sharpe_gain": None if sharpe is None else -9.48,
        "sharpe_gain_low": None if sharpe is None else -13.97,
        "sharpe_gain_high": None if sharpe is None else -5.48,
    }  # fmt: skip


def row(target: str = "direction", **changed: Any) -> dict[str, Any]:
    pair = {"total_return": -0.182, "sharpe": -6.81, "max_drawdown": -0.216, "trades": 258}
    usual = {
        "symbol": "BTC", "target": target, "horizon_bars": 1, "shorts": False,
        "from": "2025-05-02T00:00:00+00:00", "until": "2025-05-22T00:00:00+00:00", "bars": BARS,
        "figures": FIGURES, "optimistic": FIGURES, "break_even_bps": 4.0412,
        "costs": [{"cost_bps": b, "total_return": 0.1, "sharpe": 1.0} for b in (0.0, 10.0)],
        "rivals": [rival("buy and hold"), rival("persistence", None)],
        "random": {"draws": 1000, "median_sharpe": -1.0, "share_better": 0.73},
        "rules": [{"rule": "max_drawdown", "setting": 0.25, "with": pair, "without": pair}],
        "worst": [
            {"close_time": "2025-05-09T20:00:00+00:00", "market_return": -0.0478,
             "forecast": 0.45 if target == "direction" else -0.0012, "position": 1.0,
             "equity_return": -0.0478},
            {"close_time": "2025-05-03T01:00:00+00:00", "market_return": -0.03, "forecast": None,
             "position": 0.0, "equity_return": 0.0},
        ],
        "deflated_sharpe": {"tried": 2, "probability": None},
        "overfitting": {"probability": None, "strategies": 2, "days": 20},
    }  # fmt: skip
    return usual | changed


def left(*rows: dict[str, Any], paths: bool = True, **changed: Any) -> Traded:
    results = {
        "schema_version": 1, "command": "backtest", "warnings": [], "run": "r", "study": "s",
        "forecaster": "network", "model": "full", "results": list(rows),
        "settings": {"instrument": "spot", "fee_bps": 10.0, "slippage_bps": 2.0},
    } | changed  # fmt: skip
    rng = np.random.default_rng(0)
    moves = 0.004 * rng.standard_normal((2, BARS))
    table = pd.DataFrame(
        {
            "close_time": START + pd.to_timedelta(np.arange(1, BARS + 1), unit="h"),
            "close": 90_000 * np.exp(np.cumsum(moves[0])),
            "equity": np.exp(np.cumsum(moves[1])),
        }
    )
    asked = [(r["symbol"], r["target"], r["horizon_bars"]) for r in rows]
    return Traded(results, dict.fromkeys(asked, table) if paths else {})


def section(page: str) -> str:
    return page[page.index('<section id="trading">') : page.index('<section id="texts">')]


def test_without_a_backtest_the_page_says_nothing_of_trading(small: Run) -> None:
    page = render_page(*small)
    assert 'id="trading"' not in page
    assert "#trading" not in page


def test_all_of_it_stands_below_the_answers_and_enters_none(small: Run) -> None:
    page = render_page(*small, left(row(), row("return")))
    part = section(page)
    assert page.index('id="answers"') < page.index('id="trading"')
    assert '<a href="#trading">Trading</a>' in page
    assert "None of these figures enters the verdict" in part
    for told in ("buy and hold", "full, unattainable fills", "−6.81", "−13.97 to −5.48",
                 "Costs of 4 bps a trade would eat its profit.", "10 bps", "not defined (2 tried",
                 "2 strategies share 20 days; 4 and 40 are needed", "45.0\u00a0% up",
                 "max drawdown 0.25", "2025-05-09 20:00"):  # fmt: skip
        assert told in part, told
    assert part.count("fall from the highest so far") == 2 * 2, "named and drawn"
    with_numbers = page.replace(part, "")
    assert with_numbers.replace('<a href="#trading">Trading</a> ', "") == render_page(*small)


def test_what_is_defined_is_told(small: Run) -> None:
    made = row(
        overfitting={"probability": 0.61, "strategies": 7, "days": 90},
        deflated_sharpe={"tried": 12, "probability": 0.4}, break_even_bps=None,
    )  # fmt: skip
    part = section(render_page(*small, left(made)))
    assert "61\u00a0%: how often the best of 7 strategies" in part
    assert "40\u00a0% that skill made it, after 12 tries" in part
    assert "It never traded." in part
    assert "It loses even without costs." in section(
        render_page(*small, left(row(break_even_bps=-2.0)))
    )


def test_a_backtest_of_before_there_was_overfitting_and_one_whose_path_is_gone(small: Run) -> None:
    old = row()
    del old["overfitting"]
    part = section(render_page(*small, left(old, paths=False)))
    assert "overfitting" not in part
    assert "<figure" not in part
    assert "buy and hold" in part


def test_equity_and_fall_are_those_of_the_path() -> None:
    traded = left(row())
    (found,) = simulated(traded)
    equity, fall = found.panels
    assert [line.label for line in equity.lines] == ["the asset itself", "full"]
    table = traded.paths["BTC", "direction", 1]
    deepest = (table["equity"] / table["equity"].cummax() - 1).min()
    assert fall.y.low <= 100 * deepest
    last = equity.lines[1].path.rsplit("L", 1)[1].split()
    assert float(last[0]) == 1000, "the last bar is drawn"
    drawn = equity.y.high - float(last[1]) / 1000 * (equity.y.high - equity.y.low)
    assert drawn == pytest.approx(table["equity"].iloc[-1], abs=1e-3)
    depth = [float(point.split()[1]) for point in fall.lines[1].path[1:].split("L")]
    bottom = fall.y.high - max(depth) / 1000 * (fall.y.high - fall.y.low)
    assert bottom == pytest.approx(100 * deepest, abs=0.05), "thinning keeps the deepest fall"


def test_names_and_warnings_stay_text(small: Run) -> None:
    hostile = "<script>alert(1)</script>\u202e"
    traded = left(row(), model=hostile, warnings=[hostile])
    traded.results["results"][0]["rivals"][0]["name"] = hostile
    page = render_page(*small, copy.deepcopy(traded))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


def test_of_many_questions_some_are_shown_whole_and_all_in_a_table(
    large: Callable[..., Run],
) -> None:
    symbols = [f"S{number:02d}" for number in range(90)]
    rows = [row(target, symbol=s) for s in symbols for target in ("return", "direction")]
    page = render_page(*large(["BTC"], days=20), left(*rows))
    assert len(page.encode()) < 1_500_000
    part = section(page)
    assert "The first 12 of these 180 in full" in part
    assert part.count("What costs leave") == 12 * 2, "a heading, and the name of its table"
    assert "S89 direction, 1" in part
    few = section(render_page(*large(["BTC"], days=20), left(row(), row("return"))))
    assert "in full" not in few
