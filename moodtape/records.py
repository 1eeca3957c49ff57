"""Frozen values that cross rooms, and the columns that rows are stored under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Source = Literal["news", "reddit", "x"]
TEXT_SOURCES: tuple[Source, ...] = ("news", "reddit", "x")

MARKET_SYMBOL = "MARKET"
"""Reserved symbol of texts about no coin in particular; they reach every symbol."""

UNKNOWN_KIND = "unknown"
"""Kind of a text that no classifier has read yet."""

SCALE = 1_000_000
"""Probabilities are stored as whole millionths, so that sums are exact in any order."""


@dataclass(frozen=True)
class Bar:
    """A price bar that is over, as a source gave it; it is known at its close.

    open_time: aware, on the grid of the interval. symbol: the asset, never a pair.
    """

    symbol: str
    venue: str
    quote: str
    interval: str
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    quote_volume: float | None = None
    trades: int | None = None
    taker_buy_volume: float | None = None

    @property
    def place(self) -> str:
        """Return what stands for it in the quarantine."""
        return f"{self.symbol} {self.interval} {self.open_time:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True)
class Metric:
    """A value of one period, as a source gave it.

    completed_at: when the source finished it, if it says so; else it is known at the
        period's end plus the provider's lag (`ingest/data/providers.toml`).
    """

    provider: str
    symbol: str
    metric: str
    period_start: datetime
    period_end: datetime
    value: float
    completed_at: datetime | None = None

    @property
    def place(self) -> str:
        """Return what stands for it in the quarantine."""
        return f"{self.symbol} {self.metric} {self.period_start:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True)
class Document:
    """A text, as a source gave it; it is known when it was fetched.

    document_id: its identity at the source, the same at every poll.
    symbol: assets it is declared to be about, with `|` between them; empty: told by name.
    """

    source: Source
    collection: str
    document_id: str
    published_at: datetime
    fetched_at: datetime
    title: str = ""
    body: str = ""
    outlet: str = ""
    url: str = ""
    author: str = ""
    categories: str = ""
    symbol: str = ""

    @property
    def place(self) -> str:
        """Return what stands for it in the quarantine."""
        return self.document_id


Row = Bar | Metric | Document

PollState = Literal["ok", "empty", "capped", "down", "refused", "unreadable"]
GOOD_POLLS: tuple[PollState, ...] = ("ok", "empty")
"""After these, an hour without a text is an hour without a text."""


@dataclass(frozen=True)
class Poll:
    """How one question to a source ended.

    stream: what was asked: a feed, a pair, an asset.
    state: ok, or empty: nothing new. capped: more may have come than the source shows.
        down: no answer. refused: an answer that is none. unreadable: an answer cut or garbled.
    """

    stream: str
    state: PollState
    polled_at: datetime
    items: int = 0
    detail: str = ""


@dataclass(frozen=True)
class ImportCounts:
    """What happened to the rows of one file or source."""

    new: int = 0
    known: int = 0
    corrected: int = 0
    quarantined: int = 0
    duplicate_in_file: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: ImportCounts) -> ImportCounts:
        reasons = dict(self.reasons)
        for reason, count in other.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
        return ImportCounts(
            self.new + other.new,
            self.known + other.known,
            self.corrected + other.corrected,
            self.quarantined + other.quarantined,
            self.duplicate_in_file + other.duplicate_in_file,
            reasons,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the counts under the names that `--json` promises."""
        return {
            "new": self.new,
            "known": self.known,
            "corrected": self.corrected,
            "quarantined": self.quarantined,
            "duplicate_in_file": self.duplicate_in_file,
            "reasons": dict(self.reasons),
        }


@dataclass(frozen=True)
class Span:
    """A half-open stretch of time `[since, until)`, both aware."""

    since: datetime
    until: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.since <= instant < self.until
