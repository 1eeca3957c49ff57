"""Binance's files of bars: CSV of twelve columns, read whole columns at a time.

A cell becomes the number that the same cell of the REST interface becomes, so that a bar is
the same whichever way it comes. Times are milliseconds, or microseconds from 2025 on; which
one is told by their size, row by row.

Source: binance/binance-public-data, README.md, "Klines".
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moodtape.clock import parse_duration, to_datetime64
from moodtape.errors import CouldNotRead
from moodtape.ingest.base import BarTable
from moodtape.ingest.delimited import PAYLOAD_CHARS
from moodtape.ingest.rejects import Rejected, Verdicts
from moodtape.ingest.times import read_times
from moodtape.records import Span

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

COLUMNS = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume"),
    *("trades", "taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
MOST_BAD = 0.5
"""Share of bad rows above which nothing of a file is believed."""


@dataclass(frozen=True)
class Series:
    """Whose bars a file holds."""

    symbol: str
    venue: str
    quote: str
    interval: str


def read_klines(
    text: bytes, series: Series, stretch: Span, wanted: Span, name: str
) -> tuple[BarTable, list[Rejected]]:
    """Return the bars of a file, and rows that are none.

    Args:
        stretch: the month or day of the file; a bar that opens outside does not belong in it.
        wanted: bars that are not wholly inside are left out.
        name: of the file, for messages.
    Raises:
        CouldNotRead: it is no such file, or most of its rows are bad.
    """
    import numpy as np
    import pandas as pd

    cells, odd = _cells(text, name)
    verdicts = Verdicts(len(cells))
    numbers = {name: _numbers(cells[name], float) for name in NUMBERS}
    numbers["trades"] = _numbers(cells["trades"], int)
    opens, unreadable = read_times(pd.Series(_numbers(cells["open_time"], int)))
    verdicts.refuse_each(unreadable)
    since, until = to_datetime64(stretch.since), to_datetime64(stretch.until)
    verdicts.refuse((opens < since) | (opens >= until), "outside the time that its file covers")
    for values in numbers.values():
        verdicts.refuse(np.isnan(values), "a number cannot be read")
    good = verdicts.good
    bad = len(odd) + int((~good).sum())
    if bad > MOST_BAD * (len(cells) + len(odd)):
        raise CouldNotRead(f"{name}: {bad:,} of {len(cells) + len(odd):,} rows are no bars.")
    step = np.timedelta64(parse_duration(series.interval), "us")
    taken = (
        good
        & (opens >= to_datetime64(wanted.since))
        & (opens + step <= to_datetime64(wanted.until))
    )
    table = pd.DataFrame(
        {
            "open_time": pd.Series(opens[taken]).dt.tz_localize("UTC"),
            **{name: values[taken] for name, values in numbers.items()},
        }
    )
    made = BarTable(series.symbol, series.venue, series.quote, series.interval, table)
    rejected = [
        Rejected(f"{name} row {row + 1}", str(verdicts.reasons[row]), _line(cells, int(row)))
        for row in np.flatnonzero(~good)
    ]
    return made, [*odd, *rejected]


def _cells(text: bytes, name: str) -> tuple[pa.Table, list[Rejected]]:
    """Return the file's cells as they are written, and rows of another number of them."""
    import pyarrow as pa
    from pyarrow import csv

    odd: list[Rejected] = []

    def set_aside(row: Any) -> str:
        reason = f"it has not its {len(COLUMNS)} columns"
        odd.append(Rejected(f"{name} odd row {len(odd) + 1}", reason, row.text[:PAYLOAD_CHARS]))
        return "skip"

    if not text.isascii():
        raise CouldNotRead(f"{name} is no file of bars: it holds more than plain characters.")
    if text[:1].isalpha():
        text = text.partition(b"\n")[2]  # a line of names
    try:
        cells = csv.read_csv(
            io.BytesIO(text),
            csv.ReadOptions(use_threads=False, column_names=COLUMNS),
            csv.ParseOptions(quote_char=False, invalid_row_handler=set_aside),
            csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string())),
        )
    except pa.ArrowInvalid as exc:
        raise CouldNotRead(f"{name} is no file of bars: {str(exc)[:200]}.") from exc
    return cells, odd


def _numbers(column: pa.ChunkedArray, kind: Callable[[str], float]) -> NDArray[np.float64]:
    """Return cells as numbers, NaN where one cannot be read. (n,)"""
    import numpy as np
    import pyarrow as pa

    try:
        numbers = column.cast(pa.float64() if kind is float else pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        numbers = [_number(cell, kind) for cell in column.to_pylist()]
    return np.asarray(numbers, dtype="float64")


def _number(cell: str, kind: Callable[[str], float]) -> float:
    try:
        return float(kind(cell))
    except (ValueError, OverflowError):
        return float("nan")


def _line(cells: pa.Table, row: int) -> str:
    return ",".join(str(column[row]) for column in cells.columns)[:PAYLOAD_CHARS]
