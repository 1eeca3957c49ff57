"""Further tests on the losses of a study: known in the field, descriptive, and no part of a word.

1. pairs     null against the arm in question, of each forecaster
2. tables    all forecasters, with and without, and all baselines, of each question
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.errors import InsufficientData
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.arms import NULL
from moodtape.forecaster.descriptive import (
    SIZE,
    clark_west,
    confidence_set,
    giacomini_white,
    overfitting,
    pesaran_timmermann,
    superior_ability,
)
from moodtape.forecaster.evidence import target_losses
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.seeds import child_seed
from moodtape.forecaster.shift import usual_bars
from moodtape.forecaster.stats import FEWEST, block_length
from moodtape.study.ablate import Outcome
from moodtape.study.ground import Ground

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BENCHMARK = "persistence"
DRAWS = 500
MOST_ROWS = 1_000
"""More are averaged over neighbours first: the means stay, and a table takes a second."""

MOST_TABLES = 24
"""A panel with more questions has none: nobody would read them, and each takes its second."""


def further_results(ground: Ground, outcome: Outcome) -> dict[str, Any]:
    """Return `{pairs, tables}` for `results.json`."""
    return {
        "pairs": [row for study in outcome.studies for row in _pairs(ground, study)],
        "tables": list(_tables(ground, outcome)),
    }


def _pairs(ground: Ground, study: Study) -> Iterator[dict[str, Any]]:
    """Yield each question of one forecaster with the tests that apply to it."""
    dataset = ground.dataset
    for number, symbol in enumerate(dataset.symbols):
        for key, target in dataset.targets.items():
            losses = target_losses(study, dataset, number, key)
            if len(losses.rows) < FEWEST:
                continue
            keep = np.isin(study.rows, losses.rows)
            null, real = (
                study.arms[name].by_key[key][:, keep].mean(axis=0) for name in (NULL, study.real)
            )
            y, horizon = target.y[losses.rows], target.horizon_bars
            mean = {name: losses.by_arm[name].mean(axis=0) for name in (NULL, study.real)}
            row: dict[str, Any] = {
                "symbol": symbol,
                "target": target.name,
                "horizon_bars": horizon,
                "forecaster": study.forecaster,
                "giacomini_white": _told(giacomini_white, mean[NULL], mean[study.real], horizon),
                "clark_west": None,
                "pesaran_timmermann": None,
                "n": len(losses.rows),
            }
            if study.forecaster == LINEAR and target.name != "direction":
                row["clark_west"] = _told(clark_west, y, null, real, horizon)
            if target.name == "direction":
                row["pesaran_timmermann"] = _told(pesaran_timmermann, y, real)
            yield row


def _told(test: Any, *args: Any) -> dict[str, float] | None:
    """Return a test's statistic and p-value; None where it is not defined."""
    try:
        found = test(*args)
    except (InsufficientData, np.linalg.LinAlgError):
        return None
    return None if found is None else {"statistic": found.value, "p": found.p}


def _tables(ground: Ground, outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield for each question what comes of choosing among all its forecasts."""
    dataset, config = ground.dataset, ground.config
    if len(dataset.symbols) * len(dataset.targets) > MOST_TABLES:
        return
    for number, symbol in enumerate(dataset.symbols):
        for key, target in dataset.targets.items():
            losses = _contenders(ground, outcome, number, key)
            n = len(next(iter(losses.values())))
            if n < FEWEST or BENCHMARK not in losses:
                continue
            means = {name: values.mean() for name, values in losses.items()}
            best = min((name for name in means if name != BENCHMARK), key=means.__getitem__)
            gain = losses[BENCHMARK] - losses[best]
            block = block_length(gain, target.horizon_bars, usual_bars(dataset, "D"))
            width = math.ceil(n / MOST_ROWS)
            thin = {name: _averaged(values, width) for name, values in losses.items()}
            size, seed = max(1, round(block / width)), child_seed(config.seed, "further", key)
            models = {name: values for name, values in thin.items() if name != BENCHMARK}
            yield {
                "symbol": symbol,
                "target": target.name,
                "horizon_bars": target.horizon_bars,
                "models": list(losses),
                "best": best,
                "benchmark": BENCHMARK,
                "spa_p": superior_ability(thin[BENCHMARK], models, size, DRAWS, seed),
                "mcs": list(confidence_set(thin, size, DRAWS, seed)),
                "mcs_size": SIZE,
                "pbo": overfitting(losses),
                "n": n,
            }


def _contenders(ground: Ground, outcome: Outcome, symbol: int, key: str) -> Mapping[str, Floats]:
    """Return the losses (n,) of every forecaster with and without, and of every baseline.

    Of forecasts that never differ the first stands for all.
    """
    found: dict[str, Floats] = {}
    for study in outcome.studies:
        losses = target_losses(study, ground.dataset, symbol, key)
        for arm in (study.real, NULL):
            found[f"{study.forecaster} {arm}"] = losses.by_arm[arm].mean(axis=0)
        found |= losses.by_baseline
    kept: dict[str, Floats] = {}
    for name in sorted(found, key=lambda name: name != BENCHMARK):
        if not any(np.array_equal(found[name], other) for other in kept.values()):
            kept[name] = found[name]
    return kept


def _averaged(values: Floats, width: int) -> Floats:
    """Return means of so many neighbours each, a shorter rest left out. (n,) -> (n // width,)"""
    whole = len(values) // width * width
    return np.asarray(values[:whole].reshape(-1, width).mean(axis=1))
