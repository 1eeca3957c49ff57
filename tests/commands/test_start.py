"""`moodtape init`: what it writes, says and leaves alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

import moodtape.ingest
from moodtape.config import Config, IngestSection
from moodtape.errors import ConfigError
from moodtape.ingest.base import Tools
from moodtape.ingest.catalogue import key_facts, source_facts
from moodtape.ingest.credentials import find_secret
from moodtape.plugins import COLLECTORS

KEY = "MOODTAPE_X_BEARER_TOKEN"


def test_every_built_in_source_and_key_is_in_the_catalogue() -> None:
    built_in = {
        entry.name for entry in distribution("moodtape").entry_points.select(group=COLLECTORS)
    }
    facts = source_facts()
    assert {source.name for source in facts} == built_in
    stated = {key for source in facts for key in (*source.keys, *source.optional_keys)}
    assert stated == set(key_facts())
    folder = Path(next(iter(moodtape.ingest.__path__)))
    code = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    assert set(re.findall(r'"(MOODTAPE_[A-Z][A-Z_]*[A-Z])"', code)) == stated
    keyless = {source.name for source in facts if not source.keys and not source.extra}
    assert set(IngestSection().sources) <= keyless, "a first run needs a key"


def test_the_example_of_keys_says_where_to_get_each(
    tmp_path: Path, run: Callable[..., Any]
) -> None:
    run("init", tmp_path)
    text = (tmp_path / ".env.example").read_text("utf-8")
    assert dotenv_values(tmp_path / ".env.example") == {}, "a key is set"
    filled = tmp_path / "filled"
    filled.write_text(re.sub(r"^# (MOODTAPE_\w+=)$", r"\1x", text, flags=re.MULTILINE))
    assert dotenv_values(filled) == dict.fromkeys(key_facts(), "x")
    assert text.count("https://") >= 3
    assert ".env\n" in (tmp_path / ".gitignore").read_text("utf-8")


def test_it_says_which_sources_work_without_keys(tmp_path: Path, run: Callable[..., Any]) -> None:
    told = json.loads(run("init", tmp_path / "a", "--symbol", "sol", "--json").out)
    assert told["symbols"] == ["SOL"]
    rows = {row["source"]: row for row in told["sources"]}
    for name in IngestSection().sources:
        assert (rows[name]["asked"], rows[name]["needs"]) == ("always", "nothing")
    assert rows["x"]["needs"] == KEY
    assert rows["funding"]["needs"] == 'pip install "moodtape[exchanges]"'
    shown = run("init", tmp_path / "b")
    assert re.search(r"^news +always +nothing ", shown.out, flags=re.MULTILINE)


def test_files_of_ones_own_are_left_alone(tmp_path: Path, run: Callable[..., Any]) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    assert run("init", tmp_path).code == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_keys_that_others_can_read_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    tools = Tools(Config(), http=None, folder=tmp_path)  # type: ignore[arg-type]
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{KEY}=canary-91\n")
    dotenv.chmod(0o644)
    with pytest.raises(ConfigError, match=r"mode 0644.*chmod 600") as caught:
        find_secret(tools, KEY)
    assert "canary" not in str(caught.value)
    assert find_secret(tools, "MOODTAPE_OTHER") is None, "nothing was read from it"
    monkeypatch.setenv(KEY, "from the environment")
    assert find_secret(tools, KEY).get_secret_value() == "from the environment"
    monkeypatch.delenv(KEY)
    dotenv.chmod(0o600)
    assert find_secret(tools, KEY).get_secret_value() == "canary-91"
