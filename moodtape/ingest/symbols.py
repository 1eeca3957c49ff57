"""Which assets a text is about, by the names, tickers and cashtags of `data/aliases.toml`."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from moodtape.records import MARKET_SYMBOL


@dataclass(frozen=True)
class Aliases:
    """The alias table, ready to match.

    version: hash of the table, kept with each mention.
    symbols: assets the table knows.
    pattern: one expression over all names, tickers and cashtags.
    owner: lower-case name, or exact ticker, to asset.
    needs_context: tickers that are words too, and count only beside a crypto word.
    outlets: subreddits that are about one asset.
    """

    version: str
    symbols: tuple[str, ...]
    pattern: re.Pattern[str]
    owner: dict[str, str]
    needs_context: frozenset[str]
    outlets: dict[str, str]
    context: re.Pattern[str]

    def mentions(self, text: str, outlet: str = "") -> dict[str, str]:
        """Return how each asset is named in a text; `{"MARKET": "none"}` if none is.

        >>> load_aliases().mentions("Bitcoin and $ETH rise")
        {'BTC': 'name', 'ETH': 'cashtag'}
        """
        found: dict[str, str] = {}
        for match in self.pattern.finditer(text):
            word = match[0]
            if word.startswith("$"):
                symbol, how = self.owner.get(word[1:].upper(), ""), "cashtag"
            elif word.lower() in self.owner:
                symbol, how = self.owner[word.lower()], "name"
            else:
                symbol, how = self.owner.get(word, ""), "ticker"
                if word in self.needs_context and not self.context.search(text):
                    continue
            if symbol:
                found.setdefault(symbol, how)
        if not found and (subject := self.outlets.get(outlet.lower())):
            found[subject] = "outlet"
        return found or {MARKET_SYMBOL: "none"}


@lru_cache(maxsize=1)
def load_aliases() -> Aliases:
    """Return the shipped alias table."""
    raw = (resources.files("moodtape.ingest") / "data" / "aliases.toml").read_text("utf-8")
    table = tomllib.loads(raw)
    owner: dict[str, str] = {}
    needs_context: set[str] = set()
    outlets: dict[str, str] = {}
    names: list[str] = []
    tickers: list[str] = []
    for symbol, row in table["asset"].items():
        owner[symbol] = symbol
        tickers.append(symbol)
        for name in row.get("names", ()):
            owner[name.lower()] = symbol
            names.append(name)
        if row.get("ticker_is_a_word"):
            needs_context.add(symbol)
        outlets.update({outlet.lower(): symbol for outlet in row.get("subreddits", ())})
    words = "|".join(re.escape(n) for n in sorted(names, key=len, reverse=True))
    codes = "|".join(re.escape(t) for t in sorted(tickers, key=len, reverse=True))
    # Names in any case; tickers in capitals alone; cashtags in any case.
    pattern = re.compile(
        rf"(?<![\w$])(?:(?i:{words})|(?:{codes}))(?![\w])|(?<!\w)\$(?i:{codes})(?!\w)"
    )
    context = re.compile(
        r"(?i)\b(" + "|".join(re.escape(w) for w in table["context"]["words"]) + r")\b|\$\d"
    )
    return Aliases(
        version=hashlib.sha256(raw.encode()).hexdigest()[:12],
        symbols=tuple(table["asset"]),
        pattern=pattern,
        owner=owner,
        needs_context=frozenset(needs_context),
        outlets=outlets,
        context=context,
    )
