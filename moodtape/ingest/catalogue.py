"""What each built-in source brings and needs, as `data/sources.toml` says."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class SourceFacts:
    """One built-in source.

    keys: names of variables without which it cannot be asked.
    optional_keys: those that raise its limits or open another way.
    extra: of Moodtape, that it needs; empty where none.
    """

    name: str
    brings: str
    keys: tuple[str, ...] = ()
    optional_keys: tuple[str, ...] = ()
    extra: str = ""


def source_facts() -> tuple[SourceFacts, ...]:
    """Return every built-in source, in the order of the file."""
    return tuple(
        SourceFacts(
            name, row["brings"], tuple(row.get("keys", ())), tuple(row.get("optional_keys", ())),
            row.get("extra", ""),
        )
        for name, row in _table().items()
        if name != "key"
    )  # fmt: skip


def key_facts() -> dict[str, str]:
    """Return what each key is for and where to get it."""
    return {name: row["about"] for name, row in _table()["key"].items()}


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    raw = (resources.files("moodtape.ingest") / "data" / "sources.toml").read_text("utf-8")
    return tomllib.loads(raw)
