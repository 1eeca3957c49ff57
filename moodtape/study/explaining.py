"""From a forecast to its gate, to the hours that counted, to their texts.

    1. texts     those that counted in the hours before each decision
    2. without   the same forecast as if an hour had brought no text: every average, count and
                 share that it went into is made anew
    3. added     the forecast less that one: what the hour's texts added

Hours are left out one at a time, so what they added need not sum up to what all did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.config import Config
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.loading import load_variants
from moodtape.forecaster.served import Served, forecast_rows
from moodtape.forecaster.texts import Texts
from moodtape.records import MARKET_SYMBOL, Span
from moodtape.storage.counted import counted_texts
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

if TYPE_CHECKING:
    import pandas as pd

LOOK_BACK = timedelta(hours=48)
"""Hours before the decision that are left out one by one."""

MOST_HOURS, MOST_TEXTS = 5, 5
LONGEST_TITLE = 160
SAID = ("p_up", "mean", "volatility")
"""What is compared; the first that a forecast has decides which hours counted most."""


@dataclass(frozen=True)
class Asked:
    """A model, and the rows that its forecasts were made from."""

    warehouse: Warehouse
    config: Config
    folder: Path
    served: Served
    dataset: Dataset
    as_of: datetime
    rules: HourRules


def explanations(
    asked: Asked, rows: Sequence[int], forecasts: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return an explanation of each forecast.

    gate: how far the network lets sentiment in. without_texts: the same forecast without any
    text. hours: those that changed it most, the largest change first, each with its `hour`,
    number of `texts`, mean `tone`, what they `added`, and its most outspoken `headlines`.

    Args:
        rows: of the dataset, one a symbol. forecasts: made from them, in that order.
    """
    texts = _texts(asked, forecasts)
    hours = sorted(texts["hour"].dt.to_pydatetime().tolist()) if len(texts) else []
    hours = list(dict.fromkeys(hours))
    if not hours:
        return [_nothing(item) for item in forecasts]
    changes: list[Callable[[Texts], Texts]] = [lambda texts: texts.without()]
    changes += [partial(_without, hour=hour) for hour in hours]
    served, dataset = asked.served, asked.dataset
    request = Request(
        served.symbols, asked.as_of, served.scorer, Span(dataset.span.since, asked.as_of),
        served.streams, served.metrics,
    )  # fmt: skip
    at = np.array(rows, dtype=np.int64)
    made = [
        forecast_rows(asked.folder, served, variant, at)
        for variant in load_variants(asked.warehouse, asked.config, request, changes)
    ]
    return [
        {
            **_nothing(item),
            "without_texts": {name: made[0][place][name] for name in SAID},
            "hours": _hours(
                item, texts, {h: made[1 + i][place] for i, h in enumerate(hours)}
            ),
        }
        for place, item in enumerate(forecasts)
    ]  # fmt: skip


def _without(texts: Texts, hour: datetime) -> Texts:
    return texts.without([hour])


def _nothing(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"gate": item["gate"], "without_texts": None, "hours": []}


def _texts(asked: Asked, forecasts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the texts that counted in the hours that were over at the newest decision."""
    last = max(item["cutoff"] for item in forecasts)
    end = last.replace(minute=0, second=0, microsecond=0)
    hours = [end - timedelta(hours=back) for back in range(1, LOOK_BACK // timedelta(hours=1) + 1)]
    symbols = [*asked.served.symbols, MARKET_SYMBOL]
    with asked.warehouse.read() as connection:
        return counted_texts(
            connection,
            hours,
            symbols if any("_market" in s for s in asked.served.streams) else symbols[:-1],
            asked.served.scorer or "",
            asked.config.sentiment.sources,
            asked.as_of,
            asked.rules,
            asked.config.sentiment.kinds,
            asked.config.sentiment.promotion == "keep",
        )


def _hours(
    item: Mapping[str, Any], texts: pd.DataFrame, without: Mapping[datetime, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the hours that changed one forecast most."""
    own = texts[texts["symbol"].isin([item["symbol"], MARKET_SYMBOL])]
    own = own[own["hour"] + timedelta(hours=1) <= item["cutoff"]]
    found = []
    for hour, part in own.groupby("hour", sort=True):
        other = without[hour.to_pydatetime()]
        added = {
            name: None if item[name] is None else item[name] - other[name] for name in SAID
        }  # fmt: skip
        found.append(
            {
                "hour": hour.to_pydatetime(),
                "texts": len(part),
                "tone": float(part["tone"].mean()),
                "added": added,
                "headlines": [_headline(row) for row in part.head(MOST_TEXTS).to_dict("records")],
            }
        )
    return sorted(found, key=_size, reverse=True)[:MOST_HOURS]


def _size(hour: Mapping[str, Any]) -> float:
    """Return how much an hour changed what a forecast says first."""
    return abs(float(next((v for v in hour["added"].values() if v is not None), 0.0)))


def _headline(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one text as it is shown; one that was forgotten has no title and no link."""

    def text(name: str) -> str | None:
        return row[name] if isinstance(row[name], str) and row[name] else None

    title = text("title") or text("body")
    if title is not None and len(title) > LONGEST_TITLE:
        title = title[: LONGEST_TITLE - 1] + "…"
    return {
        "title": title,
        "url": text("url"),
        "source": row["source"],
        "outlet": text("outlet"),
        "about": row["symbol"],
        "known_at": row["known_at"].to_pydatetime(),
        "kind": text("kind"),
        "tone": float(row["tone"]),
    }
