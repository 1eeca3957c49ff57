"""A synthetic month in a warehouse: bars of BTC, texts from its sixth day on, a daily metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.ingest.importer import ImportOptions, import_file
from moodtape.storage.db import Warehouse
from moodtape.study.ablate import Outcome, run_ablation
from moodtape.study.ground import Ground, Question, lay_ground
from moodtape.testing import store_market, synthetic_market

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 720
FIRST_TEXT = START + 120 * HOUR
SETTINGS: dict[str, dict[str, Any]] = {
    "sentiment": {"scorer": "lexicon", "half_lives_h": [6.0]},
    "network": {"lookback_bars": 12, "sentiment_lookback_bars": 6},
    "walk_forward": {"folds": 2, "min_train_rows": 60},
    "verdict": {"forecaster": "linear", "draws": 200},
    "ablation": {"also": [], "baselines": ["ridge"]},
}
MakeConfig = Callable[..., Config]


@pytest.fixture(scope="session")
def make_config() -> MakeConfig:
    """Return a function that makes small settings, with some of them changed."""

    def make(**sections: dict[str, Any]) -> Config:
        names = {*SETTINGS, *sections}
        return Config.model_validate(
            {name: {**SETTINGS.get(name, {}), **sections.get(name, {})} for name in names}
        )

    return make


@pytest.fixture(scope="session")
def config(make_config: MakeConfig) -> Config:
    return make_config()


@pytest.fixture(scope="session")
def warehouse(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Return a warehouse that tests only read."""
    folder = tmp_path_factory.mktemp("study")
    market = synthetic_market(np.random.default_rng(5), HOURS, texts_an_hour=1.0)
    texts = market.documents
    market = replace(market, documents=texts[texts["published_at"] >= FIRST_TEXT])
    made = Warehouse(folder / "moodtape.duckdb")
    store_market(made, folder / "market", market, config)
    import_metric(made, folder, config)
    return made


def import_metric(warehouse: Warehouse, folder: Path, config: Config) -> None:
    """Store one value a day from the third day to the twentieth, known six hours after its end."""
    rows = [f"{START + timedelta(days=day):%Y-%m-%d},{900 + day % 7}" for day in range(2, 20)]
    path = folder / "chain.csv"
    path.write_text("date,AdrActCnt\n" + "\n".join(rows) + "\n")
    options = ImportOptions("metrics", symbol="BTC", provider="chain")
    now = START + 2 * HOURS * HOUR
    import_file(warehouse, folder / "staging", path, options, config, "import metrics", now)


@pytest.fixture(scope="session")
def ground(warehouse: Warehouse, config: Config) -> Ground:
    """Return the ground of a study of sentiment."""
    return lay_ground(warehouse, config, Question())


@pytest.fixture(scope="session")
def outcome(ground: Ground) -> Outcome:
    """Return what the linear forecaster makes of it."""
    return run_ablation(ground, audit_clean=True)
