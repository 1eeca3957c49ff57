from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.errors import UsageError
from moodtape.forecaster.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    Snapshot,
    fit_key,
    held,
    interrupted,
)
from moodtape.forecaster.device import Device
from moodtape.forecaster.events import EventFile
from moodtape.forecaster.train import NetworkForecaster, Watch

SCRIPT = Path(__file__).with_name("resume_run.py")


def go(backend: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), str(folder), *more],
        capture_output=True, text=True, check=False,
        env={**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [
        "tensorflow",
        pytest.param("jax", marks=[pytest.mark.backend_jax, pytest.mark.slow]),
        pytest.param("torch", marks=[pytest.mark.backend_torch, pytest.mark.slow]),
    ],
)
def test_a_killed_fit_goes_on_and_ends_with_the_same_bits(backend: str, tmp_path: Path) -> None:
    if util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    killed = go(backend, tmp_path, "4")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / CHECKPOINT).is_file()
    done = go(backend, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["epochs"][0] == " epoch 4 of 8 at most", "it began again instead"
    assert found["resumed"] == found["whole"]


def with_training(config: Config, **changes: Any) -> Config:
    return config.model_copy(
        update={"training": config.training.model_copy(update={"epochs": 3, **changes})}
    )


def rates(config: Config, device: Device, cell: Any) -> list[float]:
    fit = NetworkForecaster(config, device).fit(*cell, seed=0)
    return [epoch["learning_rate"] for epoch in fit.history]


@pytest.mark.slow
def test_schedules_set_the_rate_of_each_epoch(
    small_config: Config, device: Device, cell: Any
) -> None:
    constant = with_training(small_config, schedule="constant")
    assert rates(constant, device, cell) == pytest.approx([0.01, 0.01, 0.01])
    falling = with_training(small_config, schedule="cosine")
    assert rates(falling, device, cell) == pytest.approx([0.01, 0.0075, 0.0025])
    # A rate at which nothing is learnt: the plateau begins with the second epoch.
    idle = with_training(small_config, schedule="plateau", learning_rate=1e-9, patience=2)
    assert rates(idle, device, cell) == pytest.approx([1e-9, 1e-9, 5e-10])


@pytest.mark.slow
def test_gradients_are_cut_only_where_a_norm_is_named(
    small_config: Config, device: Device, cell: Any
) -> None:
    def losses(clip_norm: float) -> list[float]:
        config = with_training(small_config, clip_norm=clip_norm, epochs=1)
        fit = NetworkForecaster(config, device).fit(*cell, seed=0)
        return [epoch["val_loss"] for epoch in fit.history]

    free = losses(0)
    assert losses(1e9) == pytest.approx(free, rel=1e-5), "a norm never reached cuts nothing"
    assert losses(0.05) != pytest.approx(free, rel=1e-3)


def test_a_finished_fit_is_taken_up_as_it_is(
    small_config: Config, device: Device, cell: Any, tmp_path: Path
) -> None:
    config = with_training(small_config)
    checkpoint = Checkpoint(tmp_path / CHECKPOINT, "this one")
    dataset, _, fold = cell
    first = NetworkForecaster(config, device).fit(*cell, 0, Watch(checkpoint))
    answers = first.forecast(dataset, fold.test)
    told: list[str] = []
    again = NetworkForecaster(config, device).fit(
        *cell, 0, Watch(checkpoint, lambda done, total, what: told.append(what))
    )
    assert told == [], "nothing was left to fit"
    assert again.history == first.history
    for key, values in again.forecast(dataset, fold.test).items():
        assert values.tobytes() == answers[key].tobytes(), key


def snapshot(value: float) -> Snapshot:
    many = [np.full(2, value + number) for number in range(12)]
    return Snapshot({"epochs": 3, "best": float("inf")}, many, many[:3], many[::-1])


def test_a_checkpoint_holds_what_was_saved_and_serves_only_its_own_fit(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / CHECKPOINT, "mine")
    assert checkpoint.load() is None
    checkpoint.save(snapshot(1.0))
    checkpoint.save(snapshot(5.0))
    found = checkpoint.load()
    assert found is not None
    assert found.state == snapshot(5.0).state
    assert [values.tolist() for values in found.network] == [[5.0 + i] * 2 for i in range(12)]
    assert len(found.optimizer) == 3
    assert found.best[0].tolist() == [16.0, 16.0]
    assert Checkpoint(tmp_path / CHECKPOINT, "another").load() is None
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 torn")
    assert checkpoint.load() is None
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT], "scratch was left"


def test_an_interrupted_run_is_found_by_its_key_unless_somebody_works_there(tmp_path: Path) -> None:
    key = fit_key(seed=1)
    for name in ("older", "newer", "other"):
        (tmp_path / name).mkdir()
    Checkpoint(tmp_path / "older" / CHECKPOINT, key).save(snapshot(0.0))
    Checkpoint(tmp_path / "newer" / CHECKPOINT, key).save(snapshot(0.0))
    Checkpoint(tmp_path / "other" / CHECKPOINT, fit_key(seed=2)).save(snapshot(0.0))
    assert interrupted(tmp_path, key) == tmp_path / "older"
    with held(tmp_path / "older"):
        assert interrupted(tmp_path, key) == tmp_path / "newer"
        with pytest.raises(UsageError, match="older is in the hands"), held(tmp_path / "older"):
            pass
    assert not list(tmp_path.glob("*/fit.lock")), "a hold that ended leaves nothing behind"
    Checkpoint(tmp_path / "older" / CHECKPOINT, key).remove()
    assert interrupted(tmp_path, key) == tmp_path / "newer"
    assert interrupted(tmp_path / "none", key) is None


def test_curves_are_read_by_tensorflows_own_reader(tmp_path: Path, device: Device) -> None:
    del device  # silences TensorFlow
    from tensorflow.core.util import event_pb2
    from tensorflow.python.lib.io import tf_record

    events = EventFile(tmp_path / "curves", started=1_700_000_000.0)
    events.write(1, {"loss": 0.5, "val_loss": 0.25}, at=1_700_000_001.5)
    events.write(300, {"loss": 0.125}, at=1_700_000_002.0)
    (path,) = (tmp_path / "curves").iterdir()
    read = [event_pb2.Event.FromString(data) for data in tf_record.tf_record_iterator(str(path))]
    assert read[0].file_version == "brain.Event:2"
    assert [(event.step, event.wall_time) for event in read[1:]] == [
        (1, 1_700_000_001.5),
        (300, 1_700_000_002.0),
    ]
    curves = [{v.tag: v.simple_value for v in event.summary.value} for event in read[1:]]
    assert curves == [{"loss": 0.5, "val_loss": 0.25}, {"loss": 0.125}]


def test_a_record_carries_the_checksum_of_the_format() -> None:
    from moodtape.forecaster.events import _checksum

    # CRC-32C of "123456789" is 0xE3069283; masked as record_writer.cc does.
    crc = 0xE3069283
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert _checksum(b"123456789") == struct.pack("<I", masked)
