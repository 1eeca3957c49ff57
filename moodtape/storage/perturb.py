"""A scratch warehouse in which the future is another one: what the audit works with.

1. copy_near       the rows that a study can see, into a file of their own
2. change_future   bars, metrics, texts, scores, kinds, reactions, coverage known after a cut
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from moodtape.records import MARKET_SYMBOL, Span
from moodtape.storage.db import Warehouse, run_script
from moodtape.storage.hours import HourRules, mark_all_hours, refresh_hours

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_TABLES = ("bar", "metric", "document", "mention", "engagement", "score", "kind", "coverage")


@dataclass(frozen=True)
class Near:
    """Which rows a study can see.

    interval: of its bars, as stored; bars_until: they open before it.
    metrics: names, without providers.
    texts: those of which a revision became known in this stretch.
    """

    symbols: tuple[str, ...]
    interval: str
    bars_until: datetime
    metrics: tuple[str, ...]
    scorer: str
    texts: Span
    as_of: datetime


def copy_near(source: Warehouse, target: Warehouse, near: Near, rules: HourRules) -> None:
    """Write the rows of `near` to an empty warehouse and make its hours from them.

    Bodies of texts stay behind: scores are copied, so nothing reads them.
    """
    parameters = {
        "symbols": list(near.symbols),
        "interval": near.interval,
        "bars_until": near.bars_until,
        "market": MARKET_SYMBOL,
        "metrics": list(near.metrics),
        "scorer": near.scorer,
        "as_of": near.as_of,
        "texts_from": near.texts.since,
        "texts_until": near.texts.until,
    }
    with source.read() as connection:
        run_script(connection, "perturb_near", parameters)
        tables = {name: connection.table(f"near_{name}").to_arrow_table() for name in _TABLES}
    with target.write() as connection:
        for name, rows in tables.items():
            connection.register("near", rows)
            connection.execute(f"INSERT INTO {name} BY NAME FROM near")
            connection.unregister("near")
        _remake_hours(connection, rules)


def change_future(warehouse: Warehouse, cut: datetime, seed: int, rules: HourRules) -> None:
    """Change, add and delete rows known after `cut`, then remake every hour from base rows.

    Rows known by `cut` stay as they are, and so does the open time of each series' last bar.
    """
    parameters = {"cut": cut, "seed": seed, "market": MARKET_SYMBOL}
    with warehouse.write() as connection:
        run_script(connection, "perturb_market", parameters)
        run_script(connection, "perturb_texts", parameters)
        _remake_hours(connection, rules)


def _remake_hours(connection: Connection, rules: HourRules) -> None:
    mark_all_hours(connection)
    refresh_hours(connection, rules)
