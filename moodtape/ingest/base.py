"""What a collector is: something that goes on from a cursor and yields batches of rows.

Three failures are told apart everywhere (`moodtape.errors`): CouldNotAsk, Refused,
CouldNotRead. A collector that asks several streams (feeds, pairs) notes a failure of one as
a `Poll` and goes on; it raises only what stops it whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from moodtape.config import Config
from moodtape.errors import CouldNotAsk, Refused, SourceFailed
from moodtape.ingest.rejects import Rejected
from moodtape.records import Poll, PollState, Row

if TYPE_CHECKING:
    import pandas as pd

    from moodtape.ingest.http import Answer
    from moodtape.storage.db import Warehouse


@dataclass(frozen=True)
class BarTable:
    """Many bars of one series in columns, where a `Bar` for each would take long.

    table: `open_time`, aware, and numbers under the names that they have in a `Bar`.
    """

    symbol: str
    venue: str
    quote: str
    interval: str
    table: pd.DataFrame

    def __len__(self) -> int:
        return len(self.table)

    def place(self, row: int) -> str:
        """Return what stands for a bar in the quarantine; see `Bar.place`."""
        return f"{self.symbol} {self.interval} {self.table['open_time'][row]:%Y-%m-%dT%H:%MZ}"


@dataclass(frozen=True)
class Batch:
    """Rows and the cursor behind them; both are stored in one transaction.

    rows: of any kind, one by one; or the bars of one series in columns.
    cursor: opaque; only its collector reads it.
    polls: questions that were asked since the last batch.
    rejected: items that the collector itself could not use.
    """

    rows: Sequence[Row] | BarTable
    cursor: str
    polls: tuple[Poll, ...] = ()
    rejected: tuple[Rejected, ...] = ()


class Collector(Protocol):
    """A source of rows. Overlap with what is stored is welcome: keys take care of it.

    A collector of texts may also have `covers`, the source and collection of its texts: then
    its polls say in which hours there was no text.
    """

    name: str
    """Also the key of its cursor."""

    def collect(self, cursor: str | None, now: datetime) -> Iterator[Batch]:
        """Yield what came since the cursor, oldest first; None means from the beginning."""


class Door(Protocol):
    """The network as a collector sees it; a recording of it is one, too."""

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer to one question, after retries.

        Raises:
            CouldNotAsk, Refused, CouldNotRead: see `moodtape.errors`.
        """

    def post(self, url: str, body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """Return the answer to a login; what it says is not kept.

        Raises:
            CouldNotAsk, Refused, CouldNotRead: see `moodtape.errors`.
        """

    def now(self) -> datetime:
        """Return the time: that of the last answer, once there is one."""


@dataclass(frozen=True)
class Question:
    """What is asked by `Door.get`."""

    url: str
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None


def ask_all(door: Door, questions: Sequence[Question]) -> Iterator[Answer | SourceFailed]:
    """Yield the answer to each question, or why there is none, in their order.

    A door that has `get_all` asks different hosts at the same time; others, one by one.
    """
    together = getattr(door, "get_all", None)
    if together is not None:
        yield from together(questions)
        return
    for question in questions:
        try:
            yield door.get(question.url, question.params, question.headers)
        except SourceFailed as failure:
            yield failure


@dataclass(frozen=True)
class Tools:
    """What a collector is made with.

    http: the one door to the network.
    folder: of the project.
    since, until: bounds that the user set; None: from the cursor, to now.
    settings: what `[ingest.plugin.NAME]` says.
    ledger: where calls that cost money are entered; None where none is made.
    dry_run: nothing is stored; a call that costs money is not made.
    """

    config: Config
    http: Door
    folder: Path
    since: datetime | None = None
    until: datetime | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    ledger: Warehouse | None = None
    dry_run: bool = False


def failed_poll(stream: str, failure: SourceFailed, polled_at: datetime) -> Poll:
    """Return the poll of a stream that failed."""
    state: PollState = "unreadable"
    if isinstance(failure, CouldNotAsk):
        state = "down"
    elif isinstance(failure, Refused):
        state = "refused"
    return Poll(stream, state, polled_at, 0, str(failure))
