"""A trained network becomes an ONNX file, and is only kept if both say the same."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.errors import GateFailed, UnreadableFile
from moodtape.forecaster.model import with_gate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

KERAS_FILE, ONNX_FILE = "model.keras", "model.onnx"
LARGEST_GAP = 1e-5


def save_model(core: Any, folder: Path, windows: Mapping[str, Any]) -> float | None:
    """Write the network as Keras (the truth) and ONNX (for serving); return their largest gap.

    Only TensorFlow exports to ONNX. Under another backend the Keras file alone is
    written and None returned: the run is not servable until it is exported. The ONNX
    file answers `gate`, too, where the network has one.

    Args:
        core: the network that reads windows.
        windows: some inputs by name, on which both are compared.
    Raises:
        GateFailed: ONNX and Keras differ by more than 1e-5.
    """
    core.save(folder / KERAS_FILE)
    core = with_gate(core)
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return None
    path = folder / ONNX_FILE
    truth = core.predict_on_batch(dict(windows))  # only what was called can be exported
    _export(core, path)
    session = open_session(path)
    served = run_session(session, windows)
    gap = max(float(np.abs(np.asarray(truth[k])[:, 0] - served[k]).max()) for k in truth)
    if not gap <= LARGEST_GAP:
        path.unlink()
        raise GateFailed(
            f"The exported network differs from the trained one by {gap:.2g}"
            f" (at most {LARGEST_GAP:g} is accepted), so it will not be served."
        )
    return gap


def _export(core: Any, path: Path) -> None:
    """Export through tf2onnx, which warns and logs about its own internals."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            core.export(str(path), format="onnx", verbose=False)
    finally:
        logging.disable(level)


def open_session(path: Path) -> Any:
    """Return an ONNX Runtime session on one thread: the fastest way for one forecast.

    A file that has not changed since keeps its session, so that a service pays for it once.

    Raises:
        UnreadableFile: it is no network that ONNX Runtime can load.
    """
    try:
        return _session(path, path.stat().st_mtime_ns)
    except Exception as exc:  # ONNX Runtime has an exception class for each of its states
        raise UnreadableFile(
            f"{path} cannot be loaded ({type(exc).__name__}). Go back to the model before it:"
            " moodtape models back, or bring it back: moodtape backup restore"
        ) from exc


@lru_cache(maxsize=4)
def _session(path: Path, changed: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_session(session: Any, windows: Mapping[str, Any]) -> dict[str, Floats]:
    """Return the outputs by target key. (n, lookback, F) each -> (n,) each"""
    wanted = {i.name for i in session.get_inputs()}
    names = [o.name for o in session.get_outputs()]
    values = session.run(names, {k: v for k, v in windows.items() if k in wanted})
    return {name: np.asarray(v)[:, 0] for name, v in zip(names, values, strict=True)}
