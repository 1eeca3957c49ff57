"""Which texts look like promotion or like a bot: rules in a file, marks kept with the text.

1. mark_texts           words and links of each text, once
2. repeats              how often earlier texts told nearly the same: reposts.sql
3. document.promotion   both as reasons, and sums of such texts apart: hourly_sentiment.sql
"""

from __future__ import annotations

import hashlib
import tomllib
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from moodtape.storage.db import run_script

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

REPEATS = "repeats"
"""The one reason that follows from other texts: earlier ones."""


def _file() -> bytes:
    return (resources.files("moodtape.storage") / "data" / "promotion.toml").read_bytes()


@lru_cache(maxsize=1)
def promotion_rules() -> dict[str, dict[str, Any]]:
    """Return the rules as shipped, by the name of their reason."""
    return tomllib.loads(_file().decode())


@lru_cache(maxsize=1)
def promotion_version() -> str:
    """Return a name for the rules, which changes with every change of them."""
    return hashlib.sha256(_file()).hexdigest()[:8]


def repeat_rule() -> dict[str, Any]:
    """Return from how many earlier tellings on, and of which sources, a text is a bot's."""
    rule = promotion_rules()[REPEATS]
    return {"repeat_times": rule["times"], "repeat_sources": rule["sources"]}


def mark_texts(connection: Connection, again: bool = False) -> None:
    """Mark the texts that were not looked at before; with `again` all that can still be read.

    Texts that were forgotten keep their marks.
    """
    if again:
        connection.execute(
            "UPDATE document SET promotion_marks = NULL"
            " WHERE title IS NOT NULL OR body IS NOT NULL OR url IS NOT NULL"
        )
    run_script(connection, "promotion_marks", _patterns())


def _patterns() -> dict[str, str]:
    """Return one regular expression for each parameter of the query."""
    found = {}
    for reason, rule in promotion_rules().items():
        for what in rule.keys() & {"patterns", "links", "own_link"}:
            name = reason if what == "patterns" else f"{reason}_{what}"
            found[name] = "|".join(rule[what])
    return found
