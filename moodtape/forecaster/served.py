"""A model that is ready to forecast: weights, scaler, columns and calibration in a run folder.

Forecasting imports neither keras nor TensorFlow: the network runs on ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import from_datetime64
from moodtape.errors import DataMissing, UnreadableFile, UsageError
from moodtape.forecaster.calibration import LEVELS, Calibration
from moodtape.forecaster.export import ONNX_FILE, open_session, run_session
from moodtape.forecaster.layers import GATE
from moodtape.forecaster.model import MARKET, SUBJECT, SYMBOL
from moodtape.forecaster.runs import SERVED, read_json, write_json
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.train import TargetScale
from moodtape.forecaster.windows import gather, window_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

ANSWERS = ("mean", "quantiles", "p_up", "p_up_raw", "volatility", "volatility_quantiles")
"""What a forecast says of one horizon; each None where the run has no such target."""


@dataclass(frozen=True)
class Served:
    """What a forecast needs to know besides the network.

    market, subject: names of the columns of each branch, in order.
    residuals, odds, usual_miss: the offsets and the rest of its `Calibration`. A folder of an
        earlier version may have residuals of returns alone, no odds: P(up) stays as it came,
        and no misses: its intervals of volatility are as wide in every season.
    """

    symbols: tuple[str, ...]
    interval: str
    scorer: str | None
    streams: tuple[str, ...]
    metrics: tuple[str, ...]
    market: tuple[str, ...]
    subject: tuple[str, ...]
    columns: tuple[str, ...]
    lookback_bars: int
    subject_lookback_bars: int
    scales: tuple[TargetScale, ...]
    residuals: Mapping[str, tuple[float, ...]]
    scaler: Scaler
    trained_until: str
    odds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    usual_miss: Mapping[str, float] = field(default_factory=dict)

    @property
    def calibration(self) -> Calibration:
        """Return what the network's answers are corrected by."""
        return Calibration(self.residuals, self.odds, self.usual_miss)

    def write(self, folder: Path) -> None:
        """Write `served.json`."""
        values = {k: v for k, v in vars(self).items() if k not in {"scaler", "scales"}}
        scales = [asdict(s) for s in self.scales]
        write_json(folder / SERVED, {**values, "scales": scales, "scaler": self.scaler.as_dict()})

    @classmethod
    def read(cls, folder: Path) -> Served:
        """Return what `write` wrote.

        Raises:
            UnreadableFile: the file is absent or of another make.
        """
        values = read_json(folder / SERVED)
        try:
            return cls(
                scaler=Scaler.from_dict(values.pop("scaler")),
                scales=tuple(TargetScale(**s) for s in values.pop("scales")),
                residuals={
                    key: tuple(np.nan if v is None else v for v in offsets)
                    for key, offsets in values.pop("residuals").items()
                },
                odds={k: (v[0], v[1]) for k, v in values.pop("odds", {}).items()},
                **_tuples(values),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as exc:
            raise UnreadableFile(f"{folder / SERVED} is of another version: {exc}.") from exc

    def windows(self, dataset: Dataset, rows: Rows) -> dict[str, Any]:
        """Return the network's inputs at some rows of a dataset that has the same columns.

        Raises:
            UsageError: the columns are not those that the model was trained on.
        """
        names = [c.name for c in dataset.columns]
        if tuple(names) != self.columns:
            odd = sorted(set(names) ^ set(self.columns)) or ["another order"]
            raise UsageError(
                f"The model was trained on other columns ({', '.join(odd[:3])})."
                " The config has changed since. Run: moodtape train"
            )
        longest = max(self.lookback_bars, self.subject_lookback_bars)
        used = np.unique(window_rows(rows, longest))  # a forecast pays for its windows alone
        scaled = self.scaler.apply(dataset.features[used], dataset.symbol[used])
        place = np.searchsorted(used, rows)
        market = scaled[:, [names.index(n) for n in self.market]]
        subject = scaled[:, [names.index(n) for n in self.subject]]
        found: dict[str, Any] = {MARKET: gather(market, place, self.lookback_bars)}
        if self.subject:
            found[SUBJECT] = gather(subject, place, self.subject_lookback_bars)
        if len(self.symbols) > 1:
            found[SYMBOL] = dataset.symbol[rows].astype(np.int32)
        return found


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with tuples where JSON has lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def forecast_rows(
    folder: Path, served: Served, dataset: Dataset, rows: Rows
) -> list[dict[str, Any]]:
    """Return a forecast for each row and horizon, from the ONNX file of a run.

    quantiles: log return by level; p_up: P(return > 0), calibrated; p_up_raw: as the network
    says it; volatility: forecast standard deviation of one bar's log return;
    volatility_quantiles: by level; gate: how far the network lets sentiment in, 0 to 1.
    None where the run has no such target, or too few rows to calibrate a level on.

    Raises:
        DataMissing: the run has no ONNX file.
    """
    path = folder / ONNX_FILE
    if not path.is_file():
        raise DataMissing(
            f"{folder.name} has no {ONNX_FILE}: the file is gone, or it was trained without"
            " TensorFlow. Go back to the model before it: moodtape models back, or make another:"
            " KERAS_BACKEND=tensorflow moodtape train"
        )
    outputs = run_session(open_session(path), served.windows(dataset, rows))
    found = []
    for place, row in enumerate(rows):
        answers = {key: values[place : place + 1].astype(float) for key, values in outputs.items()}
        by_horizon: dict[int, dict[str, Any]] = {}
        for scale in served.scales:
            entry = by_horizon.setdefault(scale.horizon_bars, dict.fromkeys(ANSWERS))
            entry |= _answer(served, scale, answers[scale.key], dataset, row)
        cutoff = from_datetime64(dataset.cutoff[row])
        decision = from_datetime64(dataset.decision_time[row])
        found += [
            {
                "symbol": dataset.symbols[dataset.symbol[row]],
                "cutoff": cutoff,
                "decision_time": decision,
                "horizon_bars": horizon,
                **entry,
                "gate": float(outputs[GATE][place]) if GATE in outputs else None,
                "run": folder.name,
            }
            for horizon, entry in sorted(by_horizon.items())
        ]
    return found


def _answer(
    served: Served, scale: TargetScale, output: Floats, dataset: Dataset, row: int
) -> dict[str, Any]:
    """Return one target's part of a forecast, in the answer's unit and calibrated."""
    variance = dataset.trailing_variance[row : row + 1]
    value = scale.restored(output, variance)
    if scale.name == "direction":
        calibrated = served.calibration.p_up(scale, value)
        return {"p_up": float(calibrated[0]), "p_up_raw": float(value[0])}
    misses = dataset.trailing_miss.get(scale.key)
    miss = None if misses is None else misses[row : row + 1]
    quantiles = served.calibration.quantiles(scale, value, variance, miss)[0]
    if scale.name == "return":
        return {"mean": float(value[0]), "quantiles": _by_level(quantiles)}
    return {
        "volatility": float(np.exp(value[0])),
        "volatility_quantiles": _by_level(np.exp(quantiles)),
    }


def _by_level(quantiles: Floats) -> dict[str, float] | None:
    """Return quantiles by level, without those that could not be calibrated."""
    found = {str(q): float(v) for q, v in zip(LEVELS, quantiles, strict=True) if np.isfinite(v)}
    return found or None
