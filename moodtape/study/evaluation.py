"""How good forecasts are, by model, metric and regime, with intervals.

One row is `{symbol, horizon_bars, target, model, metric, regime, value, low, high, n}`.
Persistence and the base rate are rows of every table. What was calibrated stands beside
what was not: the deciding loss and skill are those of the raw forecasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import parse_duration
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.calibration import INTERVALS, LEVELS
from moodtape.forecaster.importance import Importance
from moodtape.forecaster.metrics import (
    absolute_error,
    brier,
    calibration_error,
    deciding_loss,
    inside,
    log_loss,
    matthews,
    pinball,
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
            calibrated = calibrated_by_model(study, key, keep)
            losses = {
                m: _losses(target, y, f, scale) | calibrated_losses(target, y, calibrated.get(m))
                for m, f in forecasts.items()
            }
            per_day = parse_duration("1d") / parse_duration(interval)
            block = block_length(
                next(iter(losses[REFERENCE].values())), target.horizon_bars, per_day
            )
            for regime, chosen in regimes(dataset, target, rows).items():
                if chosen.sum() < FEWEST_ROWS:
                    continue
                rng = generator(seed, "evaluate", symbol, key, regime)
                draws = Resamples.draw(int(chosen.sum()), block, DRAWS, rng)
                base = {
                    "symbol": symbol,
                    "horizon_bars": target.horizon_bars,
                    "target": target.name,
                    "regime": regime,
                }
                for model, forecast in forecasts.items():
                    part = {name: loss[chosen] for name, loss in losses[model].items()}
                    reference = losses[REFERENCE]["deciding loss"][chosen]
                    for row in _rows(part, reference, draws):
                        yield {**base, "model": model, **row}
                    if target.name == "direction":
                        figures = _whole(y[chosen], forecast[chosen])
                        if model in calibrated:
                            error = calibration_error(y[chosen], calibrated[model][chosen])
                            figures["calibration error, calibrated"] = error
                        for metric, value in figures.items():
                            yield {
                                **base, "model": model, "metric": metric, "value": value,
                                "low": None, "high": None, "n": int(chosen.sum()),
                            }  # fmt: skip


def _whole(y: Floats, p_up: Floats) -> dict[str, float]:
    """Return figures of a probability that are no mean over forecasts, so have no interval."""
    return {"MCC": matthews(y, p_up), "calibration error": calibration_error(y, p_up)}


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


def calibrated_by_model(study: Study, key: str, keep: Mask) -> dict[str, Floats]:
    """Return one calibrated forecast per model: P(up) (n,), or quantiles (n, 5)."""
    arms = {name: f"{study.forecaster} {name}" for name in study.arms}
    return {
        arms.get(name, name): by_key[key][keep]
        for name, by_key in study.calibrated.items()
        if key in by_key
    }


def calibrated_losses(target: Target, y: Floats, calibrated: Floats | None) -> dict[str, Floats]:
    """Return per-forecast losses of a calibrated forecast; none where a fold had too few rows.

    coverage: 1 where the answer lies in the interval; width in the answer's unit; pinball
    loss: the mean over LEVELS, half the continuous ranked probability score they stand for.
    """
    if calibrated is None or np.isnan(calibrated).any():
        return {}
    if target.name == "direction":
        return {
            "Brier, calibrated": brier(y, calibrated),
            "log loss, calibrated": log_loss(y, calibrated),
        }
    at = dict(zip(LEVELS, calibrated.T, strict=True))
    found = {}
    for name, (low, high) in INTERVALS.items():
        found[f"coverage of {name}"] = inside(y, at[low], at[high])
        found[f"width of {name}"] = at[high] - at[low]
    pinballs = [pinball(y, quantile, level) for level, quantile in at.items()]
    return {**found, "pinball loss": np.asarray(np.mean(pinballs, axis=0))}


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
        yield {"metric": name, "n": n, **mean_interval(loss, draws)}
        if name == "MSE":
            yield {
                "metric": "RMSE",
                "n": n,
                **_interval(loss, loss, draws, lambda a, _: np.sqrt(a)),
            }
    skill = _interval(losses["deciding loss"], reference, draws, lambda a, b: 1 - a / b)
    yield {"metric": "skill against persistence", "n": n, **skill}


def importance_rows(
    found: Importance, dataset: Dataset, seed: int, interval: str
) -> Iterator[dict[str, Any]]:
    """Yield how much higher the deciding loss is with each group of another time, as a share.

    One row is `{symbol, horizon_bars, target, forecaster, model, group, value, low, high, n}`.
    """
    for number, symbol in enumerate(dataset.symbols):
        for key, target in dataset.targets.items():
            whole = found.whole[key]
            keep = (dataset.symbol[found.rows] == number) & ~np.isnan(whole)
            if keep.sum() < FEWEST_ROWS:
                continue
            per_day = parse_duration("1d") / parse_duration(interval)
            block = block_length(whole[keep], target.horizon_bars, per_day)
            draws = Resamples.draw(
                int(keep.sum()), block, DRAWS, generator(seed, "importance", symbol, key)
            )
            for group, by_key in found.shuffled.items():
                change = _interval(by_key[key][keep], whole[keep], draws, lambda a, b: a / b - 1)
                yield {
                    "symbol": symbol,
                    "horizon_bars": target.horizon_bars,
                    "target": target.name,
                    "forecaster": found.forecaster,
                    "model": found.arm.name,
                    "group": group,
                    **change,
                    "n": int(keep.sum()),
                }


def mean_interval(loss: Floats, draws: Resamples) -> dict[str, float]:
    """Return a mean with its 95 % percentile interval."""
    return _interval(loss, loss, draws, lambda a, _: a)


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
