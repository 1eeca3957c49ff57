"""Pictures of the answers: effects with intervals, and their spread over folds and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodtape.forecaster.report.numbers import horizon, missing
from moodtape.forecaster.report.scales import Axis, value_axis

Answer = Mapping[str, Any]
# Targets whose effects differ in size by more than this get a scale each.
SHARED_SCALE = 5.0
# A shared axis is printed once, unless it is further away than this.
UNLABELLED_ROWS = 4


@dataclass(frozen=True)
class Whisker:
    """An estimate and its interval, in percent of the axis; no interval where it is missing."""

    at: float
    ends: tuple[float, float] | None


@dataclass(frozen=True)
class ForestRow:
    """One answer in the picture: its effect against null, shift and echo."""

    answer: Answer
    label: str
    null: Whisker | None
    shift: Whisker | None
    echo: Whisker | None
    margin: tuple[float, float] | None


@dataclass(frozen=True)
class ForestGroup:
    """The answers of one target, on one axis (percent of null's loss); its own, or shared."""

    target: str
    loss: str
    rows: tuple[ForestRow, ...]
    axis: Axis
    own_scale: bool
    labelled: bool


@dataclass(frozen=True)
class SpreadRow:
    """Effects of one answer by fold and by seed, in percent of the axis."""

    answer: Answer
    label: str
    folds: tuple[float, ...]
    seeds: tuple[float, ...]
    effect: float | None


def deciding(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers that give the word; all of them where none is marked."""
    return [a for a in answers if a["decides"]] or list(answers)


def answer_label(answer: Answer, interval: str) -> str:
    """Return `BTC direction, 1 h`."""
    ahead = horizon(interval, int(answer["horizon_bars"]))
    return f"{answer['symbol']} {answer['target']}, {ahead}"


def forest(answers: Sequence[Answer], interval: str) -> list[ForestGroup]:
    """Return the answers grouped by target, by horizon within, ready to be drawn."""
    targets = list(dict.fromkeys(str(a["target"]) for a in answers))
    by_target = {
        t: sorted((a for a in answers if a["target"] == t), key=lambda a: int(a["horizon_bars"]))
        for t in targets
    }
    values = {t: [v for a in rows for v in _values(a)] for t, rows in by_target.items()}
    reach = {t: max((abs(v) for v in vs), default=0.0) or 1e-3 for t, vs in values.items()}
    together = bool(reach) and max(reach.values()) <= SHARED_SCALE * min(reach.values())
    everything = [v for vs in values.values() for v in vs]
    return [
        _group(
            target,
            rows,
            _axis(everything if together else values[target]),
            interval,
            own_scale=not together,
            labelled=not together or len(rows) > UNLABELLED_ROWS or target == targets[-1],
        )
        for target, rows in by_target.items()
    ]


def _values(answer: Answer) -> list[float]:
    """Return all that one row shows, zero and the margin included, in shares."""
    shown = [
        answer["effect"],
        answer["effect_shift"],
        answer.get("effect_echo"),
        *(answer["interval"] or ()),
        *(answer["interval_shift"] or ()),
        *(answer.get("interval_echo") or ()),
        answer["margin"],
        None if missing(answer["margin"]) else -answer["margin"],
        0.0,
    ]
    return [float(v) for v in shown if not missing(v)]


def _axis(shares: Sequence[float]) -> Axis:
    return value_axis([100.0 * v for v in shares], parts=6, unit="\N{NO-BREAK SPACE}%", signed=True)


def _group(
    target: str,
    answers: Sequence[Answer],
    axis: Axis,
    interval: str,
    own_scale: bool,
    labelled: bool,
) -> ForestGroup:
    rows = tuple(
        ForestRow(
            answer=a,
            label=f"{a['symbol']}, {horizon(interval, int(a['horizon_bars']))}",
            null=_whisker(axis, a["effect"], a["interval"]),
            shift=_whisker(axis, a["effect_shift"], a["interval_shift"]),
            echo=_whisker(axis, a.get("effect_echo"), a.get("interval_echo")),
            margin=None if missing(a["margin"]) else _ends(axis, [-a["margin"], a["margin"]]),
        )
        for a in answers
    )
    return ForestGroup(target, str(answers[0]["loss"]), rows, axis, own_scale, labelled)


def _whisker(axis: Axis, effect: float | None, ends: Sequence[float] | None) -> Whisker | None:
    if effect is None or missing(effect):
        return None
    return Whisker(axis.at(100.0 * effect), _ends(axis, ends))


def _ends(axis: Axis, ends: Sequence[float | None] | None) -> tuple[float, float] | None:
    known = [float(end) for end in ends or () if end is not None and not missing(end)]
    return (axis.at(100.0 * known[0]), axis.at(100.0 * known[1])) if len(known) == 2 else None


def spread(answers: Sequence[Answer], interval: str) -> tuple[list[SpreadRow], dict[str, Axis]]:
    """Return the effects by fold and seed of each answer, and an axis for each target."""
    by_target: dict[str, list[float]] = {}
    for answer in answers:
        values = [*_fold_effects(answer), *_seed_effects(answer), 0.0]
        if not missing(answer["effect"]):
            values.append(float(answer["effect"]))
        by_target.setdefault(str(answer["target"]), []).extend(values)
    axes = {target: _axis(values) for target, values in by_target.items()}
    rows = []
    for answer in answers:
        axis = axes[str(answer["target"])]
        rows.append(
            SpreadRow(
                answer=answer,
                label=answer_label(answer, interval),
                folds=tuple(axis.at(100.0 * v) for v in _fold_effects(answer)),
                seeds=tuple(axis.at(100.0 * v) for v in _seed_effects(answer)),
                effect=None if missing(answer["effect"]) else axis.at(100.0 * answer["effect"]),
            )
        )
    return rows, axes


def _fold_effects(answer: Answer) -> list[float]:
    return [float(f["effect"]) for f in answer["fold_effects"] or () if not missing(f["effect"])]


def _seed_effects(answer: Answer) -> list[float]:
    return [float(v) for v in answer["seed_effects"] or () if not missing(v)]
