from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.runs import config_hash, find_run, plain, provenance, write_json


def test_json_has_no_nan_and_keeps_times(tmp_path: Path) -> None:
    values = {
        "a": float("nan"), "b": np.float64(0.5), "c": np.array([1, 2]), "d": (np.inf, 1),
        "e": datetime(2025, 1, 1, tzinfo=UTC), "f": True, 3: None,
    }  # fmt: skip
    write_json(tmp_path / "x.json", values)
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": None, "b": 0.5, "c": [1, 2], "d": [None, 1], "e": "2025-01-01T00:00:00+00:00",
        "f": True, "3": None,
    }  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert plain({"x": Path("a")}) == {"x": "a"}


def test_the_seed_is_no_part_of_a_trial() -> None:
    base = Config()
    assert config_hash(base) == config_hash(Config(seed=99))
    assert config_hash(base) != config_hash(Config.model_validate({"target": {"horizons": [4]}}))
    fetched = {
        "funding": {"exchange": "bybit"},
        "dumps": {"first_days": 1},
        "http": {"attempts": 1},
    }
    assert config_hash(base) == config_hash(Config.model_validate(fetched)), "not how rows came"


def test_provenance_names_versions() -> None:
    facts = provenance(Config(), dataset="d")
    assert facts["dataset"] == "d"
    assert {"tensorflow", "keras", "duckdb"} <= set(facts["packages"])


def test_the_newest_run_that_holds_a_file_is_found(tmp_path: Path) -> None:
    for name in ("20250101T000000Z-a", "20250102T000000Z-b", "20250103T000000Z-c"):
        (tmp_path / name).mkdir()
    for name in ("20250101T000000Z-a", "20250102T000000Z-b"):
        (tmp_path / name / "served.json").write_text("{}")
    assert find_run(tmp_path, None, "served.json", "train").name == "20250102T000000Z-b"
    assert find_run(tmp_path, "20250101T000000Z-a", "served.json", "train").name.endswith("-a")
    with pytest.raises(DataMissing, match=r"Did you mean 20250102T000000Z-b\?"):
        find_run(tmp_path, "20250102T000000Z-x", "served.json", "train")
    with pytest.raises(DataMissing, match="Run: moodtape train"):
        find_run(tmp_path / "none", None, "served.json", "train")
