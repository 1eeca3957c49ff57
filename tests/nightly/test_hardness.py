"""Damaged files of a project are named, with what to do."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from moodtape.errors import MoodtapeError, UnreadableFile
from moodtape.forecaster.export import open_session
from moodtape.nightly.champion import champion
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = "20260101T000000Z-aaaaaa"


def test_a_damaged_log_is_told_with_two_ways_out(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "moodtape.duckdb")
    with warehouse.write():
        pass
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            "SET checkpoint_threshold = '1TB'; PRAGMA disable_checkpoint_on_shutdown"
        )
        connection.execute("INSERT INTO meta VALUES ('in the log', 'yes')")
    log = warehouse.path.with_name(f"{warehouse.path.name}.wal")
    content = bytearray(log.read_bytes())
    content[-5] ^= 0x10
    log.write_bytes(content)
    for way in (warehouse.read, warehouse.write):
        with pytest.raises(MoodtapeError, match=r"is damaged: .* Run: moodtape backup"), way():
            pass
    log.rename(log.with_name("away"))
    with warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchall() == [(0,)]


def test_a_model_whose_description_is_damaged_is_named(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, environ={})
    described = settings.runs / MODEL / "served.json"
    described.parent.mkdir(parents=True)
    for damage in ("{}", '{"trained_until": 5}', '{"trained_until": "soon"}', "{", "[]"):
        described.write_text(damage)
        with pytest.raises(UnreadableFile, match=r"served\.json"):
            champion(settings, NOW)
    shutil.rmtree(described.parent)
    assert champion(settings, NOW) is None


def test_a_network_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    network = tmp_path / "model.onnx"
    network.write_bytes(b"garbage")
    with pytest.raises(UnreadableFile, match=r"model\.onnx cannot be loaded .* models back"):
        open_session(network)
