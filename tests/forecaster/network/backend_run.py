"""One small training by the product's own parts, under the backend that KERAS_BACKEND names.

    python backend_run.py OUT.json

Weights come from numpy, so that every backend starts from the same; without dropout
nothing else is drawn by the backend. Run in an interpreter of its own.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROWS, EPOCHS = 20, 4


def measure(cell: Any, config: Any, device: Any) -> dict[str, Any]:
    """Return answers before training, losses of each epoch, answers after, and a whole fit's."""
    from moodtape.forecaster.indexed import RowBatches
    from moodtape.forecaster.seeds import generator
    from moodtape.forecaster.train import NetworkForecaster, _answers, _matrices, target_scales

    dataset, inputs, fold = cell
    plain = config.model_copy(update={"network": config.network.model_copy(update={"dropout": 0})})
    network = NetworkForecaster(plain, device)._network(dataset, inputs)
    network.reset(1, _matrices(dataset, inputs))
    rng = np.random.default_rng(0)
    network.core.set_weights([rng.normal(0, 0.3, w.shape) for w in network.core.weights])
    found: dict[str, Any] = {"before": _some(network, fold)}
    answers, weights = _answers(dataset, target_scales(dataset, fold.train))
    size = config.training.batch_size
    history = network.model.fit(
        RowBatches(fold.train, answers, weights, size, generator(7, "order")),
        validation_data=RowBatches(fold.stop, answers, weights, size, None),
        epochs=EPOCHS, shuffle=False, verbose=0,
    ).history  # fmt: skip
    found["losses"] = {key: [float(v) for v in history[key]] for key in ("loss", "val_loss")}
    found["after"] = _some(network, fold)
    fit = NetworkForecaster(config, device).fit(dataset, inputs, fold, seed=0)
    forecast = fit.forecast(dataset, fold.test)
    found["explained"] = {
        key: 1 - float(np.nanmean((y - forecast[key]) ** 2) / np.nanvar(y))
        for key, y in ((key, t.y[fold.test]) for key, t in dataset.targets.items())
    }
    found["epochs"] = len(fit.history)
    return found


def _some(network: Any, fold: Any) -> dict[str, list[float]]:
    outputs = network.predict(fold.test[:ROWS], batch=32)
    return {key: [float(v) for v in values] for key, values in outputs.items()}


def main(out: Path) -> None:
    from moodtape.forecaster.device import prepare

    spec = importlib.util.spec_from_file_location(
        "small_market", Path(__file__).with_name("conftest.py")
    )
    assert spec is not None
    assert spec.loader is not None
    market = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(market)
    dataset = market.small_dataset()
    cell = (dataset, market.inputs_of(dataset), market.fold_of(dataset))
    out.write_text(json.dumps(measure(cell, market.SMALL, prepare("cpu"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
