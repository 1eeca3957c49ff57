"""How good forecasts are, by model, metric and regime, with intervals.

One row is `{symbol, horizon_bars, target, model, metric, regime, value, low, high, n}`.
Persistence and the base rate are rows of every table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import parse_duration
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.metrics import (
    absolute_error,
    brier,
    deciding_loss,
    log_loss,
    matthews,
    squared_error,
)
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.stats import Resamples, block_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset
    from moodtape.forecaster.target import Target

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

DRAWS = 500
FEWEST_ROWS = 30
REGIMES = ("all", "calm", "volatile", "reversal", "extreme")
REFERENCE = "persistence"


def metric_rows(
    study: Study, dataset: Dataset, seed: int, interval: str
) -> Iterator[dict[str, Any]]:
    """Yield the table of a study: every arm and baseline on the same test rows."""
    for number, symbol in enumerate(dataset.symbols):
        for key, target in dataset.targets.items():
            keep = (dataset.symbol[study.rows] == number) & ~np.isnan(target.y[study.rows])
            rows = study.rows[keep]
            if len(rows) < FEWEST_ROWS:
                continue
            forecasts = _by_model(study, key, keep)
            y, scale = target.y[rows], dataset.trailing_variance[rows]
            losses = {m: _losses(target, y, f, scale) for m, f in forecasts.items()}
            per_day = parse_duration("1d") / parse_duration(interval)
            block = block_length(
                next(iter(losses[REFERENCE].values())), target.horizon_bars, per_day
            )
            for regime, inside in regimes(dataset, target, rows).items():
                if inside.sum() < FEWEST_ROWS:
                    continue
                rng = generator(seed, "evaluate", symbol, key, regime)
                draws = Resamples.draw(int(inside.sum()), block, DRAWS, rng)
                base = {
                    "symbol": symbol,
                    "horizon_bars": target.horizon_bars,
                    "target": target.name,
                    "regime": regime,
                }
                for model, forecast in forecasts.items():
                    part = {name: loss[inside] for name, loss in losses[model].items()}
                    reference = losses[REFERENCE]["deciding loss"][inside]
                    for row in _rows(part, reference, draws):
                        yield {**base, "model": model, **row}
                    if target.name == "direction":
                        value = matthews(y[inside], forecast[inside])
                        yield {
                            **base, "model": model, "metric": "MCC", "value": value,
                            "low": None, "high": None, "n": int(inside.sum()),
                        }  # fmt: skip


def regimes(dataset: Dataset, target: Target, rows: NDArray[np.int64]) -> dict[str, Mask]:
    """Return which rows belong to each regime; regimes overlap and only describe.

    calm, volatile: below and in the top tenth of trailing volatility; reversal: the move
    goes against the trailing 24 bars; extreme: the largest hundredth of moves.
    """
    names = [c.name for c in dataset.columns]
    move = _move(dataset, target, rows)
    trailing = dataset.trailing_variance[rows]
    wild = trailing >= np.quantile(trailing, 0.9)
    before = dataset.features[rows, names.index("ret_24")] if "ret_24" in names else move * np.nan
    size = np.abs(move)
    found = {"all": np.ones(len(rows), dtype=bool), "calm": ~wild, "volatile": wild}
    with np.errstate(invalid="ignore"):
        found["reversal"] = np.sign(move) * np.sign(before) < 0
        found["extreme"] = size >= np.nanquantile(size, 0.99)
    return found


def _move(dataset: Dataset, target: Target, rows: NDArray[np.int64]) -> Floats:
    """Return the log return that followed each row, over the target's horizon."""
    ahead = np.minimum(rows + target.horizon_bars, len(dataset.close) - 1)
    same = dataset.symbol[ahead] == dataset.symbol[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        move = np.log(dataset.close[ahead] / dataset.close[rows])
    return np.where(same, move, np.nan)


def _by_model(study: Study, key: str, keep: Mask) -> dict[str, Floats]:
    """Return one forecast per model; the seeds of an arm are averaged, as they are served."""
    found = {name: by_key[key][keep] for name, by_key in study.baselines.items() if key in by_key}
    for name, arm in study.arms.items():
        found[f"{study.forecaster} {name}"] = arm.by_key[key][:, keep].mean(axis=0)
    return found


def _losses(target: Target, y: Floats, forecast: Floats, scale: Floats) -> dict[str, Floats]:
    """Return per-forecast losses by metric name; the deciding one first."""
    found = {"deciding loss": deciding_loss(target.name, y, forecast, scale, target.horizon_bars)}
    if target.name == "direction":
        right = ((forecast > 0.5) == (y > 0.5)).astype(float)
        right[forecast == 0.5] = 0.5  # no opinion is right half of the time
        return {
            **found, "Brier": brier(y, forecast), "log loss": log_loss(y, forecast),
            "directional accuracy": right, "share of ups": y,
        }  # fmt: skip
    found |= {"MSE": squared_error(y, forecast), "MAE": absolute_error(y, forecast)}
    if target.name == "return":
        right = (np.sign(forecast) == np.sign(y)).astype(float)
        right[forecast == 0] = 0.5
        found["directional accuracy"] = right
    return found


def _rows(
    losses: Mapping[str, Floats], reference: Floats, draws: Resamples
) -> Iterator[dict[str, Any]]:
    """Yield a row for each mean, for the root of the MSE, and for skill against persistence."""
    n = draws.n
    for name, loss in losses.items():
        yield {"metric": name, "n": n, **_interval(loss, loss, draws, lambda a, _: a)}
        if name == "MSE":
            yield {
                "metric": "RMSE",
                "n": n,
                **_interval(loss, loss, draws, lambda a, _: np.sqrt(a)),
            }
    skill = _interval(losses["deciding loss"], reference, draws, lambda a, b: 1 - a / b)
    yield {"metric": "skill against persistence", "n": n, **skill}


def _interval(
    a: Floats, b: Floats, draws: Resamples, combine: Callable[[Floats, Floats], Floats]
) -> dict[str, float]:
    """Return a figure made of two means with its 95 % percentile interval (one set of blocks)."""
    value = combine(np.array([a.mean()]), np.array([b.mean()]))[0]
    drawn = combine(
        draws.block_sums(a).sum(axis=1) / draws.n, draws.block_sums(b).sum(axis=1) / draws.n
    )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": float(value), "low": float(low), "high": float(high)}
