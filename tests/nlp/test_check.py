"""The check that every scorer is held to, and that it catches what it is for."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodtape.errors import UsageError
from moodtape.nlp.lexicon import LexiconScorer
from moodtape.nlp.registry import load_scorer
from moodtape.testing import check_scorer

COUNTER = itertools.count()


@pytest.mark.parametrize("name", ["bundled", "lexicon"])
def test_the_built_in_ones_pass(name: str) -> None:
    check_scorer(lambda: load_scorer(name))


class Flawed(LexiconScorer):
    """The lexicon with one flaw."""

    def __init__(self, flaw: Callable[[Any, Sequence[str]], Any]) -> None:
        self.flaw = flaw

    def score(self, texts: Sequence[str]) -> Any:
        return self.flaw(super().score(texts), texts)


def by_company(rows: Any, texts: Sequence[str]) -> Any:
    """Scale by the whole batch, as rounding of activations does."""
    return rows if len(rows) < 2 else np.roll(rows, 1, axis=1)


def by_position(rows: Any, texts: Sequence[str]) -> Any:
    rows = rows.copy()
    rows[1::2] = rows[1::2][:, ::-1]
    return rows


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        (by_company, "alone.*must depend on its text alone"),
        (by_position, "sorted by length.*must depend on its text alone"),
        (lambda rows, texts: rows.astype("float64"), "expected .* float32"),
        (lambda rows, texts: rows[:, :2], "expected .* float32"),
        (lambda rows, texts: rows * np.float32(1.1), "no probabilities"),
        (lambda rows, texts: rows * np.float32("nan"), "no probabilities"),
        (lambda rows, texts: rows if len(texts) else rows[:, :0], "expected .0, 3."),
    ],
)
def test_a_flaw_is_caught(flaw: Callable[[Any, Sequence[str]], Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_scorer(lambda: Flawed(flaw))


class Renamed(LexiconScorer):
    @property
    def revision(self) -> str:
        return str(next(COUNTER))


class Naive(LexiconScorer):
    trained_until = datetime(2024, 1, 1)  # noqa: DTZ001  without a zone, on purpose


@pytest.mark.parametrize(("make", "message"), [(Renamed, "always the same"), (Naive, "time zone")])
def test_names_and_ages_are_checked(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_scorer(make)


def test_the_example_of_the_docs_is_found_as_a_plug_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scorer.md").read_text("utf-8")
    example, check = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    info = tmp_path / "loud-1.0.dist-info"
    info.mkdir()
    (tmp_path / "loud_scorer.py").write_text(f"{example}\n\n{check}")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[moodtape.scorers]\nshouting = loud_scorer:scorer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    scorer = load_scorer("shouting")
    assert scorer.score(["AB!x"]).tolist() == [[0.0, 0.25, 0.75]]
    sys.modules["loud_scorer"].test_my_scorer()
    monkeypatch.delitem(sys.modules, "loud_scorer")


def test_a_plug_in_that_is_no_scorer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "empty-1.0.dist-info"
    info.mkdir()
    (tmp_path / "empty_scorer.py").write_text("def scorer(threads):\n    return object()\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: empty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[moodtape.scorers]\nempty = empty_scorer:scorer\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match=r"'empty' of empty 1\.0 is no scorer"):
        load_scorer("empty")
    monkeypatch.delitem(sys.modules, "empty_scorer")
