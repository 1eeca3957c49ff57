from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from moodtape.forecaster.report.page import render_page, write_csvs
from moodtape.forecaster.report.series import ReportSeries
from moodtape.forecaster.report.tables import KEY, contenders, loss_rows, real_arm, regime_table

Run = tuple[dict[str, Any], ReportSeries]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_losses_stand_relative_to_null_with_persistence_always_there(small: Run) -> None:
    results, _ = small
    results["baselines"] = ["reversal"]
    columns = contenders(results)
    assert [c.name for c in columns] == [
        "price",
        "price+sentiment",
        "shift",
        "echo",
        "planted",
        "persistence",
        "reversal",
    ]
    assert [c.name for c in columns if c.real] == ["price+sentiment"]
    [row] = loss_rows(results["results"], columns)
    assert row.null == 0.25
    assert row.relative == pytest.approx((0.002, -0.0012, -0.001, -0.0004, -0.0032, 0.0, -0.004))
    assert row.best == pytest.approx(-0.004)
    results["results"][0]["losses"]["planted"] = 0.2
    [row] = loss_rows(results["results"], columns)
    assert row.best == pytest.approx(-0.004), "what was planted is no rival"


def test_the_arm_in_question_is_the_fullest_of_the_subject(small: Run) -> None:
    results, _ = small
    full = {"name": "full", "groups": ["price", "sentiment", "onchain"], "treatment": "as_is"}
    chain = {"name": "price+onchain", "groups": ["a", "b", "c", "onchain"], "treatment": "as_is"}
    results["arms"] += [{**full, "columns": 60}, {**chain, "columns": 99}]
    assert real_arm(results) == "full"
    results["arms"] = []
    assert real_arm(results) is None


def test_the_files_hold_the_run(small: Run, tmp_path: Path) -> None:
    results, series = small
    results["results"][0]["fold_effects"][0]["test_from"] = datetime(2025, 5, 12, tzinfo=UTC)
    write_csvs(results, series, tmp_path / "csv")
    [answer] = rows_of(tmp_path / "csv/answers.csv")
    given = results["results"][0]
    assert float(answer["effect"]) == given["effect"]
    assert [float(answer["effect_low"]), float(answer["effect_high"])] == given["interval"]
    assert float(answer["p_null"]) == given["p"]["null"]
    assert float(answer["p_echo"]) == given["p"]["echo"]
    assert [float(answer["effect_echo_low"]), float(answer["effect_echo_high"])] == given[
        "interval_echo"
    ]
    assert float(answer["minimum_detectable_effect"]) == 0.006
    assert answer["verdict"] == "cannot tell"
    assert [float(v) for v in answer["seed_effects"].split()] == given["seed_effects"]
    arms = {row["name"]: row for row in rows_of(tmp_path / "csv/arms.csv")}
    assert {name: float(row["loss"]) for name, row in arms.items()} == given["losses"]
    assert arms["persistence"]["kind"] == "baseline"
    assert float(arms["shift"]["relative_to_null"]) == pytest.approx(-0.001)
    folds = rows_of(tmp_path / "csv/folds.csv")
    assert [(f["fold"], float(f["effect"]), f["n"]) for f in folds] == [
        ("1", -0.0021, "600"),
        ("2", 0.0043, "634"),
    ]
    assert folds[0]["test_from"] == "2025-05-12T00:00:00Z"
    losses = rows_of(tmp_path / "csv/losses.csv")
    assert [row["time"] for row in losses][:2] == ["2025-05-12T00:00:00Z", "2025-05-12T01:00:00Z"]
    assert [row["difference_shift"] for row in losses] == ["0.0005", "-0.0003", "0.0", ""]


def test_writing_twice_changes_nothing(large: Callable[..., Run], tmp_path: Path) -> None:
    results, series = large(["BTC", "ETH"])
    write_csvs(results, series, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_csvs(results, series, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert set(first) == {
            "answers.csv", "arms.csv", "clocks.csv", "folds.csv", "further.csv",
            "lead_lag.csv",
            "losses.csv", "months.csv", "timing.csv",
        }  # fmt: skip
    assert len(rows_of(tmp_path / "losses.csv")) == len(series.losses)


def test_a_spreadsheet_takes_no_text_for_a_formula(small: Run, tmp_path: Path) -> None:
    results, series = small
    formula = '=HYPERLINK("x")'
    results["results"][0].update(symbol=formula, sentence="+1", reasons=["@a"], effect=-0.5)
    losses = series.losses.assign(symbol=formula)
    write_csvs(results, replace(series, losses=losses), tmp_path)
    [answer] = rows_of(tmp_path / "answers.csv")
    assert (answer["symbol"], answer["sentence"]) == ("'" + formula, "'+1")
    assert answer["reasons"] == "'@a"
    assert answer["effect"] == "-0.5"
    assert rows_of(tmp_path / "losses.csv")[0]["symbol"] == "'" + formula


def test_a_run_without_answers_writes_headings(small: Run, tmp_path: Path) -> None:
    results, series = small
    results["results"] = []
    write_csvs(results, replace(series, losses=series.losses[:0]), tmp_path)
    for name in ("answers", "arms", "folds", "losses"):
        assert (tmp_path / f"{name}.csv").read_text().startswith("symbol,target,horizon_bars")


def test_regimes_stand_side_by_side_and_are_said_to_be_exploratory(
    small: Run, tmp_path: Path
) -> None:
    results, series = small
    asked = {name: results["results"][0][name] for name in KEY}
    rows = [
        {**asked, "regime": regime, "effect": effect, "interval": [-0.01, 0.03], "n": 90}
        for regime, effect in (("all", 0.004), ("volatile", -0.002))
    ]
    other = {**rows[0], "forecaster": "linear"}
    names, table = regime_table([*rows, other])
    assert names == ["all", "volatile"]
    assert [set(by_regime) for _, by_regime in table] == [{"all", "volatile"}, {"all"}]
    told = {**results, "regimes": [*rows, other]}
    page = render_page(told, series)
    part = page[page.index("In calm and in wild times") :]
    assert "Exploratory" in part[:600]
    assert part.index("+0.40") < part.index("−0.20")
    write_csvs(told, series, tmp_path)
    lines = (tmp_path / "regimes.csv").read_text().splitlines()
    assert len(lines) == 4
    assert lines[1].endswith(",all,0.004,-0.01,0.03,90")
