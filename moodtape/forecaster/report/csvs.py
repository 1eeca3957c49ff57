"""The numbers of the page as CSV files; shares as numbers, times in UTC."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moodtape.forecaster.report.numbers import missing
from moodtape.forecaster.report.series import ReportSeries
from moodtape.forecaster.report.tables import KEY, NULL, Contender, contenders, relative_loss

ANSWER_COLUMNS = (
    "symbol",
    "target",
    "horizon_bars",
    "forecaster",
    "decides",
    "verdict",
    "loss",
    "effect",
    "effect_low",
    "effect_high",
    "effect_shift",
    "effect_shift_low",
    "effect_shift_high",
    "effect_echo",
    "effect_echo_low",
    "effect_echo_high",
    "p_null",
    "p_shift",
    "p_echo",
    "p_adjusted",
    "margin",
    "minimum_detectable_effect",
    "positive_control",
    "best_days_share",
    "family_size",
    "level",
    "look",
    "audit",
    "n",
    "blocks",
    "dm_statistic",
    "dm_p_value",
    "seed_effects",
    "sentence",
    "reasons",
    "run",
)
ARM_COLUMNS = (*KEY, "name", "kind", "loss", "relative_to_null")
FOLD_COLUMNS = (*KEY, "fold", "test_from", "test_until", "effect", "n")
CLOCK_COLUMNS = (
    *KEY,
    "clock",
    "delay_min",
    "effect",
    "effect_low",
    "effect_high",
    "over_known",
    "over_known_low",
    "over_known_high",
    "n",
)
LEAD_COLUMNS = (
    *("symbol", "stream", "text", "price", "leads", "lags"),
    *("statistic", "p", "p_adjusted", "share", "n"),
)
REGIME_COLUMNS = (*KEY, "regime", "effect", "effect_low", "effect_high", "n")
MONTH_COLUMNS = (*KEY, "month", "effect", "n")
FURTHER_COLUMNS = (*KEY, "test", "statistic", "p", "told")
FURTHER = ("giacomini_white", "clark_west", "pesaran_timmermann")
TIMING_COLUMNS = ("symbol", "column", "before", "at", "after", "n")
LOSS_COLUMNS = (*KEY, "time", "fold", "difference_null", "difference_shift")


def write_csvs(results: Mapping[str, Any], series: ReportSeries, folder: Path) -> None:
    """Write answers.csv, arms.csv, folds.csv, losses.csv.

    Also attention.csv, clocks.csv, lead_lag.csv, timing.csv, months.csv, regimes.csv and
    further.csv, where there is anything to put into them. Shares as numbers, times in UTC.

    Args:
        folder: made if it is not there; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answers = results["results"]
    _write(folder / "answers.csv", ANSWER_COLUMNS, (_flat_answer(a) for a in answers))
    if second := results.get("attention"):
        _write(folder / "attention.csv", ANSWER_COLUMNS, (_flat_answer(a) for a in second))
    _write(folder / "arms.csv", ARM_COLUMNS, _arm_lines(results))
    _write(folder / "folds.csv", FOLD_COLUMNS, _fold_lines(answers))
    if clocks := results.get("clocks"):
        _write(folder / "clocks.csv", CLOCK_COLUMNS, map(_clock_line, clocks))
    if leads := (results.get("lead_lag") or {}).get("rows"):
        _write(folder / "lead_lag.csv", LEAD_COLUMNS, leads)
    if further := results.get("further"):
        _write(folder / "further.csv", FURTHER_COLUMNS, _further_lines(further))
    if months := results.get("months"):
        _write(folder / "months.csv", MONTH_COLUMNS, months)
    if regimes := results.get("regimes"):
        _write(folder / "regimes.csv", REGIME_COLUMNS, map(_regime_line, regimes))
    if timing := results.get("timing"):
        _write(folder / "timing.csv", TIMING_COLUMNS, timing)
    losses = series.losses[list(LOSS_COLUMNS)]
    for name in KEY:
        if losses[name].dtype != "int64":
            losses = losses.assign(**{name: losses[name].map(_cell)})
    losses.to_csv(folder / "losses.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")


def _flat_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    nothing = (None, None)
    interval, shift = answer["interval"] or nothing, answer["interval_shift"] or nothing
    echo = answer.get("interval_echo") or nothing
    dm = answer["dm"] or {}
    return {
        **{name: answer[name] for name in ANSWER_COLUMNS if name in answer},
        "effect_low": interval[0],
        "effect_high": interval[1],
        "effect_shift_low": shift[0],
        "effect_shift_high": shift[1],
        "effect_echo_low": echo[0],
        "effect_echo_high": echo[1],
        **{f"p_{name}": answer["p"].get(name) for name in ("null", "shift", "echo")},
        "dm_statistic": dm.get("statistic"),
        "dm_p_value": dm.get("p_value"),
        "seed_effects": " ".join(repr(v) for v in answer["seed_effects"] or ()),
        "reasons": "; ".join(answer["reasons"]),
    }


def _arm_lines(results: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    columns = [Contender(NULL, "arm"), *contenders(results)]
    for answer in results["results"]:
        for column in columns:
            yield {
                **{name: answer[name] for name in KEY},
                "name": column.name,
                "kind": column.kind,
                "loss": answer["losses"].get(column.name),
                "relative_to_null": relative_loss(answer["losses"], column.name),
            }


def _further_lines(further: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield one line a test; what has no p-value is `told`."""
    for row in further["pairs"]:
        for test in FURTHER:
            yield {**{name: row[name] for name in KEY}, "test": test, **(row[test] or {})}
    for row in further["tables"]:
        asked = {name: row.get(name) for name in KEY}
        yield {**asked, "test": "superior ability", "p": row["spa_p"], "told": row["best"]}
        yield {**asked, "test": "confidence set", "told": "; ".join(row["mcs"])}
        yield {**asked, "test": "overfitting", "statistic": row["pbo"]}


def _clock_line(row: Mapping[str, Any]) -> dict[str, Any]:
    (low, high), (over_low, over_high) = row["interval"], row["over_known_interval"] or (None, None)
    return {
        **{name: row[name] for name in CLOCK_COLUMNS if name in row},
        "effect_low": low,
        "effect_high": high,
        "over_known_low": over_low,
        "over_known_high": over_high,
    }


def _regime_line(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row["interval"]
    own = {name: row[name] for name in REGIME_COLUMNS if name in row}
    return {**own, "effect_low": low, "effect_high": high}


def _fold_lines(answers: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    for answer in answers:
        for fold in answer["fold_effects"]:
            yield {name: (answer if name in KEY else fold)[name] for name in FOLD_COLUMNS}


def _write(path: Path, columns: Sequence[str], lines: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in line.items()} for line in lines)


def _cell(value: Any) -> Any:
    """Return a value as a cell; a spreadsheet must not take a text for a formula."""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in tuple("=+-@\t\r") else value
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return "" if missing(value) else value
