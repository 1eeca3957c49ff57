"""Tables of the page, and the same numbers as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moodtape.forecaster.report.numbers import missing
from moodtape.forecaster.report.series import ReportSeries

NULL, PERSISTENCE, PLANTED = "null", "persistence", "planted"
KEY = ("symbol", "target", "horizon_bars", "forecaster")
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
MONTH_COLUMNS = (*KEY, "month", "effect", "n")
FURTHER_COLUMNS = (*KEY, "test", "statistic", "p", "told")
FURTHER = ("giacomini_white", "clark_west", "pesaran_timmermann")
TIMING_COLUMNS = ("symbol", "column", "before", "at", "after", "n")
LOSS_COLUMNS = (*KEY, "time", "fold", "difference_null", "difference_shift")


@dataclass(frozen=True)
class Contender:
    """A column of the table of losses: an arm or a baseline."""

    name: str
    kind: str
    real: bool = False


@dataclass(frozen=True)
class LossRow:
    """Losses of one answer: null's own, and the others' less null's, as shares of it."""

    answer: Mapping[str, Any]
    null: float | None
    relative: tuple[float | None, ...]
    best: float | None


def real_arm(results: Mapping[str, Any]) -> str | None:
    """Return the name of the arm in question: the fullest that gets the subject as it is."""
    subject = results["question"]["subject"]
    candidates = [
        arm
        for arm in results["arms"]
        if arm["treatment"] == "as_is" and {subject, "all"} & set(arm["groups"])
    ]
    if not candidates:
        return None
    return str(max(candidates, key=lambda a: (len(a["groups"]), a["columns"] or 0))["name"])


def contenders(results: Mapping[str, Any]) -> list[Contender]:
    """Return every arm but null, then every baseline, persistence always and first."""
    real = real_arm(results)
    treated = {str(arm["name"]): arm["treatment"] for arm in results["arms"]}
    kinds = {name: PLANTED if how == PLANTED else "arm" for name, how in treated.items()}
    simple = [str(name) for name in results["baselines"] if name != PERSISTENCE]
    return [
        *(Contender(name, kind, name == real) for name, kind in kinds.items() if name != NULL),
        *(Contender(name, "baseline") for name in (PERSISTENCE, *simple)),
    ]


def loss_rows(answers: Sequence[Mapping[str, Any]], columns: Sequence[Contender]) -> list[LossRow]:
    """Return losses by answer and contender, relative to null's; None where there is none.

    The best is sought among all but what was planted: that one knows the answers.
    """
    return [
        LossRow(answer, answer["losses"].get(NULL), relative, min(known, default=None))
        for answer in answers
        for relative in [tuple(relative_loss(answer["losses"], c.name) for c in columns)]
        for known in [
            [
                value
                for column, value in zip(columns, relative, strict=True)
                if value is not None and column.kind != PLANTED
            ]
        ]
    ]


@dataclass(frozen=True)
class ImportanceRow:
    """How much higher a question's loss is with each group of another time, by group."""

    row: Mapping[str, Any]
    by_group: Mapping[str, Mapping[str, Any]]


def importance_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[ImportanceRow]]:
    """Return the groups in order, and one row for each question."""
    groups = list(dict.fromkeys(str(row["group"]) for row in rows))
    questions: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        asked = (row["symbol"], row["target"], row["horizon_bars"])
        questions.setdefault(asked, {})[str(row["group"])] = row
    return groups, [
        ImportanceRow(next(iter(found.values())), found) for found in questions.values()
    ]


@dataclass(frozen=True)
class ClockRow:
    """A question's effect by clock, in the order of the page's columns; None where not measured.

    wishful: what was measured by the wishful clock.
    """

    row: Mapping[str, Any]
    by_clock: tuple[Mapping[str, Any] | None, ...]
    wishful: Mapping[str, Any] | None


def clock_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[ClockRow]]:
    """Return the names of the clocks, as published first, and one row a question and forecaster."""
    clocks = sorted({row["delay_min"] for row in rows}, key=lambda m: -1 if m is None else m)
    found: dict[tuple[Any, ...], dict[int | None, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in KEY), {})[row["delay_min"]] = row
    return [_clock_name(minutes) for minutes in clocks], [
        ClockRow(next(iter(own.values())), tuple(map(own.get, clocks)), own.get(None))
        for own in found.values()
    ]


def month_rows(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]]]:
    """Return the months in order, and by answer its rows by month."""
    months = sorted({str(row["month"]) for row in rows})
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in KEY), {})[str(row["month"])] = row
    return months, [(next(iter(own.values())), own) for own in found.values()]


def lead_pairs(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Mapping[str, Any]]]:
    """Return both tests of each pair of a text series and a price series, texts first."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        pair = (row["symbol"], row["stream"], row["text"], row["price"])
        found.setdefault(pair, []).append(row)
    both = [pair for pair in found.values() if len(pair) == 2]
    return [{"texts": pair[0], "price": pair[1]} for pair in both]


def _clock_name(minutes: int | None) -> str:
    """Return what a column of the clock curve is called.

    >>> _clock_name(None), _clock_name(0), _clock_name(15), _clock_name(240), _clock_name(1440)
    ('as published', 'as known', '15 min later', '4 h later', '24 h later')
    """
    if minutes is None:
        return "as published"
    if minutes == 0:
        return "as known"
    return f"{minutes // 60} h later" if minutes % 60 == 0 else f"{minutes} min later"


def relative_loss(losses: Mapping[str, float | None], name: str) -> float | None:
    """Return a loss less that of null, as a share of null's; positive is worse.

    >>> relative_loss({"null": 0.25, "shift": 0.26}, "shift")
    0.040000000000000036
    """
    null, loss = losses.get(NULL), losses.get(name)
    if null is None or loss is None or missing(null) or missing(loss) or null == 0:
        return None
    return loss / null - 1.0


def write_csvs(results: Mapping[str, Any], series: ReportSeries, folder: Path) -> None:
    """Write answers.csv, arms.csv, folds.csv, losses.csv.

    Also clocks.csv, lead_lag.csv, timing.csv, months.csv and further.csv, where there is
    anything to put into them. Shares as numbers, times in UTC.

    Args:
        folder: made if it is not there; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answers = results["results"]
    _write(folder / "answers.csv", ANSWER_COLUMNS, (_flat_answer(a) for a in answers))
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
