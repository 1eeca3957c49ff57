"""Reads the times in other people's files: zones, epochs of four units, bare dates."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from moodtape.ingest.cells import cell_text

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_NUMBER = re.compile(r"^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$")
_BARE_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_ZONED = re.compile(r"(Z|[+-]\d{2}:?\d{2}|:\d{2}(\.\d+)?[+-]\d{2})$")
_NAMED_UTC = re.compile(r" ?(z|utc|gmt)$", re.IGNORECASE)

NO_ZONE = "time without a zone"
NO_TIME = "unreadable time"
MISSING = "missing time"


def no_times(count: int) -> NDArray[np.datetime64]:
    """Return `count` instants that are not known. (count,)"""
    import numpy as np

    return np.full(count, np.datetime64("NaT", "us"))


def is_none(values: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Say which cells hold nothing. (n,) -> (n,)"""
    import numpy as np

    return np.array([value is None for value in values], dtype=bool)


def read_times(
    column: pd.Series, assume_utc: bool = False
) -> tuple[NDArray[np.datetime64], NDArray[np.object_]]:
    """Return instants and, per row, why a time could not be read (None where it could).

    A bare date is that day's midnight in UTC. A number is an epoch whose unit is told
    by its size, row by row, since files exist that switch. A time with no zone is
    refused unless `assume_utc`.

    Returns:
        times (n,) `datetime64[us]` read as UTC, NaT where unreadable; reasons (n,).
    """
    import numpy as np
    import pandas as pd

    count = len(column)
    times = no_times(count)
    reasons: NDArray[np.object_] = np.full(count, None, dtype=object)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        times = column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    elif pd.api.types.is_datetime64_dtype(column.dtype):
        naive = column.to_numpy("datetime64[us]")
        days = naive[~np.isnat(naive)]
        if assume_utc or (days == days.astype("datetime64[D]")).all():
            times = naive
        else:
            reasons[~np.isnat(naive)] = NO_ZONE
    elif pd.api.types.is_numeric_dtype(column.dtype):
        times, reasons = _epochs(column.to_numpy("float64", na_value=np.nan))
    else:
        times, reasons = _texts(column, assume_utc)
    empty = np.isnat(times) & is_none(reasons)
    reasons[empty] = MISSING
    return times, reasons


def _epochs(values: NDArray[np.float64]) -> tuple[NDArray[np.datetime64], NDArray[np.object_]]:
    """Return instants of epochs in s, ms, us or ns, told apart by size (1973 to 2286)."""
    import numpy as np

    factor = np.select(
        [np.abs(values) < top for top in (1e8, 1e10, 1e13, 1e16, 1e19)],
        [np.nan, 1e6, 1e3, 1.0, 1e-3],
        default=np.nan,
    )
    micros = np.round(values * factor)
    readable = np.isfinite(micros)
    times = no_times(len(values))
    times[readable] = micros[readable].astype(np.int64).astype("datetime64[us]")
    reasons = np.full(len(values), None, dtype=object)
    reasons[~readable & ~np.isnan(values)] = NO_TIME
    return times, reasons


def _texts(
    column: pd.Series, assume_utc: bool
) -> tuple[NDArray[np.datetime64], NDArray[np.object_]]:
    import numpy as np
    import pandas as pd

    values = [_as_text(v) for v in column]
    numeric = np.array([bool(_NUMBER.match(v)) for v in values])
    times = no_times(len(values))
    reasons = np.full(len(values), None, dtype=object)
    if numeric.any():
        pairs = zip(values, numeric, strict=True)
        numbers = np.array([float(v) if is_number else np.nan for v, is_number in pairs])
        times, reasons = _epochs(numbers)
    rest = ~numeric & np.array([bool(v) for v in values])
    if not rest.any():
        return times, reasons
    chosen = [_iso_like(v) for v, r in zip(values, rest, strict=True) if r]
    parsed = pd.to_datetime(pd.Series(chosen), format="ISO8601", utc=True, errors="coerce")
    found = parsed.dt.tz_localize(None).to_numpy("datetime64[us]")
    zoned = np.array([assume_utc or bool(_ZONED.search(v) or _BARE_DATE.match(v)) for v in chosen])
    unreadable = np.isnat(found)
    times[rest] = np.where(zoned, found, np.datetime64("NaT", "us"))
    reasons[rest] = [
        NO_TIME if bad else None if good else NO_ZONE
        for bad, good in zip(unreadable, zoned, strict=True)
    ]
    return times, reasons


def _iso_like(text: str) -> str:
    """Return a time with its zone as ISO writes it; the dates of feeds and mail become ISO.

    >>> _iso_like("2022-04-01 06:00:00 UTC"), _iso_like("Fri, 01 Apr 2022 06:00:00 +0200")
    ('2022-04-01 06:00:00Z', '2022-04-01T06:00:00+02:00')
    """
    if "," in text:
        try:
            return parsedate_to_datetime(text).isoformat()
        except ValueError:
            return text
    return _NAMED_UTC.sub("Z", text)


def _as_text(value: object) -> str:
    text = cell_text(value).strip()
    return "" if text.lower() in {"null", "none", "nan", "nat"} else text
