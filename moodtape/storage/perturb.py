"""A scratch warehouse in memory, in which the future can be another one for a while.

1. open_scratch     the rows that a study can see, by the stored clock or another; hours made
2. another_future   bars, metrics, texts, scores, kinds, reactions, coverage and polls known
                    after a cut change, come and go; hours made again; all is taken back at the end
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from moodtape.records import MARKET_SYMBOL, Span
from moodtape.storage.db import Warehouse, open_in_memory, run_script
from moodtape.storage.dirty import mark_all_hours
from moodtape.storage.hours import HourRules, refresh_hours

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

TABLES = ("bar", "metric", "document", "mention", "engagement", "score", "kind", "coverage", "poll")
"""What a study is made of; hours are made from these."""


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


@dataclass(frozen=True)
class Clock:
    """Another clock than the stored one, by which rows count as known.

    delay: texts and metrics become known so much later, and are no staler for it. None is the
        wishful clock: the rows of `subject` are known when their source says that they were
        published, or when their period ended, as it shows them today.
    subject: the group under test, `sentiment` or `onchain`.
    """

    delay: timedelta | None
    subject: str


@dataclass(frozen=True)
class Scratch(Warehouse):
    """A warehouse without a file: every session is the same one, and sees what is undone later."""

    session: Connection = field(kw_only=True)
    rules: HourRules = field(kw_only=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give the one session."""
        yield self.session

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give the one session; whoever needs a transaction begins it."""
        yield self.session

    @contextmanager
    def another_future(self, cut: datetime, seed: int) -> Iterator[None]:
        """Change, add and delete rows known after `cut` for the length of the block.

        Rows known by `cut` stay as they are, and so does the open time of each series' last
        bar. The draws follow from the seed and the rows alone.
        """
        parameters = {"cut": cut, "seed": seed, "market": MARKET_SYMBOL}
        self.session.execute("BEGIN")
        try:
            run_script(self.session, "perturb_market", parameters)
            run_script(self.session, "perturb_texts", parameters)
            run_script(self.session, "perturb_polls", {"cut": cut, "seed": seed})
            _make_hours(self.session, self.rules)
            yield
        finally:
            self.session.execute("ROLLBACK")


@contextmanager
def open_scratch(
    source: Warehouse, near: Near, rules: HourRules, spill: Path, clock: Clock | None = None
) -> Iterator[Scratch]:
    """Copy the rows of `near` into memory and make their hours; gone after the block.

    Args:
        clock: by which rows are known there; the stored one by default.
        spill: folder for what does not fit into the session's memory limit.
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
        "by_publication": clock is not None and clock.delay is None,
    }
    with source.read() as connection:
        run_script(connection, "perturb_near", parameters)
        if clock is not None:
            _set_clock(connection, clock, near.as_of)
        tables = {name: connection.table(f"near_{name}").to_arrow_table() for name in TABLES}
    session = open_in_memory(source, spill)
    try:
        for name in TABLES:
            session.register("near", tables.pop(name))
            session.execute(f"INSERT INTO {name} BY NAME FROM near")
            session.unregister("near")
        _make_hours(session, rules)
        yield Scratch(
            source.path, source.threads, source.memory_limit, session=session, rules=rules
        )
    finally:
        session.close()


def _set_clock(connection: Connection, clock: Clock, as_of: datetime) -> None:
    """Move the copied rows to the times at which they are known by a clock."""
    if clock.delay is None:
        run_script(connection, f"clock_published_{clock.subject}", {"as_of": as_of})
    else:
        run_script(connection, "clock_delayed", {"delay": clock.delay})


def _make_hours(connection: Connection, rules: HourRules) -> None:
    mark_all_hours(connection)
    refresh_hours(connection, rules)
