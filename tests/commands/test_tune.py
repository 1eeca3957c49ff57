"""`tune` from files to a setting that `ablate` takes; the ledger knows every trial."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from moodtape.forecaster.forecasters import FORECASTERS, LINEAR, NETWORK
from moodtape.settings import load_settings
from moodtape.storage.db import Warehouse

pytestmark = pytest.mark.skipif(
    util.find_spec("optuna") is None, reason="needs the tune extra: optuna is not installed"
)


@pytest.fixture
def quick_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the linear forecaster stand in for the network, whose fits take a minute a trial."""
    linear = FORECASTERS[LINEAR]
    monkeypatch.setitem(FORECASTERS, NETWORK, replace(FORECASTERS[NETWORK], open=linear.open))  # type: ignore[arg-type]


@pytest.mark.usefixtures("quick_network")
def test_a_search_ends_with_a_file_for_all_arms_and_goes_on(
    loaded: Path, run: Callable[..., Any]
) -> None:
    def tune(trials: int) -> Any:
        done = run("tune", "--trials", trials, "--json", "--project", loaded)
        assert done.code == 0, done.err
        return json.loads(done.out)

    first = tune(2)
    assert first["results"][0]["setting"] == first["in_use"]["setting"]
    assert first["best"]["loss"] <= first["in_use"]["loss"]
    more = tune(3)
    assert more["run"] == first["run"], "it goes on"
    assert more["results"][:2] == first["results"]
    assert len(more["results"]) == 3
    chosen = load_settings(loaded, [loaded / "runs" / more["run"] / "tuned.toml"]).config
    assert chosen.training.learning_rate == more["best"]["setting"]["training.learning_rate"]
    with Warehouse(loaded / "moodtape.duckdb").read() as connection:
        rows = connection.execute(
            "SELECT count(DISTINCT config_hash), count(DISTINCT (test_from, test_until)) FROM trial"
        ).fetchall()
    assert rows == [(len({json.dumps(t["setting"]) for t in more["results"]}), 1)]
    table = run("tune", "--trials", 3, "--project", loaded)
    assert "learning rate" in table.out
    assert f"moodtape ablate -c {loaded / 'runs' / more['run'] / 'tuned.toml'}" in table.out
