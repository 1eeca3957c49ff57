"""The collector of bars: the venue that the config names."""

from __future__ import annotations

from moodtape.ingest.base import Collector, Tools


def collector(tools: Tools) -> Collector:
    """Return the collector of the venue of `bars.venue`; each is loaded only when it is used."""
    from moodtape.ingest import binance

    return binance.collector(tools)
