"""How well calibrated outputs keep their word on the test rows: coverage, and P(up) before/after.

One row is `{symbol, target, horizon_bars, forecaster, model, n}` and, of a return or volatility,
`intervals`: by name its coverage with a 95 % interval and its mean width; of a direction, Brier
score and calibration error of the raw and of the calibrated P(up), and both in bins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import parse_duration
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.calibration import INTERVALS
from moodtape.forecaster.metrics import brier, calibration_error, reliability
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.stats import Resamples, block_length
from moodtape.study.evaluation import (
    DRAWS,
    FEWEST_ROWS,
    REFERENCE,
    calibrated_losses,
    mean_interval,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.target import Target

    Floats = NDArray[np.float64]


def calibration_rows(
    study: Study, dataset: Dataset, seed: int, interval: str, baseline: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row for the arm in question of a study by symbol, target and horizon.

    Args:
        seed: root of the bootstrap's draws. interval: of a bar.
        baseline: yield persistence's rows, too; its probability is one half, so it has none
            for a direction.
    """
    for number, symbol in enumerate(dataset.symbols):
        for key, target in dataset.targets.items():
            keep = (dataset.symbol[study.rows] == number) & ~np.isnan(target.y[study.rows])
            if keep.sum() < FEWEST_ROWS:
                continue
            models = {study.real: study.forecaster}
            if baseline and target.name != "direction":
                models[REFERENCE] = "baseline"
            for model, forecaster in models.items():
                calibrated = study.calibrated.get(model, {}).get(key)
                if calibrated is None or np.isnan(calibrated[keep]).any():
                    continue
                y = target.y[study.rows[keep]]
                told = (
                    _odds(y, study.arms[model].by_key[key][:, keep].mean(axis=0), calibrated[keep])
                    if target.name == "direction"
                    else _intervals(
                        target, y, calibrated[keep], interval,
                        generator(seed, "calibration", symbol, key),
                    )
                )  # fmt: skip
                yield {
                    "symbol": symbol,
                    "target": target.name,
                    "horizon_bars": target.horizon_bars,
                    "forecaster": forecaster,
                    "model": model,
                    "n": int(keep.sum()),
                    **told,
                }


def _intervals(
    target: Target, y: Floats, quantiles: Floats, interval: str, rng: np.random.Generator
) -> dict[str, Any]:
    """Return coverage and width of each central interval."""
    losses = calibrated_losses(target, y, quantiles)
    per_day = parse_duration("1d") / parse_duration(interval)
    block = block_length(losses["pinball loss"], target.horizon_bars, per_day)
    draws = Resamples.draw(len(y), block, DRAWS, rng)
    return {
        "intervals": {
            name: {
                "nominal": high - low,
                "coverage": mean_interval(losses[f"coverage of {name}"], draws),
                "width": float(losses[f"width of {name}"].mean()),
            }
            for name, (low, high) in INTERVALS.items()
        }
    }


def _odds(y: Floats, raw: Floats, calibrated: Floats) -> dict[str, Any]:
    """Return how P(up) fits what happened, raw and calibrated."""
    return {
        name: {
            "brier": float(brier(y, p).mean()),
            "error": calibration_error(y, p),
            "bins": [list(part) for part in reliability(y, p)],
        }
        for name, p in (("raw", raw), ("calibrated", calibrated))
    }
