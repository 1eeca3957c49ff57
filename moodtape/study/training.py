"""One model for serving: fitted on every decision whose answers are known, kept in a run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moodtape.clock import from_datetime64, utc_now
from moodtape.errors import DataMissing
from moodtape.forecaster.arms import Arm
from moodtape.forecaster.calibration import Calibration, fit_calibration
from moodtape.forecaster.checkpoint import CHECKPOINT, Checkpoint, computed_by, fit_key
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.device import prepare
from moodtape.forecaster.events import EventFile
from moodtape.forecaster.inputs import Inputs, build_inputs
from moodtape.forecaster.layers import GATE
from moodtape.forecaster.model import MARKET, SUBJECT, SYMBOL
from moodtape.forecaster.runs import config_hash, provenance, write_json
from moodtape.forecaster.scaling import Scaler, fold_scaler, scaled_features
from moodtape.forecaster.served import Served
from moodtape.forecaster.splits import Fold, final_fold
from moodtape.forecaster.windows import gather
from moodtape.study.ground import Ground

COMPARED = 64
"""Windows on which the exported network must agree with the trained one."""


def train_served(
    ground: Ground,
    folder: Path,
    arm: Arm,
    command: str,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Fit the network on everything known and write all that a forecast needs.

    A folder that holds an interrupted fit of the same model has it go on there.

    Args:
        progress: told (done, in all, what is being done); a total of 0 is unknown.
    Raises:
        DataMissing: too few decisions.
        GateFailed: the exported network differs from the trained one.
    """
    tell = progress or (lambda done, total, what: None)
    config, dataset = ground.config, ground.dataset
    device = prepare(config.training.device)
    from moodtape.forecaster.export import save_model
    from moodtape.forecaster.train import NetworkForecaster, Watch

    started = time.monotonic()
    fold = final_fold(dataset, config.network.lookback_bars, config.walk_forward)
    if not len(fold.calibrate):
        raise DataMissing("No decisions are left to calibrate on. Take a longer span (--since).")
    inputs = build_inputs(dataset, scaled_features(dataset, fold), arm)
    tell(0, 0, f"fitting on {len(fold.train):,} decisions")
    checkpoint = Checkpoint(folder / CHECKPOINT, served_key(ground, arm))
    events = None
    if config.training.tensorboard:
        events = EventFile(folder / "tensorboard", utc_now().timestamp())
    fit = NetworkForecaster(config, device).fit(
        dataset, inputs, fold, seed=0, watch=Watch(checkpoint, progress, events)
    )
    tell(0, 0, "exporting and comparing")
    core = fit.network.core
    gap = save_model(core, folder, _windows(dataset, inputs, fold.calibrate[-COMPARED:], ground))
    on_calibrate = fit.forecast(dataset, fold.calibrate)
    scaler = fold_scaler(dataset, fold)
    calibration = fit_calibration(dataset, fold.calibrate, on_calibrate)
    served = _served(ground, arm, fit.scales, calibration, scaler, fold)
    served.write(folder)
    result = {
        "schema_version": 1,
        "command": "train",
        "run": folder.name,
        "symbols": dataset.symbols,
        "arm": arm.name,
        "rows": {k: len(getattr(fold, k)) for k in ("train", "stop", "calibrate")},
        "trained_until": served.trained_until,
        "epochs": len(fit.history),
        "best_epoch": fit.best_epoch,
        "parameters": int(core.count_params()),
        "samples_per_s": round(fit.samples_per_s),
        "gate_mean": float(np.mean(on_calibrate[GATE])) if GATE in on_calibrate else None,
        "onnx_gap": gap,
        "servable": gap is not None,
        "history": fit.history,
        "provenance": provenance(
            config,
            dataset=dataset.fingerprint(),
            command=command,
            device=f"{device.backend} on {device.name}",
            deterministic=device.deterministic,
            seconds=round(time.monotonic() - started, 1),
        ),
    }
    write_json(folder / "config.json", config.model_dump(mode="json"))
    write_json(folder / "results.json", result)
    checkpoint.remove()
    return result


def served_key(ground: Ground, arm: Arm) -> str:
    """Return a hash of all that the bits of the served model's weights depend on."""
    return fit_key(
        dataset=ground.dataset.fingerprint(),
        span=ground.span,
        config=config_hash(ground.config),
        seed=ground.config.seed,
        arm=arm,
        computed_by=computed_by(),
    )


def _windows(dataset: Dataset, inputs: Inputs, rows: Any, ground: Ground) -> Mapping[str, Any]:
    network = ground.config.network
    found: dict[str, Any] = {MARKET: gather(inputs.market, rows, network.lookback_bars)}
    if inputs.subject.shape[1]:
        found[SUBJECT] = gather(inputs.subject, rows, network.sentiment_lookback_bars)
    if len(dataset.symbols) > 1:
        found[SYMBOL] = dataset.symbol[rows].astype(np.int32)
    return found


def _served(
    ground: Ground, arm: Arm, scales: Any, calibration: Calibration, scaler: Scaler, fold: Fold
) -> Served:
    dataset, network = ground.dataset, ground.config.network
    columns = [c for c in dataset.columns if c.group in arm.groups]
    return Served(
        symbols=dataset.symbols,
        interval=dataset.interval,
        scorer=ground.request.scorer if dataset.streams else None,
        streams=dataset.streams,
        metrics=dataset.metrics,
        market=tuple(c.name for c in columns if c.group != arm.subject),
        subject=tuple(c.name for c in columns if c.group == arm.subject),
        columns=tuple(c.name for c in dataset.columns),
        lookback_bars=network.lookback_bars,
        subject_lookback_bars=network.sentiment_lookback_bars,
        scales=scales,
        residuals=calibration.offsets,
        odds=calibration.odds,
        usual_miss=calibration.usual_miss,
        scaler=scaler,
        trained_until=from_datetime64(dataset.cutoff[fold.calibrate[-1]]).isoformat(),
    )
