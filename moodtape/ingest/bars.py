"""Price bars from any table: times, numbers and sense checked, ready to store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.calendars import Calendar
from moodtape.clock import format_duration, parse_duration, to_datetime64
from moodtape.errors import UsageError
from moodtape.ingest.columns import FileNameHints, read_names, read_numbers, split_pair
from moodtape.ingest.rejects import Rejected, Verdicts, refuse_symbols, split_rows
from moodtape.ingest.times import read_times

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

REQUIRED = ("open_time", "open", "high", "low", "close")
PRICES = ("open", "high", "low", "close")
AMOUNTS = ("volume", "quote_volume", "trades", "taker_buy_volume")
STANDARD_INTERVALS = ("1min", "5min", "15min", "30min", "1h", "2h", "4h", "6h", "12h", "1d", "7d")


@dataclass(frozen=True)
class BarContext:
    """What a file of bars does not say itself.

    symbol, quote, venue: used where the file has no such column.
    interval: length of a bar as text; None until it is told from the first rows.
    """

    symbol: str | None
    quote: str | None
    venue: str
    interval: str | None
    calendar: Calendar
    known_symbols: tuple[str, ...]
    assume_utc: bool = False

    @classmethod
    def from_hints(cls, hints: FileNameHints, given: Mapping[str, Any]) -> BarContext:
        """Return a context where what the user said wins over what the file's name says."""
        return cls(
            symbol=given["symbol"] or hints.symbol,
            quote=given["quote"] or hints.quote,
            venue=given["venue"] or hints.venue or "file",
            interval=given["interval"] or hints.interval,
            calendar=given["calendar"],
            known_symbols=given["known_symbols"],
            assume_utc=given["assume_utc"],
        )


def settle_interval(
    context: BarContext, table: pd.DataFrame, columns: Mapping[str, str], path: Path
) -> BarContext:
    """Return the context with an interval, told from the commonest step if nobody said it."""
    import numpy as np

    if context.interval is not None:
        length = parse_duration(context.interval)
        return replace(context, interval=format_duration(length))
    times, _ = read_times(table[columns["open_time"]], context.assume_utc)
    steps = np.diff(np.unique(times[~np.isnat(times)]))
    if len(steps):
        sizes, counts = np.unique(steps, return_counts=True)
        seconds = int(sizes[np.argmax(counts)] / np.timedelta64(1, "s"))
        interval = format_duration(timedelta(seconds=max(seconds, 1)))
        if interval in STANDARD_INTERVALS:
            return replace(context, interval=interval)
    raise UsageError(f"{path}: the length of a bar cannot be told. Say it: --interval 1h")


def read_bars(
    table: pd.DataFrame, columns: Mapping[str, str], context: BarContext, now: datetime
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Return storable bars and the rows that are no bars, each with its reason.

    A bar is refused when its time is unreadable, off the calendar or not over yet,
    when a price is absent, not finite or not above zero, when high and low do not
    enclose open and close, or when an amount is negative.
    """
    import numpy as np
    import pandas as pd

    assert context.interval is not None
    count = len(table)
    verdicts = Verdicts(count)
    open_time, unreadable = read_times(table[columns["open_time"]], context.assume_utc)
    verdicts.refuse_each(unreadable)
    close_time = context.calendar.close_times(open_time, parse_duration(context.interval))
    off_grid = np.isnat(close_time) & ~np.isnat(open_time)
    verdicts.refuse(off_grid, f"not the start of a {context.interval} bar")
    with np.errstate(invalid="ignore"):
        verdicts.refuse(close_time > to_datetime64(now), "bar is not over yet")

    numbers = _numbers(table, columns, verdicts)
    _check_sense(numbers, verdicts)
    symbol, quote = _symbols(table, columns, context, verdicts)
    venue: Any = context.venue
    if "venue" in columns:
        venue = read_names(table[columns["venue"]], context.venue, str.lower)
    stored = pd.DataFrame(
        {
            "line": table.index.to_numpy(),
            "symbol": symbol,
            "venue": venue,
            "quote": quote,
            "interval": context.interval,
            "open_time": pd.Series(open_time, index=table.index).dt.tz_localize("UTC"),
            "close_time": pd.Series(close_time, index=table.index).dt.tz_localize("UTC"),
            **{name: numbers[name] for name in (*PRICES, *AMOUNTS)},
        },
        index=table.index,
    )
    whole = stored["trades"].where(verdicts.good & (stored["trades"].abs() < 2**53))
    stored["trades"] = whole.round().astype("Int64")
    return split_rows(stored, table, verdicts)


def _numbers(
    table: pd.DataFrame, columns: Mapping[str, str], verdicts: Verdicts
) -> dict[str, NDArray[np.float64]]:
    import numpy as np

    numbers = {}
    for name in (*PRICES, *AMOUNTS):
        if name not in columns:
            numbers[name] = np.full(len(table), np.nan)
            continue
        numbers[name], wrong = read_numbers(table[columns[name]])
        verdicts.refuse(wrong, f"{name} is not a number")
    return numbers


def _check_sense(numbers: Mapping[str, NDArray[np.float64]], verdicts: Verdicts) -> None:
    import numpy as np

    for name in PRICES:
        verdicts.refuse(np.isnan(numbers[name]), f"{name} is missing")
        verdicts.refuse(np.isinf(numbers[name]), f"{name} is not finite")
        verdicts.refuse(numbers[name] <= 0, f"{name} is not above zero")
    low, high = numbers["low"], numbers["high"]
    verdicts.refuse(high < low, "high is below low")
    for name in ("open", "close"):
        outside = (numbers[name] < low) | (numbers[name] > high)
        verdicts.refuse(outside, f"{name} is outside low to high")
    for name in AMOUNTS:
        verdicts.refuse(np.isinf(numbers[name]), f"{name} is not finite")
        verdicts.refuse(numbers[name] < 0, f"{name} is negative")


def _symbols(
    table: pd.DataFrame, columns: Mapping[str, str], context: BarContext, verdicts: Verdicts
) -> tuple[Any, Any]:
    """Return asset and quote of each row, from the file's columns or the context."""
    import numpy as np

    quote = context.quote or "USD"
    if "quote" in columns:
        quote_column: Any = read_names(table[columns["quote"]], quote, str.upper)
    else:
        quote_column = np.full(len(table), quote, dtype=object)
    if "symbol" not in columns:
        return context.symbol, quote_column
    texts = read_names(table[columns["symbol"]], context.symbol or "", str.upper)
    pairs = {text: split_pair(text, context.known_symbols) for text in set(texts)}
    if "quote" not in columns:
        quote_column = np.array([pairs[text][1] or quote for text in texts], dtype=object)
    symbol = np.array([pairs[text][0] for text in texts], dtype=object)
    refuse_symbols(symbol, verdicts)
    return symbol, quote_column
