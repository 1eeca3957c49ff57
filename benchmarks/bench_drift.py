"""How often the monitors of drift raise a false alarm, and how soon they find what broke.

    python benchmarks/bench_drift.py [--years 200] [--worlds 60] [--out docs/results/drift.csv]
    python benchmarks/bench_drift.py --summary

A world (drift_worlds.py) has two years of training span, half a year of settled losses and then
nights: a year of them without a break, or 60 with one after three to six weeks. Each world is a
line of the CSV file, which is written as it goes: run again, it goes on with the first world that
is missing. The rule was made on worlds of other seeds. An alarm is an episode, all monitors
together, as `nightly` counts them.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from drift_worlds import Break, Simulated, simulate

from moodtape.config import Config
from moodtape.forecaster.drift.budget import inputs_budget, skill_budgets
from moodtape.forecaster.drift.cusum import SLACK, fit_cusum
from moodtape.forecaster.drift.episodes import QUARTER_DAYS, SILENT_DAYS
from moodtape.forecaster.drift.fed import MARKET, SCORES, TEXTS
from moodtape.forecaster.drift.inputs import WINDOW_DAYS, Days, fit_standard
from moodtape.forecaster.drift.ruler import Ruler, daily_sums

SPAN, LOSSES = 730, 180
NIGHTS, BROKEN_NIGHTS, FOUND_IN = 365, 60, 14
COLUMNS = ("case", "size", "seed", "nights", "alarms", "found", "days", "by")
BAR = (
    *(("mean " + name, 1.0) for name in ("tone", "return")), ("missing", 0.2), ("texts", 3.0),
    ("texts", 1 / 3), ("volatility", 0.2),
)  # fmt: skip
CURVES = (
    *(("mean " + name, 1.0) for name in ("range", "volume")),
    *(("mean tone", size) for size in (0.5, 2.0)),
    *((loss, size) for loss in ("return", "direction") for size in (0.01, 0.02, 0.05, 0.1, 0.2)),
    ("volatility", 0.1), ("volatility", 0.5),
)  # fmt: skip


def plan(years: int, worlds: int) -> Iterator[tuple[str, float, int]]:
    """Yield case, size and seed of every world, those with a bar to meet first."""
    rounds = max(years, worlds)
    for number in range(rounds):
        if number < years:
            yield "none", 0.0, 1_000 + number
        if number < worlds:
            for case, size in BAR:
                yield case, size, 30_000 + number
    for number in range(worlds // 2):
        for case, size in CURVES:
            yield case, size, 40_000 + number


def monitors(world: Simulated, seed: int) -> tuple[Any, dict[str, Any], Any, list[str]]:
    """Return inputs by night, steps and threshold of each loss, the largest monitors, and names."""
    rng = np.random.default_rng([seed, 1])
    rows, days = SPAN * 24, len(world.scores)
    two = np.array([len(np.unique(c[:rows][~np.isnan(c[:rows])])) <= 2 for c in world.columns.T])
    shares = np.column_stack([world.missing, world.columns[:, two]])
    columns, opened, first = world.columns[:, ~two], world.open_time, world.open_time[0]
    ruler = Ruler.fit(columns[:rows], opened[:rows])
    histograms = [ruler.counts(columns, opened, first, days), world.scores]
    every = Days(
        np.concatenate(histograms, axis=1), daily_sums(shares, opened, first, days),
        daily_sums(world.texts, opened, first, days),
    )  # fmt: skip
    series = [n for n, t in zip(world.names, two, strict=True) if not t]
    kinds = [TEXTS if n.startswith("news.") else MARKET for n in series] + [SCORES] * 2
    allowed = Config().nightly.drift_alarms_per_quarter
    standard = fit_standard(every.part(0, SPAN), kinds, inputs_budget(allowed), rng)
    nights = every.part(SPAN - WINDOW_DAYS + 1, days).windows()
    scores, single = standard.scores(nights), standard.monitors(nights)
    largest = np.where(standard.families == scores.argmax(axis=1)[:, None], single, -np.inf)
    budgets = skill_budgets(allowed, [(target, 1) for target in world.losses])
    sums = {}
    for target, (loss, references) in world.losses.items():
        before = slice((SPAN - LOSSES) * 24, rows)
        fitted = fit_cusum(loss[before], references[before], 24, budgets[target, 1], rng)
        steps = np.nan_to_num(fitted.steps(loss[rows:], references[rows:]))
        sums[target] = (steps.reshape(-1, 24), fitted.threshold)
    series += ["scores", "doubt"]
    names = [f"PSI {n}" for n in series] + [f"KS {n}" for n in series]
    names += [*world.missing_names, *(n for n, t in zip(world.names, two, strict=True) if t)]
    return scores.max(axis=1), sums, largest.argmax(axis=1), [*names, "number of texts"]


def episodes(
    scores: Any, sums: dict[str, Any], largest: Any, names: list[str]
) -> list[tuple[int, str]]:
    """Return the nights on which an episode begins, and what began it."""
    found: list[tuple[int, str]] = []
    level = dict.fromkeys(sums, 0.0)
    for night, score in enumerate(scores):
        over = [names[int(largest[night])]] if score >= 1 else []
        for target, (steps, threshold) in sums.items():
            for step in steps[night]:
                level[target] = max(0.0, level[target] + step - SLACK)
            if level[target] >= threshold:
                over.append(f"loss of {target}")
        if over and (not found or night - found[-1][0] >= SILENT_DAYS):
            found.append((night, "; ".join(over)))
            for target in sums:
                if f"loss of {target}" in over:
                    level[target] = 0.0
    return found


def one_world(case: str, size: float, seed: int) -> dict[str, Any]:
    kind, _, name = case.partition(" ")
    rng = np.random.default_rng(seed)
    nights = NIGHTS if case == "none" else BROKEN_NIGHTS
    day = 20 + seed % 20
    broken = Break(kind, size, SPAN + day if case != "none" else 10**6, name)
    world = simulate(rng, SPAN + nights, broken, SPAN - LOSSES)
    told = episodes(*monitors(world, seed))
    row: dict[str, Any] = {"case": case, "size": round(size, 3), "seed": seed, "nights": nights}
    if case == "none":
        return row | {"alarms": len(told), "found": "", "days": "",
                      "by": " | ".join(by for _, by in told)}  # fmt: skip
    after = [(night - day + 1, by) for night, by in told if night >= day]
    days, by = after[0] if after else (0, "")
    return row | {
        "alarms": len(told), "found": int(0 < days <= FOUND_IN), "days": days or "", "by": by,
    }  # fmt: skip


def summary(path: Path) -> None:
    import pandas as pd

    table = pd.read_csv(path)
    calm = table[table.case == "none"]
    if len(calm):
        quarters = calm.nights.sum() / QUARTER_DAYS
        rate, error = calm.alarms.sum() / quarters, calm.alarms.std() * len(calm) ** 0.5 / quarters
        print(
            f"no break: {len(calm)} years, {rate:.2f} alarms a quarter, standard error {error:.2f}"
        )
    for (case, size), part in table[table.case != "none"].groupby(["case", "size"], sort=True):
        days = part.days.fillna(np.inf)
        quantiles = [f"{np.quantile(days, q, method='higher'):.0f}" for q in (0.25, 0.5, 0.75)]
        print(f"{case} {size:g}: {len(part)} worlds, found in two weeks {part.found.mean():.0%},"
              f" days to the alarm {' / '.join(quantiles)}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--worlds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("docs/results/drift.csv"))
    parser.add_argument("--summary", action="store_true")
    asked = parser.parse_args()
    if not asked.summary:
        done: set[tuple[str, str, str]] = set()
        if asked.out.exists():
            with asked.out.open() as file:
                done = {(r["case"], r["size"], r["seed"]) for r in csv.DictReader(file)}
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        with asked.out.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if not done:
                writer.writeheader()
            for case, size, seed in plan(asked.years, asked.worlds):
                if (case, str(round(size, 3)), str(seed)) not in done:
                    writer.writerow(one_world(case, size, seed))
                    file.flush()
                    print(".", end="", file=sys.stderr, flush=True)
    summary(asked.out)


if __name__ == "__main__":
    main()
