"""`models list`, `models card` and `models add`, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_list_says_what_each_scorer_is(run: Callable[..., Any]) -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "list", "--json").out)["results"]}
    assert rows["bundled"]["kinds"] == "yes"
    assert rows["lexicon"]["kinds"] == "no"
    assert rows["bundled"]["trained_until"].startswith("2026-11-22")
    assert rows["lexicon"]["from"].startswith("moodtape ")
    shown = run("models", "list")
    assert shown.code == 0
    assert "bundled  yes" in shown.out


def test_the_card_of_the_bundled_model_says_who_made_the_labels(run: Callable[..., Any]) -> None:
    done = run("models", "card", "bundled")
    assert done.code == 0
    assert "no person did" in " ".join(done.out.split())
    lexicon = run("models", "card", "lexicon")
    assert "revision: " in lexicon.out
    assert run("models", "card", "bundeld").code == 2


def test_a_model_that_is_not_here_ends_with_three(run: Callable[..., Any]) -> None:
    name = "hf:ProsusAI/finbert@" + "a" * 40
    done = run("models", "card", name)
    assert done.code == 3
    assert f"run: moodtape models add {name}" in done.err


def test_what_cannot_be_added_says_why(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("models", "add", str(tmp_path / "nothing"))
    assert done.code == 2
    assert "is no folder" in done.err
    done = run("models", "add", "hf:finbert")
    assert (done.code, "hf:OWNER/NAME@REVISION" in done.err) == (2, True)
    setting = tmp_path / "offline.toml"
    setting.write_text('[sentiment]\nhub_url = "http://127.0.0.1:9"\n')
    done = run("models", "add", "hf:a/b@main", "-c", str(setting))
    assert done.code == 5
    assert "cannot be fetched from http://127.0.0.1:9" in done.err
