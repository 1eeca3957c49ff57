"""The collector of bars: the venue that the config names."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from moodtape.ingest.base import Collector, Tools

EXCHANGES = "ccxt:"


def collector(tools: Tools) -> Collector:
    """Return the collector of the venue of `bars.venue`; each is loaded only when it is used."""
    venue = tools.config.bars.venue
    module = "exchanges" if venue.startswith(EXCHANGES) else venue
    return cast(Collector, import_module(f"moodtape.ingest.{module}").collector(tools))
