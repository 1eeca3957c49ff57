"""On-chain, index and funding values from wide or long tables, with the time they were known."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import metric_known_at, parse_duration, to_datetime64
from moodtape.errors import UnreadableFile, UsageError
from moodtape.ingest.columns import read_names, read_numbers, split_pair
from moodtape.ingest.rejects import (
    Rejected,
    Verdicts,
    refuse_symbols,
    row_payload,
    split_rows,
)
from moodtape.ingest.times import MISSING, no_times, read_times

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Provider:
    """How a provider stamps its values.

    label: whether its time is the start or the end of the period.
    lag: from the period's end to known, where there is no completion stamp.
    early_until, early_lag: an older stretch with a longer lag.
    metrics: names by which its tables are recognised.
    """

    name: str
    label: str
    lag: timedelta
    early_until: datetime | None = None
    early_lag: timedelta | None = None
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class MetricContext:
    """What a file of metrics does not say itself."""

    symbol: str | None
    provider: Provider
    known_symbols: tuple[str, ...]
    only: tuple[str, ...] = ()
    assume_utc: bool = False
    period: timedelta | None = None


@lru_cache(maxsize=1)
def providers() -> dict[str, Provider]:
    """Return the providers of `data/providers.toml` by name."""
    text = (resources.files("moodtape.ingest") / "data" / "providers.toml").read_text("utf-8")
    table = tomllib.loads(text)
    return {
        name: Provider(
            name=name,
            label=row["label"],
            lag=_length(row["lag"]),
            early_until=row.get("early_until"),
            early_lag=_length(row["early_lag"]) if "early_lag" in row else None,
            metrics=tuple(row.get("metrics", ())),
        )
        for name, row in table.items()
    }


def choose_provider(
    name: str | None,
    lag: str | None,
    label: str | None,
    columns: Sequence[str],
    venue: str | None,
    default_lag: str,
) -> Provider:
    """Return the provider asked for, else the one whose metrics these are, else a plain file.

    A venue in the file's name becomes part of the provider's: two venues' funding rates
    are two series.
    """
    known = providers()
    if name is not None:
        provider = known.get(name, Provider(name, "start", _length(default_lag)))
    else:
        hits = [p for p in known.values() if set(p.metrics) & set(columns)]
        provider = hits[0] if hits else Provider("file", "start", _length(default_lag))
        if venue is not None:
            provider = replace(provider, name=f"{provider.name}_{venue}")
    if lag is not None:
        provider = replace(provider, lag=_length(lag), early_until=None)
    return provider if label is None else replace(provider, label=label)


def settle_period(
    context: MetricContext, table: pd.DataFrame, columns: Mapping[str, str], path: Path
) -> MetricContext:
    """Return the context with the length of a period: the commonest step of the first rows."""
    import numpy as np

    if context.period is not None:
        return context
    times, _ = read_times(table[columns["time"]], context.assume_utc)
    steps = np.diff(np.unique(times[~np.isnat(times)]))
    if not len(steps):
        return replace(context, period=timedelta(days=1))
    sizes, counts = np.unique(steps, return_counts=True)
    seconds = int(sizes[np.argmax(counts)] / np.timedelta64(1, "s"))
    if seconds < 60:
        raise UsageError(f"{path}: the time column steps by {seconds} s; metrics have periods.")
    return replace(context, period=timedelta(seconds=seconds))


def value_columns(
    table: pd.DataFrame, columns: Mapping[str, str], only: Sequence[str], path: Path
) -> list[str]:
    """Return the columns of a wide table that hold values: numbers that nothing else claims."""
    import pandas as pd

    rest = [c for c in table.columns if c not in columns.values()]
    if only:
        absent = [c for c in only if c not in rest]
        if absent:
            raise UnreadableFile(f"{path} has no column {', '.join(absent)} (--only).")
        rest = list(only)
    numeric = []
    for name in rest:
        column = table[name]
        if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(
            column.dtype
        ):
            continue
        values, wrong = read_numbers(column)
        filled = (values == values).sum()
        if filled > wrong.sum():
            numeric.append(name)
    if not numeric:
        raise UnreadableFile(f"{path} has no column of numbers beside its time column.")
    return numeric


def read_metrics(
    table: pd.DataFrame,
    columns: Mapping[str, str],
    values: Sequence[str],
    context: MetricContext,
    now: datetime,
) -> tuple[pd.DataFrame, list[Rejected], int]:
    """Return storable values, refused cells with reasons, and the number of empty cells.

    A wide table (a column per metric) is taken apart; a long one has `metric` and `value`.
    """
    import numpy as np
    import pandas as pd

    assert context.period is not None
    verdicts = Verdicts(len(table))
    stated, unreadable = read_times(table[columns["time"]], context.assume_utc)
    verdicts.refuse_each(unreadable)
    step = np.timedelta64(context.period, "us")
    start = stated if context.provider.label == "start" else stated - step
    end = start + step
    stamp = no_times(len(table))
    if "stamp" in columns:
        stamp, wrong = read_times(table[columns["stamp"]], context.assume_utc)
        wrong[np.equal(wrong, MISSING)] = None
        verdicts.refuse_each(wrong)
    known = metric_known_at(end, stamp, _lags(end, context.provider))
    with np.errstate(invalid="ignore"):
        verdicts.refuse(known > to_datetime64(now), "value lies in the future")
    symbol = _symbols(table, columns, context, verdicts)
    frame = pd.DataFrame(
        {
            "line": table.index.to_numpy(),
            "provider": context.provider.name,
            "symbol": symbol,
            "period_start": pd.Series(start, index=table.index).dt.tz_localize("UTC"),
            "period_end": pd.Series(end, index=table.index).dt.tz_localize("UTC"),
            "known_at": pd.Series(known, index=table.index).dt.tz_localize("UTC"),
            "stamped": ~np.isnat(stamp) & (known == stamp),
        },
        index=table.index,
    )
    pairs = _metric_columns(table, columns, values, verdicts)
    rejected = split_rows(frame, table, verdicts)[1]
    parts, empty = [], 0
    for metric, name in pairs:
        numbers, no_number = read_numbers(table[name])
        cell = Verdicts(len(table))
        cell.refuse(no_number, "value is not a number")
        cell.refuse(np.isinf(numbers), "value is not finite")
        bad = ~cell.good & verdicts.good
        absent = np.isnan(numbers) & cell.good & verdicts.good
        empty += int(absent.sum())
        usable = cell.good & verdicts.good & ~absent
        parts.append(frame.assign(metric=metric, value=numbers)[usable])
        rejected += [
            Rejected(f"line {line}, {name}", str(reason), row_payload(table.loc[line]))
            for line, reason in zip(table.index[bad], cell.reasons[bad], strict=True)
        ]
    return pd.concat(parts), rejected, empty


def _metric_columns(
    table: pd.DataFrame, columns: Mapping[str, str], values: Sequence[str], verdicts: Verdicts
) -> list[tuple[Any, str]]:
    """Return (metric name or column of names, column of values) pairs."""
    import numpy as np

    if "metric" in columns and "value" in columns:
        names = read_names(table[columns["metric"]], "", str)
        verdicts.refuse(np.equal(names, ""), "metric has no name")
        return [(names, columns["value"])]
    return [(name, name) for name in values]


def _symbols(
    table: pd.DataFrame, columns: Mapping[str, str], context: MetricContext, verdicts: Verdicts
) -> Any:
    import numpy as np

    if "symbol" not in columns:
        return context.symbol
    texts = read_names(table[columns["symbol"]], context.symbol or "", str.upper)
    pairs = {text: split_pair(text, context.known_symbols)[0] for text in set(texts)}
    symbol = np.array([pairs[text] for text in texts], dtype=object)
    refuse_symbols(symbol, verdicts)
    return symbol


def _lags(period_end: NDArray[np.datetime64], provider: Provider) -> NDArray[np.timedelta64]:
    import numpy as np

    lags = np.full(len(period_end), np.timedelta64(provider.lag, "us"))
    if provider.early_until is not None and provider.early_lag is not None:
        early = period_end <= to_datetime64(provider.early_until)
        lags[early] = np.timedelta64(provider.early_lag, "us")
    return lags


def _length(text: str) -> timedelta:
    return timedelta(0) if text.strip() in {"0", "0h", "0s"} else parse_duration(text)
