"""Calibration on the page: what intervals cover, and whether P(up) means what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodtape.forecaster.report.marks import answer_label
from moodtape.forecaster.report.numbers import missing
from moodtape.forecaster.report.scales import Axis, value_axis

Row = Mapping[str, Any]


@dataclass(frozen=True)
class IntervalLine:
    """One row of the table of intervals.

    missed: the nominal share lies outside the 95 % interval of what was covered.
    """

    label: str
    row: Row
    name: str
    nominal: float
    coverage: Mapping[str, float]
    width: float
    missed: bool


@dataclass(frozen=True)
class Reliability:
    """One question's P(up) against what happened, both on one axis in percent.

    raw, calibrated: places (across, up) of each bin, in percent of the box from below left.
    """

    label: str
    row: Row
    axis: Axis
    raw: tuple[tuple[float, float], ...]
    calibrated: tuple[tuple[float, float], ...]


def interval_lines(rows: Sequence[Row], interval: str) -> list[IntervalLine]:
    """Return the table of intervals: a line for each model, question and interval."""
    return [
        IntervalLine(
            answer_label(row, interval),
            row,
            name,
            told["nominal"],
            told["coverage"],
            told["width"],
            _missed(told["nominal"], told["coverage"]),
        )
        for row in rows
        for name, told in row.get("intervals", {}).items()
    ]


def _missed(nominal: float, coverage: Mapping[str, float]) -> bool:
    ends = coverage["low"], coverage["high"]
    return not any(map(missing, (nominal, *ends))) and not ends[0] <= nominal <= ends[1]


def reliabilities(rows: Sequence[Row], interval: str) -> list[Reliability]:
    """Return a picture for each question on direction, all on the same axis."""
    asked = [row for row in rows if "raw" in row and not any(map(missing, _values(row)))]
    values = [100.0 * value for row in asked for value in _values(row)]
    axis = value_axis([50.0, *values], parts=4, unit="\N{NO-BREAK SPACE}%")
    return [
        Reliability(
            answer_label(row, interval), row, axis, _places(row["raw"], axis),
            _places(row["calibrated"], axis),
        )
        for row in asked
    ]  # fmt: skip


def _values(row: Row) -> list[float]:
    """Return probabilities and shares of all bins."""
    bins = [part for kind in ("raw", "calibrated") for part in row[kind]["bins"]]
    return [value for mean, share, _ in bins for value in (mean, share)]


def _places(told: Mapping[str, Any], axis: Axis) -> tuple[tuple[float, float], ...]:
    return tuple((axis.at(100.0 * mean), axis.at(100.0 * share)) for mean, share, _ in told["bins"])
