"""Settles what fell due: each forecast once, on the bars that it was made from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.clock import parse_duration, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataMissing
from moodtape.forecaster.grid import BarGrid, bar_grid
from moodtape.forecaster.settle import settle
from moodtape.forecaster.target import TRAILING_BARS
from moodtape.storage import read
from moodtape.storage.db import Warehouse
from moodtape.storage.settlements import Issued, Settlement, store_settlements, unsettled


def settle_due(
    warehouse: Warehouse, config: Config, run_id: str, now: datetime
) -> Mapping[str, int]:
    """Settle every forecast whose horizon has passed; return how many settled, void and waiting.

    It may run at any time and as often as one likes: the answer rests on the first version
    of each bar, whenever it is looked up.
    """
    with warehouse.read() as connection:
        waiting = unsettled(connection, now)
        grids = {
            key: (_grid(connection, config, key, issued, now), issued)
            for key, issued in _by_series(waiting).items()
        }
    void_after = timedelta(hours=config.nightly.void_after_h)
    floor = config.target.volatility_floor_bps
    answers: list[Settlement] = []
    for grid, issued in grids.values():
        if grid is not None:
            answers += settle(grid, issued, now, void_after, floor)
    if answers:
        with warehouse.write() as connection:
            store_settlements(connection, answers, run_id, now)
    void = sum(a.state == "void" for a in answers)
    return {
        "settled": len(answers) - void,
        "void": void,
        "waiting": len(waiting) - len(answers),
    }


Key = tuple[str, str, str | None, str | None]


def _by_series(waiting: list[Issued]) -> dict[Key, list[Issued]]:
    """Return forecasts by the series that they are settled on; they come in that order."""

    def key(item: Issued) -> Key:
        return item.symbol, item.interval, item.venue, item.quote

    return {series: list(items) for series, items in groupby(waiting, key)}


def _grid(
    connection: Any, config: Config, key: Key, issued: list[Issued], now: datetime
) -> BarGrid | None:
    """Return a series' bars from a week of bars before the first cutoff until now.

    None where the series is gone; its forecasts wait until it is there again.
    """
    symbol, interval, venue, quote = key
    market = config.market
    try:
        series = read.choose_series(
            connection, symbol, interval,
            venue or market.venue.get(symbol), quote or market.quote.get(symbol),
        )  # fmt: skip
    except DataMissing:
        return None
    versions = read.bar_versions(connection, series, now)
    if versions.empty:
        return None
    calendar, length = get_calendar(market.calendar), parse_duration(interval)
    first = versions["open_time"].min().to_pydatetime()
    opens = calendar.expected_opens(first, now, length)
    closes = calendar.close_times(opens, length)
    cutoff = to_datetime64(min(item.cutoff for item in issued))
    begin = max(0, int(np.searchsorted(closes, cutoff)) - TRAILING_BARS - 1)
    return bar_grid(versions, opens[begin:], closes[begin:])
