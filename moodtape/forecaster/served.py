"""A model that is ready to forecast: weights, scaler, columns and residuals in a run folder.

Forecasting imports neither keras nor TensorFlow: the network runs on ONNX Runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import from_datetime64
from moodtape.errors import DataMissing, UnreadableFile, UsageError
from moodtape.forecaster.export import ONNX_FILE, open_session, run_session
from moodtape.forecaster.layers import GATE
from moodtape.forecaster.model import MARKET, SUBJECT, SYMBOL
from moodtape.forecaster.runs import SERVED, read_json, write_json
from moodtape.forecaster.scaling import Scaler
from moodtape.forecaster.train import TargetScale
from moodtape.forecaster.windows import gather

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Probability levels of the quantiles of a return."""


@dataclass(frozen=True)
class Served:
    """What a forecast needs to know besides the network.

    market, subject: names of the columns of each branch, in order.
    residuals: by target key of a return, its scaled residuals on the `calibrate` rows at LEVELS.
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
                residuals={k: tuple(v) for k, v in values.pop("residuals").items()},
                **_tuples(values),
            )
        except (KeyError, TypeError) as exc:
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
        scaled = self.scaler.apply(dataset.features, dataset.symbol)
        market = scaled[:, [names.index(n) for n in self.market]]
        subject = scaled[:, [names.index(n) for n in self.subject]]
        found: dict[str, Any] = {MARKET: gather(market, rows, self.lookback_bars)}
        if self.subject:
            found[SUBJECT] = gather(subject, rows, self.subject_lookback_bars)
        if len(self.symbols) > 1:
            found[SYMBOL] = dataset.symbol[rows].astype(np.int32)
        return found


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with tuples where JSON has lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def residual_quantiles(
    scales: Sequence[TargetScale], dataset: Dataset, rows: Rows, forecasts: Mapping[str, Floats]
) -> dict[str, tuple[float, ...]]:
    """Return the scaled residuals of every return target at LEVELS, on the `calibrate` rows.

    Divided by the trailing standard deviation, so that the interval widens in wild times.
    Source: Vovk, Gammerman & Shafer (2005), split conformal prediction.
    """
    found = {}
    for scale in scales:
        if scale.name != "return":
            continue
        y = dataset.targets[scale.key].y[rows]
        own = np.sqrt(dataset.trailing_variance[rows] * scale.horizon_bars)
        residual = ((y - forecasts[scale.key]) / own)[~np.isnan(y)]
        if len(residual):
            found[scale.key] = tuple(float(q) for q in np.quantile(residual, LEVELS))
    return found


def forecast_rows(
    folder: Path, served: Served, dataset: Dataset, rows: Rows
) -> list[dict[str, Any]]:
    """Return a forecast for each row and horizon, from the ONNX file of a run.

    quantiles: log return by level; p_up: P(return > 0); volatility: forecast standard
    deviation of one bar's log return; gate: how far the network lets sentiment in, 0 to 1.

    Raises:
        DataMissing: the run has no ONNX file.
    """
    path = folder / ONNX_FILE
    if not path.is_file():
        raise DataMissing(
            f"{folder.name} has no {ONNX_FILE}: it was trained without TensorFlow and cannot be"
            " served. Run: KERAS_BACKEND=tensorflow moodtape train"
        )
    outputs = run_session(open_session(path), served.windows(dataset, rows))
    found = []
    for place, row in enumerate(rows):
        variance = dataset.trailing_variance[row : row + 1]
        by_horizon: dict[int, dict[str, Any]] = {}
        for scale in served.scales:
            value = float(
                scale.restored(outputs[scale.key][place : place + 1].astype(float), variance)[0]
            )
            entry = by_horizon.setdefault(
                scale.horizon_bars, {"quantiles": None, "p_up": None, "volatility": None}
            )
            if scale.name == "return":
                entry["mean"] = value
                entry["quantiles"] = _quantiles(served, scale, value, float(variance[0]))
            elif scale.name == "direction":
                entry["p_up"] = value
            else:
                entry["volatility"] = float(np.exp(value))
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


def _quantiles(
    served: Served, scale: TargetScale, mean: float, variance: float
) -> dict[str, float]:
    own = float(np.sqrt(variance * scale.horizon_bars))
    residuals = served.residuals.get(scale.key, ())
    return {str(q): mean + own * r for q, r in zip(LEVELS, residuals, strict=False)}
