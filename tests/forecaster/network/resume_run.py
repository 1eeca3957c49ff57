"""One small fit that keeps a checkpoint, under the backend that KERAS_BACKEND names.

    python resume_run.py FOLDER KILL    fits, and kills itself in the middle of epoch KILL
    python resume_run.py FOLDER         goes on, then fits again without; prints both as JSON

Run in an interpreter of its own, so that nothing of the killed one is left.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def load_market() -> Any:
    spec = importlib.util.spec_from_file_location(
        "small_market", Path(__file__).with_name("conftest.py")
    )
    assert spec is not None
    assert spec.loader is not None
    market = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(market)
    return market


def main(folder: Path, kill: int | None) -> None:
    from moodtape.forecaster.checkpoint import Checkpoint
    from moodtape.forecaster.device import prepare
    from moodtape.forecaster.train import NetworkForecaster, Watch

    market = load_market()
    dataset = market.small_dataset()
    cell = dataset, market.inputs_of(dataset), market.fold_of(dataset)
    forecaster = NetworkForecaster(market.SMALL, prepare("cpu"))
    told: list[str] = []

    def progress(done: int, total: int, what: str) -> None:
        told.append(what)
        if kill is not None and done * market.SMALL.training.epochs > (kill - 0.5) * total:
            os.kill(os.getpid(), signal.SIGKILL)

    def said(**options: Any) -> dict[str, Any]:
        fit = forecaster.fit(*cell, seed=0, **options)
        answers = fit.forecast(dataset, cell[2].test)
        bits = hashlib.sha256(b"".join(answers[key].tobytes() for key in sorted(answers)))
        return {"bits": bits.hexdigest(), "history": fit.history, "best_epoch": fit.best_epoch}

    checkpoint = Checkpoint(folder / "fit.npz", "the same")
    resumed = said(watch=Watch(checkpoint, progress))
    epochs = sorted({what.split(",")[1] for what in told})
    print(json.dumps({"resumed": resumed, "whole": said(), "epochs": epochs}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
