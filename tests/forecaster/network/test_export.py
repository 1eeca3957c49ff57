from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moodtape.config import NetworkSection
from moodtape.errors import DataMissing, GateFailed, UnreadableFile
from moodtape.forecaster import export
from moodtape.forecaster.device import Device
from moodtape.forecaster.model import Shape, build_model
from moodtape.forecaster.served import Served

SETTINGS = NetworkSection(lookback_bars=6, filters=2, market_units=3, hidden=3, pool=2)
WINDOWS = {"market": np.random.default_rng(0).normal(size=(4, 6, 2)).astype("float32")}


@pytest.mark.filterwarnings("ignore")  # exporters warn about their own internals
def test_a_network_that_exports_wrongly_is_not_kept(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(SETTINGS, Shape(2, 0, 1, ("return_1",)), seed=0)
    other = build_model(SETTINGS, Shape(2, 0, 1, ("return_1",)), seed=1)
    other.predict_on_batch(WINDOWS)
    real = export._export
    monkeypatch.setattr(export, "_export", lambda core, path: real(other, path))
    with pytest.raises(GateFailed, match="differs from the trained one by") as caught:
        export.save_model(model, tmp_path, WINDOWS)
    assert caught.value.exit_code == 4
    assert not (tmp_path / "model.onnx").exists()
    assert (tmp_path / "model.keras").exists()


def test_another_backend_leaves_the_run_not_servable(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_model(SETTINGS, Shape(2, 0, 1, ("return_1",)), seed=0)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert export.save_model(model, tmp_path, WINDOWS) is None
    assert not (tmp_path / "model.onnx").exists()


def test_a_run_without_its_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"served\.json cannot be read"):
        Served.read(tmp_path)
    (tmp_path / "served.json").write_text('{"scales": []}')
    with pytest.raises(UnreadableFile, match="of another version"):
        Served.read(tmp_path)


def test_without_onnx_the_forecast_says_how_to_make_one(tmp_path: Path) -> None:
    from moodtape.forecaster.served import forecast_rows

    with pytest.raises(DataMissing, match="KERAS_BACKEND=tensorflow moodtape train"):
        forecast_rows(tmp_path, None, None, np.array([0]))  # type: ignore[arg-type]
