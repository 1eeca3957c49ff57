"""`moodtape ingest --backfill`: what is missing between what is stored is asked for again.

Only so many stretches a run, the newest first: a hole that the source has itself stays one,
and would be asked for each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from moodtape.clock import format_duration, parse_duration
from moodtape.errors import DataMissing
from moodtape.ingest.result import Progress, SourceResult, joined
from moodtape.ingest.round import Plan
from moodtape.ingest.run import run_collectors
from moodtape.records import MARKET_SYMBOL
from moodtape.storage.summary import gaps

SOURCE_OF = {
    "coinmetrics": "onchain",
    "alternative_me": "indices",
    "funding": "funding",
    "coingecko": "coingecko",
    "blockchain_com": "blockchain",
    "mempool": "mempool",
}
"""Collectors of metrics, by provider."""

STAMPED_AT_END = ("alternative_me", "funding")
MOST_STRETCHES = 24


def backfill(
    plan: Plan, names: Sequence[str], progress: Progress | None = None
) -> list[SourceResult]:
    """Ask for missing stretches of bars and metrics, and return what came of each source.

    Raises:
        DataMissing: nothing is stored yet.
    """
    tell = progress or (lambda done, total, what: None)
    found = [gap for gap in _gaps(plan) if _source_of(gap, plan, names) in names]
    stretches = list({_stretch(gap): gap for gap in found}.values())[:MOST_STRETCHES]
    results: dict[str, SourceResult] = {}
    for done, gap in enumerate(stretches):
        name = _source_of(gap, plan, names)
        tell(done, len(stretches), f"{name}, {gap['series']} {gap['since']:%Y-%m-%d %H:%M}")
        (result,) = run_collectors(_for(plan, gap), [name])
        results[name] = joined(results[name], result) if name in results else result
    return [results[name] for name in names if name in results]


def _gaps(plan: Plan) -> list[dict[str, Any]]:
    if not plan.warehouse.path.exists():
        raise DataMissing("There is nothing stored yet to have a gap. Run: moodtape ingest")
    with plan.warehouse.read() as connection:
        return gaps(connection, timedelta(minutes=plan.config.news.max_poll_gap_min))


def _source_of(gap: dict[str, Any], plan: Plan, names: Sequence[str]) -> str:
    """Return the collector that can fill a gap, of two the one that is named; empty: none does."""
    venue = plan.config.bars.venue.removeprefix("ccxt:")
    if gap["kind"] == "bars":
        length = format_duration(parse_duration(plan.config.market.interval))
        if _quote_and_interval(gap)[1] != length:
            return ""
        if gap["origin"] == venue and "bars" in names:
            return "bars"
        return "dumps" if gap["origin"] == "binance" else ""
    return SOURCE_OF.get(gap["origin"], "")


def _quote_and_interval(gap: dict[str, Any]) -> tuple[str, str]:
    """Return what a gap of bars is named after its symbol: `BTC/USDT 1h`."""
    quote, _, interval = gap["series"].partition("/")[2].partition(" ")
    return quote, interval


def _stretch(gap: dict[str, Any]) -> tuple[Any, ...]:
    """Return what one question covers: all metrics of an asset come together."""
    quote = _quote_and_interval(gap)[0] if gap["kind"] == "bars" else ""
    return gap["origin"], gap["symbol"], quote, gap["since"], gap["until"]


def _for(plan: Plan, gap: dict[str, Any]) -> Plan:
    """Return a plan for one stretch of one asset."""
    config = plan.config
    if gap["symbol"] != MARKET_SYMBOL:
        asked: dict[str, Any] = {"symbols": (gap["symbol"],)}
        if gap["kind"] == "bars":
            asked["quote"] = {gap["symbol"]: _quote_and_interval(gap)[0]}
        market = config.market.model_copy(update=asked)
        config = config.model_copy(update={"market": market})
    # What stands at the end of its period is, for the last missing one, a step later.
    later = timedelta(days=1) if gap["origin"] in STAMPED_AT_END else timedelta()
    until = gap["until"] + later
    return replace(plan, config=config, since=gap["since"], until=until)
