"""Which revision of its scorer a project goes by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from moodtape.config import SentimentSection
from moodtape.errors import UsageError
from moodtape.nlp.in_use import DEVICES, classifier_in_use, scorer_in_use
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.storage.db import Warehouse
from moodtape.storage.scores import register_scorer

NOW = datetime(2025, 5, 2, tzinfo=UTC)
CPU, GPU = (scorer_id(load_scorer("bundled", device=device)) for device in DEVICES)


def scored_by(warehouse: Warehouse, *scorers: str) -> None:
    """Enter scorers in the ledger, an hour after one another, as scoring does."""
    with warehouse.write() as connection:
        for hours, scorer in enumerate(scorers):
            name, _, revision = scorer.partition("@")
            now = NOW + timedelta(hours=hours)
            register_scorer(connection, scorer, name, revision, None, now)


def section(**settings: Any) -> SentimentSection:
    return SentimentSection.model_validate(settings)


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "moodtape.duckdb")


def test_a_project_without_scores_begins_on_the_cpu(warehouse: Warehouse) -> None:
    in_use = scorer_in_use(warehouse, section())
    assert (scorer_id(in_use.scorer), in_use.device, in_use.note) == (CPU, "cpu", "")
    assert not warehouse.path.exists(), "looking made a warehouse"
    scored_by(warehouse, "lexicon@1", "bundled@older-torch-gpu-bf16")
    assert scorer_id(scorer_in_use(warehouse, section()).scorer) == CPU


@pytest.mark.parametrize(("first", "second"), [(CPU, GPU), (GPU, CPU)])
def test_what_scored_first_stays_whatever_comes_later(
    warehouse: Warehouse, first: str, second: str
) -> None:
    scored_by(warehouse, first)
    in_use = scorer_in_use(warehouse, section())
    assert (scorer_id(in_use.scorer), in_use.beside, in_use.advice) == (first, "", "")
    scored_by(warehouse, first, second)
    in_use = scorer_in_use(warehouse, section())
    assert (scorer_id(in_use.scorer), in_use.beside) == (first, second)
    other = "gpu" if second == GPU else "cpu"
    assert f'device = "{other}" under [sentiment]' in in_use.note


def test_the_setting_has_the_last_word(warehouse: Warehouse) -> None:
    scored_by(warehouse, CPU)
    in_use = scorer_in_use(warehouse, section(device="gpu"))
    assert (scorer_id(in_use.scorer), in_use.device, in_use.beside) == (GPU, "gpu", CPU)
    scored_by(warehouse, CPU, GPU)
    assert scorer_id(scorer_in_use(warehouse, section(device="cpu")).scorer) == CPU


def test_other_scorers_have_one_device(warehouse: Warehouse) -> None:
    scored_by(warehouse, GPU)
    assert scorer_in_use(warehouse, section(scorer="lexicon")).scorer.name == "lexicon"
    with pytest.raises(UsageError, match="'lexicon' runs on the CPU alone"):
        scorer_in_use(warehouse, section(scorer="lexicon", device="gpu"))


def test_kinds_come_from_where_the_bundled_model_runs(warehouse: Warehouse) -> None:
    assert classifier_in_use(warehouse, section(scorer="lexicon")) == CPU
    assert classifier_in_use(warehouse, section(device="gpu")) == GPU
    scored_by(warehouse, GPU, CPU)
    assert classifier_in_use(warehouse, section(scorer="lexicon")) == GPU
    assert classifier_in_use(warehouse, section()) == GPU
    assert classifier_in_use(warehouse, section(device="cpu")) == CPU
