"""How often the words were wrong, and how often an effect was found, with intervals.

The unit is a run: a world with its whole family. It is false if any target without an effect
is said to be helped (or hurt). Failed worlds count as worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moodtape.forecaster.claims import TONE
from moodtape.forecaster.verdict import CANNOT_TELL, DOES_NOT_HELP, HELPS, HURTS

FAILED = "failed"
"""Stands for the word where a world's study failed."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Rate:
    """A share of runs with its two-sided 95 % interval (Clopper & Pearson 1934)."""

    count: int
    n: int

    @property
    def share(self) -> float:
        """Return the share; NaN of no runs."""
        return self.count / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Return the exact interval.

        >>> [round(end, 4) for end in Rate(20, 400).interval]
        [0.0308, 0.0762]
        """
        from scipy.stats import beta

        low = beta.ppf(0.025, self.count, self.n - self.count + 1) if self.count else 0.0
        high = beta.ppf(0.975, self.count + 1, self.n - self.count) if self.count < self.n else 1.0
        return float(low), float(high)


def error_rates(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each kind and size of world how many runs said a false word.

    helps, hurts: of a target whose true gain is zero. does not help: of one whose true gain is
    at least the margin.
    """
    found = []
    for cell, runs in _cells(rows).items():
        false = {
            HELPS: _count(runs, lambda r: r["word"] == HELPS and float(r["truth"]) == 0),
            HURTS: _count(runs, lambda r: r["word"] == HURTS and float(r["truth"]) == 0),
            DOES_NOT_HELP: _count(
                runs,
                lambda r: r["word"] == DOES_NOT_HELP and float(r["truth"]) >= float(r["margin"]),
            ),
        }
        found.append({**dict(zip(CELL, cell, strict=True)), "worlds": len(runs), "false": false})
    return found


def power(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each claim and target with an effect how often it was said, by size and length."""
    found = []
    for cell, runs in _cells(rows).items():
        told = [[row for row in run if row["word"] != FAILED] for run in runs]
        asked = {(r["claim"], r["target"]): float(r["truth"]) for run in told for r in run}
        for (claim, target), truth in asked.items():
            if truth > 0:
                own = [
                    [r for r in run if (r["claim"], r["target"]) == (claim, target)] for run in told
                ]
                words = [next((r["word"] for r in rows), CANNOT_TELL) for rows in own]
                helped = Rate(words.count(HELPS), len(words))
                n = [int(r["n"]) for rows in own for r in rows]
                found.append(
                    {**dict(zip(CELL, cell, strict=True)), "claim": claim, "target": target,
                     "truth": truth, "helps": helped, "n": sum(n) / len(n)}
                )  # fmt: skip
    return found


def coverage(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each target how often the printed interval held what its models are worth.

    Of worlds in which that was measured; one whose study failed, or could not test, counts as
    one in which it did not.
    """
    found = []
    for cell, runs in _cells(rows).items():
        tone = [[row for row in run if row.get("claim") == TONE] for run in runs]
        measured = [run for run in tone if any(row.get("expected") for row in run)]
        failed = sum(run[0]["word"] == FAILED for run in runs) if measured else 0
        questions = dict.fromkeys((r["target"], r["horizon_bars"]) for run in measured for r in run)
        for target, horizon in questions:
            asked = [
                r for run in measured for r in run
                if (r["target"], r["horizon_bars"]) == (target, horizon)
            ]  # fmt: skip
            held = sum(float(r["low"]) <= float(r["expected"]) <= float(r["high"]) for r in asked)
            found.append(
                {**dict(zip(CELL, cell, strict=True)), "target": target, "horizon_bars": horizon,
                 "held": Rate(held, len(asked) + failed)}
            )  # fmt: skip
    return found


CELL = ("block", "kind", "gain", "hours")


def _cells(rows: Sequence[Row]) -> dict[tuple[str, ...], list[list[Row]]]:
    """Return the runs of each cell, each run with its rows."""
    found: dict[tuple[str, ...], dict[str, list[Row]]] = {}
    for row in rows:
        cell = tuple(row[name] for name in CELL)
        found.setdefault(cell, {}).setdefault(row["world"], []).append(row)
    return {cell: list(runs.values()) for cell, runs in found.items()}


def _count(runs: Sequence[Sequence[Row]], false: Any) -> Rate:
    """Return how many runs hold a row of which something is true; a failed run holds none."""
    told = [[row for row in run if row["word"] != FAILED] for run in runs]
    return Rate(sum(any(map(false, run)) for run in told), len(runs))
