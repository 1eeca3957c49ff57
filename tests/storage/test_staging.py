"""Staged rows live as long as their command, and no longer than their process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from moodtape.storage.staging import STAGED, staged_schema, staging


def test_rows_appended_in_pieces_are_one_file(tmp_path: Path) -> None:
    with staging(tmp_path) as stage:
        stage.append("mention", [{"line": 1, "symbol": "BTC", "how": "name"}])
        stage.append("mention", [])
        stage.append("mention", [{"line": 2, "symbol": "ETH", "how": "name"}])
        stage.close()
        assert pq.read_table(stage.path("mention"))["symbol"].to_pylist() == ["BTC", "ETH"]
        assert stage.rows["mention"] == 2
        for name in STAGED:
            assert pq.read_schema(stage.path(name)).equals(staged_schema(name))
    assert list(tmp_path.iterdir()) == []


def test_a_stage_goes_with_a_command_that_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staging(tmp_path) as stage:  # noqa: PT012
        stage.append("mention", [{"line": 1, "symbol": "BTC", "how": "name"}])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_stages_of_the_dead_are_swept_and_those_of_the_living_left(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, alive = tmp_path / f"stage-{gone.pid}-x", tmp_path / f"stage-{os.getpid()}-y"
    theirs = tmp_path / "stage-of-something-else"
    for folder in (dead, alive, theirs):
        folder.mkdir()
        (folder / "bar.parquet").write_bytes(b"x")
    with staging(tmp_path):
        assert not dead.exists()
        assert alive.exists()
        assert theirs.exists()
