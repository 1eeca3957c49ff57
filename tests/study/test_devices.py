"""A study reads the scores of one device, says which, and never mixes them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.runs import config_hash
from moodtape.nlp.in_use import DEVICES
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.settings import Settings, load_settings
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import mark_all_hours
from moodtape.storage.scores import register_scorer
from moodtape.study.ground import Question, lay_ground, settle_request
from moodtape.study.project import hour_rules, refresh_hours_if_dirty, warehouse_of

CPU, GPU = (scorer_id(load_scorer("bundled", device=device)) for device in DEVICES)
NOW = datetime(2024, 3, 1, tzinfo=UTC)


def plant(warehouse: Warehouse, scorer: str, hours: int, texts: int = 10**6) -> None:
    """Leave what a machine with that device would: scores and kinds of so many texts."""
    name, _, revision = scorer.partition("@")
    with warehouse.write() as connection:
        register_scorer(connection, scorer, name, revision, None, NOW + timedelta(hours=hours))
        connection.execute(
            "INSERT INTO score BY NAME SELECT * REPLACE (? AS scorer) FROM score"
            " WHERE scorer LIKE 'lexicon@%' ORDER BY content_hash LIMIT ?",
            [scorer, texts],
        )
        connection.execute(
            "INSERT INTO kind SELECT content_hash, scorer, 'event', 900_000, run_id FROM score"
            " WHERE scorer = ?",
            [scorer],
        )
        mark_all_hours(connection)


@pytest.fixture
def project(warehouse: Warehouse, tmp_path: Path) -> Settings:
    """Return a project of its own with the month's rows, scored by the lexicon alone."""
    settings = load_settings(tmp_path, (), {})
    shutil.copy(warehouse.path, settings.warehouse)
    return settings


@pytest.fixture
def bundled(make_config: Callable[..., Config]) -> Callable[[str], Config]:
    return lambda device: make_config(sentiment={"scorer": "bundled", "device": device})


def test_a_study_reads_what_was_scored_on_a_gpu_without_one(
    project: Settings, bundled: Callable[[str], Config]
) -> None:
    made = warehouse_of(project)
    plant(made, GPU, 0)
    assert hour_rules(project).classifier == GPU
    refresh_hours_if_dirty(project)
    with made.read() as connection:
        kinds = connection.execute(
            "SELECT DISTINCT kind FROM sentiment_hourly WHERE scorer = ?", [GPU]
        ).fetchall()
    assert kinds == [("event",)]
    ground = lay_ground(made, bundled("auto"), Question())
    assert ground.request.scorer == GPU
    assert not any("both devices" in note for note in ground.notes)
    told = lay_ground(made, bundled("gpu"), Question())
    assert config_hash(told.config) == config_hash(ground.config), "the same study is one trial"


def test_later_scores_of_the_other_device_change_nothing_and_are_told(
    project: Settings, bundled: Callable[[str], Config]
) -> None:
    made = warehouse_of(project)
    plant(made, CPU, 0)
    refresh_hours_if_dirty(project)
    before = lay_ground(made, bundled("auto"), Question())
    plant(made, GPU, 1)
    refresh_hours_if_dirty(project)
    ground = lay_ground(made, bundled("auto"), Question())
    assert ground.request.scorer == before.request.scorer == CPU
    assert config_hash(ground.config) == config_hash(before.config)
    (note,) = set(ground.notes) - set(before.notes)
    assert "goes by those of the CPU" in note
    assert 'device = "gpu" under [sentiment]' in note
    assert lay_ground(made, bundled("gpu"), Question()).request.scorer == GPU


def test_scores_of_two_devices_do_not_add_up(
    project: Settings, bundled: Callable[[str], Config]
) -> None:
    made = warehouse_of(project)
    plant(made, CPU, 0, texts=5)
    plant(made, GPU, 1)
    with pytest.raises(DataMissing) as caught:
        settle_request(made, bundled("auto"), Question())
    assert "not scored by bundled. Run: moodtape score. Or: scores of a GPU are read" in str(
        caught.value
    )
    assert settle_request(made, bundled("gpu"), Question())[0].scorer == GPU
