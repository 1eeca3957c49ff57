"""Finds our columns in other people's files: usual names, the user's map, file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moodtape.errors import UnreadableFile, UsageError, did_you_mean
from moodtape.ingest.cells import cell_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

BAR_NAMES: Mapping[str, tuple[str, ...]] = {
    "open_time": ("open_time", "ts", "timestamp", "unix", "time", "datetime", "date"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v", "volume_base", "base_volume"),
    "quote_volume": ("quote_volume", "quote_asset_volume", "volume_quote"),
    "trades": ("trades", "tradecount", "number_of_trades", "count"),
    "taker_buy_volume": ("taker_buy_volume", "taker_buy_base_asset_volume"),
    "symbol": ("symbol", "ticker", "pair"),
    "venue": ("venue", "exchange"),
    "quote": ("quote",),
}
METRIC_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("period_start", "date", "ts", "time", "timestamp", "datetime", "day"),
    "stamp": ("completed_at", "known_at", "database_time", "status_time"),
    "symbol": ("symbol", "ticker", "asset"),
    "metric": ("metric", "name"),
    "value": ("value",),
}
DOCUMENT_NAMES: Mapping[str, tuple[str, ...]] = {
    "document_id": ("document_id", "id", "guid"),
    "published_at": ("published_at", "published", "created_at", "created_utc", "date", "timestamp"),
    "collected_at": ("collected_at", "fetched_at", "retrieved_on", "retrieved_at", "crawled_at"),
    "title": ("title", "headline"),
    "body": ("body", "selftext", "text", "summary", "description", "content"),
    "outlet": ("outlet", "subreddit", "publisher", "feed", "domain"),
    "url": ("url", "link"),
    "author": ("author_hash", "author", "user"),
    "source": ("source",),
    "collection": ("collection", "dataset"),
    "form": ("form", "kind", "type"),
    "categories": ("categories", "tags", "subject"),
    "symbol": ("symbol", "ticker"),
    "likes": ("likes", "score", "ups"),
    "comments": ("comments", "num_comments", "replies"),
    "reposts": ("reposts", "retweets"),
    "removed": ("removed",),
}

BLANK = frozenset({"", "null", "none", "nan"})
"""What an empty cell says, lower case."""

QUOTES = ("USDT", "USDC", "FDUSD", "BUSD", "USD", "EUR", "GBP", "BTC", "ETH")
VENUES = ("binance", "bitstamp", "coinbase", "cryptocompare", "kraken", "gate", "bitfinex", "okx")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,19}")
_VOLUME_IN = re.compile(r"^volume[ _(]+([a-z0-9]{2,10})\)?$", re.IGNORECASE)
_INTERVAL = re.compile(r"^\d+(min|m|h|d|w)$")


def find_columns(
    columns: Sequence[str],
    names: Mapping[str, tuple[str, ...]],
    required: Sequence[str],
    mapping: Mapping[str, str],
    path: Path,
) -> dict[str, str]:
    """Return the file's column for each of ours: the user's map first, then usual names.

    Raises:
        UsageError: the map names a column of ours that does not exist.
        UnreadableFile: a needed column is not in the file.
    """
    lower = {column.lower().strip(): column for column in columns}
    found: dict[str, str] = {}
    for ours, theirs in mapping.items():
        if ours not in names:
            raise UsageError(f"--map {ours}=... names no column.{did_you_mean(ours, names)}")
        if theirs.lower() not in lower:
            raise UnreadableFile(
                f"{path} has no column {theirs!r} (asked for by --map {ours}={theirs})."
                f" It has: {', '.join(columns)}."
            )
        found[ours] = lower[theirs.lower()]
    taken = set(found.values())
    for ours, usual in names.items():
        if ours in found:
            continue
        hit = next((lower[n] for n in usual if n in lower and lower[n] not in taken), None)
        if hit is not None:
            found[ours] = hit
            taken.add(hit)
    missing = [name for name in required if name not in found]
    if missing:
        raise UnreadableFile(
            f"{path} has no column for {', '.join(missing)}. It has: {', '.join(columns)}."
            f" Say which one it is: --map {missing[0]}=COLUMN"
        )
    return found


@dataclass(frozen=True)
class FileNameHints:
    """What a file's name says about its content; each part may be absent."""

    symbol: str | None = None
    quote: str | None = None
    interval: str | None = None
    venue: str | None = None


def read_file_name(path: Path, known_symbols: Sequence[str]) -> FileNameHints:
    """Return symbol, quote, interval and venue as far as the file's name tells them.

    >>> read_file_name(Path("btc_usdt_1h.parquet"), ["BTC", "ETH"])
    FileNameHints(symbol='BTC', quote='USDT', interval='1h', venue=None)
    """
    tokens = [t for t in re.split(r"[_\-. ]+", path.name.lower()) if t]
    symbol = quote = None
    for token in tokens:
        asset, its_quote = split_pair(token.upper(), known_symbols)
        if symbol is None and asset in known_symbols:
            symbol, quote = asset, its_quote
        elif symbol is not None and quote is None and token.upper() in QUOTES:
            quote = token.upper()
    interval = next((t for t in tokens if _INTERVAL.match(t)), None)
    venue = next((t for t in tokens if t in VENUES), None)
    return FileNameHints(symbol, quote, interval, venue)


def split_pair(text: str, known_symbols: Sequence[str]) -> tuple[str, str | None]:
    """Return asset and quote of `BTC/USDT`, `BTC-USD`, `BTCUSDT` or plain `BTC`.

    A joined pair is split only where its first part is a known symbol, so that a
    stock ticker that ends in a currency stays whole.

    >>> split_pair("BTC/USDT", []), split_pair("btcusdt", ["BTC"]), split_pair("AAPL", ["BTC"])
    (('BTC', 'USDT'), ('BTC', 'USDT'), ('AAPL', None))
    """
    text = text.strip().upper()
    for mark in ("/", "-", "_"):
        asset, found, quote = text.partition(mark)
        if found and quote in QUOTES:
            return asset, quote
    for quote in QUOTES:
        if text.endswith(quote) and text[: -len(quote)] in known_symbols:
            return text[: -len(quote)], quote
    return text, None


def is_symbol(text: str) -> bool:
    """Say whether a text can name an asset: capitals, digits, `.`, `_`, `-`, at most 20.

    >>> is_symbol("BRK.B"), is_symbol("btc usd")
    (True, False)
    """
    return bool(_SYMBOL.fullmatch(text))


def volume_columns(columns: Sequence[str]) -> dict[str, str]:
    """Return our volume columns where a file names them by currency: `Volume BTC`, `Volume USDT`.

    >>> volume_columns(["unix", "Volume BTC", "Volume USDT"])
    {'volume': 'Volume BTC', 'quote_volume': 'Volume USDT'}
    """
    found = {m[1].upper(): name for name in columns if (m := _VOLUME_IN.match(name))}
    quote = next((q for q in QUOTES if q in found), None)
    if len(found) != 2 or quote is None:
        return {}
    asset = next(currency for currency in found if currency != quote)
    return {"volume": found[asset], "quote_volume": found[quote]}


def read_names(column: pd.Series, fallback: str, case: Callable[[str], str]) -> NDArray[np.object_]:
    """Return texts trimmed and in one case, with a fallback where a cell is empty. (n,) -> (n,)"""
    import numpy as np

    texts = [cell_text(v).strip() for v in column]
    return np.array([fallback if t.lower() in BLANK else case(t) for t in texts], dtype=object)


def read_numbers(column: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return numbers (NaN where empty) and which cells hold something that is no number."""
    import numpy as np
    import pandas as pd

    if column.dtype == object or pd.api.types.is_string_dtype(column.dtype):
        blank = column.isna() | column.astype(str).str.strip().str.lower().isin(sorted(BLANK))
        numbers = pd.to_numeric(column.where(~blank), errors="coerce")
        values = numbers.to_numpy("float64", na_value=np.nan)
        return values, np.isnan(values) & ~blank.to_numpy()
    values = column.to_numpy("float64", na_value=np.nan)
    return values, np.zeros(len(values), dtype=bool)
