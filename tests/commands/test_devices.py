"""`--device` of `score` and `models evaluate`, on a machine without torch or a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from moodtape.nlp import torch_scorer
from moodtape.nlp.in_use import DEVICES
from moodtape.nlp.registry import load_scorer, scorer_id
from moodtape.storage.db import Warehouse
from moodtape.storage.scores import register_scorer

Run = Callable[..., Any]
CPU, GPU = (scorer_id(load_scorer("bundled", device=device)) for device in DEVICES)


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_scorer.util, "find_spec", lambda name: None)


@pytest.fixture
def texts(tmp_path: Path, run: Run) -> Path:
    """Return a project that goes by the bundled scorer, with two texts without a score."""
    (tmp_path / "moodtape.toml").write_text('[market]\nsymbols = ["BTC"]\n')
    rows = "published_at,title\n2025-01-06T10:00Z,Bitcoin soars\n2025-01-06T11:00Z,Bitcoin falls\n"
    (tmp_path / "news.csv").write_text(rows)
    done = run("import", "documents", tmp_path / "news.csv", "-q", "--project", tmp_path)
    assert done.code == 0, done.err
    return tmp_path


def scored_on_a_gpu(project: Path) -> None:
    """Enter the scorer, as a machine with a GPU does with its first page."""
    name, _, revision = GPU.partition("@")
    with Warehouse(project / "moodtape.duckdb").write() as connection:
        register_scorer(connection, GPU, name, revision, None, datetime(2025, 1, 7, tzinfo=UTC))


def scores(project: Path) -> dict[str, int]:
    with Warehouse(project / "moodtape.duckdb").read() as connection:
        found = connection.execute("SELECT scorer, count(*) FROM score GROUP BY ALL").fetchall()
    return dict(found)


def test_what_cannot_run_there_is_refused_and_nothing_takes_its_place(
    texts: Path, tmp_path: Path, run: Run
) -> None:
    where = ("--project", texts)
    done = run("score", "--device", "gpu", *where)
    assert done.code == 2
    assert 'pip install "moodtape[torch]"' in done.err
    assert run("score", "--device", "gpu", "--scorer", "lexicon", *where).code == 2
    wrong = run("score", "--device", "fast", *where)
    assert wrong.code == 2
    assert "sentiment.device" in wrong.err
    with Warehouse(texts / "moodtape.duckdb").read() as connection:
        commands = connection.execute("SELECT DISTINCT command FROM run").fetchall()
    assert commands == [("import documents",)], "a run was begun"
    labelled = tmp_path / "labels.parquet"
    pd.DataFrame({"text": ["Bitcoin soars"], "label": ["positive"]}).to_parquet(labelled)
    done = run("models", "evaluate", labelled, "--device", "gpu", *where)
    assert done.code == 2
    assert "torch" in done.err
    files = ("models", "score-files", labelled, "--out", tmp_path / "out", "--device", "gpu")
    done = run(*files, *where)
    assert done.code == 2
    assert "torch" in done.err
    assert not list((tmp_path / "out").iterdir())
    done = run(*files, "--executor", "ray", *where)
    assert done.code == 2
    assert "scores on CPUs alone" in done.err
    done = run("models", "evaluate", labelled, "--device", "auto", "--json", *where)
    assert json.loads(done.out)["scorer"] == CPU


def test_a_project_of_a_gpu_is_not_carried_on_by_the_cpu_unasked(texts: Path, run: Run) -> None:
    where = ("--project", texts)
    scored_on_a_gpu(texts)
    assert run("score", *where).code == 2
    assert scores(texts) == {}
    done = run("score", "--device", "cpu", *where)
    assert done.code == 0, done.err
    assert scores(texts) == {CPU: 2}
    assert "Studies do not read these scores" in done.err
    assert 'device = "cpu" under [sentiment]' in done.err
    again = json.loads(run("score", "--device", "cpu", "--json", *where).out)
    assert again["scored"] == 0
    assert len(again["warnings"]) == 1
    (texts / "moodtape.toml").write_text(
        '[market]\nsymbols = ["BTC"]\n[sentiment]\ndevice = "cpu"\n'
    )
    settled = json.loads(run("score", "--device", "cpu", "--json", *where).out)
    assert (settled["scorer"], settled["warnings"]) == (CPU, [])


def test_with_nothing_to_score_a_gpu_is_not_missed(texts: Path, run: Run) -> None:
    where = ("--project", texts)
    assert run("score", "--device", "cpu", *where).code == 0
    with Warehouse(texts / "moodtape.duckdb").write() as connection:
        for table, column in (("score", "scorer"), ("kind", "classifier"), ("scorer", "scorer")):
            connection.execute(f"UPDATE {table} SET {column} = ?", [GPU])
    done = json.loads(run("score", "--json", *where).out)
    assert (done["scorer"], done["scored"], done["warnings"]) == (GPU, 0, [])
