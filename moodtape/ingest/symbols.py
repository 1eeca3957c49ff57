"""Which assets a text is about, by the names, tickers and cashtags of `data/aliases.toml`."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from moodtape.records import MARKET_SYMBOL


@dataclass(frozen=True)
class Aliases:
    """The alias table, ready to match.

    version: hash of the table, kept with each mention.
    symbols: assets the table knows.
    pattern: one expression over all phrases, names, tickers and cashtags.
    owner: lower-case name, or exact ticker or proper name, to asset.
    needs_context: what counts only beside a crypto word, exactly as written.
    nouns: names that are common nouns, in lower case.
    unless: words that turn a ticker into something else.
    venues: names that are also places to trade at.
    outlets: subreddits that are about one asset.
    """

    version: str
    symbols: tuple[str, ...]
    pattern: re.Pattern[str]
    owner: Mapping[str, str]
    needs_context: frozenset[str]
    nouns: frozenset[str]
    unless: Mapping[str, re.Pattern[str]]
    venues: frozenset[str]
    outlets: Mapping[str, str]
    context: re.Pattern[str]

    def mentions(self, text: str, outlet: str = "") -> dict[str, str]:
        """Return how each asset is named in a text; `{"MARKET": "none"}` if none is.

        >>> load_aliases().mentions("Bitcoin and $ETH rise")
        {'BTC': 'name', 'ETH': 'cashtag'}
        """
        found: dict[str, str] = {}
        places: dict[str, str] = {}
        for match in self.pattern.finditer(text):
            symbol, how = self._meaning(match[0], text)
            if symbol and match[0].lower() in self.venues and _PLACE.search(text[: match.start()]):
                places.setdefault(symbol, how)
            elif symbol:
                found.setdefault(symbol, how)
        if not found and not places and (subject := self.outlets.get(outlet.lower())):
            found[subject] = "outlet"
        return found or places or {MARKET_SYMBOL: "none"}

    def _meaning(self, word: str, text: str) -> tuple[str, str]:
        """Return the asset that a word names, or none, and how."""
        if word[0] == "$":
            return self.owner[word[1:].upper()], "cashtag"
        word = word[1:].upper() if word[0] == "#" else word
        symbol = self.owner.get(word) or self.owner.get(word.lower(), "")
        how = "ticker" if word == symbol else "name"
        doubtful = (
            word in self.needs_context
            or word in self.nouns
            or (word == symbol and word in self.unless and self.unless[word].search(text))
        )
        return ("", how) if doubtful and not self.context.search(text) else (symbol, how)


_PLACE = re.compile(r"(?i)\b(?:on|to|via|at|from|using)\s+$")


@lru_cache(maxsize=1)
def load_aliases() -> Aliases:
    """Return the shipped alias table."""
    raw = (resources.files("moodtape.ingest") / "data" / "aliases.toml").read_text("utf-8")
    table = tomllib.loads(raw)
    assets: dict[str, dict[str, Any]] = table["asset"]
    kinds = ("names", "nouns", "proper_names")
    listed = {
        kind: {name: symbol for symbol, row in assets.items() for name in row.get(kind, ())}
        for kind in kinds
    }
    any_case = [*table["hidden"]["phrases"], *listed["names"], *listed["nouns"]]
    exact = [*assets, *listed["proper_names"]]
    return Aliases(
        version=hashlib.sha256(raw.encode()).hexdigest()[:12],
        symbols=tuple(assets),
        # A phrase that hides a name is longer than it, and so is found before it.
        pattern=re.compile(
            rf"(?<![\w$])(?:(?i:{_any_of(any_case)})|(?:{_any_of(exact)}))(?![\w])"
            rf"|(?<!\w)[$#](?i:{_any_of(assets)})(?!\w)"
        ),
        owner={symbol: symbol for symbol in assets}
        | {name.lower(): s for kind in kinds[:2] for name, s in listed[kind].items()}
        | listed["proper_names"],
        needs_context=frozenset(
            {symbol for symbol, row in assets.items() if row.get("ticker_is_a_word")}
            | set(listed["proper_names"])
        ),
        nouns=frozenset(listed["nouns"]),
        unless={s: _words(row["unless"]) for s, row in assets.items() if "unless" in row},
        venues=frozenset(n for row in assets.values() if row.get("venue") for n in row["names"]),
        outlets={o.lower(): s for s, row in assets.items() for o in row.get("subreddits", ())},
        context=_words(table["context"]["words"], r"|\$\d"),
    )


def _any_of(words: Iterable[str]) -> str:
    """Return an expression of any of some words, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _words(words: Iterable[str], more: str = "") -> re.Pattern[str]:
    return re.compile(rf"(?i)\b(?:{_any_of(words)})\b{more}")
