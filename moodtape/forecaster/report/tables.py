"""Tables of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodtape.forecaster.report.numbers import missing

NULL, PERSISTENCE, PLANTED = "null", "persistence", "planted"
PLANTS = (PLANTED, "counts_planted")
KEY = ("symbol", "target", "horizon_bars", "forecaster")


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
        if not (arm.get("kinds") or arm.get("scorer"))
    ]
    if not candidates:
        return None
    return str(max(candidates, key=lambda a: (len(a["groups"]), a["columns"] or 0))["name"])


def contenders(results: Mapping[str, Any]) -> list[Contender]:
    """Return every arm but null, then every baseline, persistence always and first."""
    real = real_arm(results)
    treated = {str(arm["name"]): arm["treatment"] for arm in results["arms"]}
    kinds = {name: PLANTED if how in PLANTS else "arm" for name, how in treated.items()}
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


def regime_table(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[tuple[Mapping[str, Any], dict[str, Mapping[str, Any]]]]]:
    """Return the regimes in order, and by answer its rows by regime."""
    names = list(dict.fromkeys(str(row["regime"]) for row in rows))
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in KEY), {})[str(row["regime"])] = row
    return names, [(next(iter(own.values())), own) for own in found.values()]


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
