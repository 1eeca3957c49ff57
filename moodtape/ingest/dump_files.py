"""Which files of bars there are, and which of them were read.

One for each month that is over, and one for each day. A file is known by its checksum.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

DAY = timedelta(days=1)
KEPT_DIGITS = 16
"""Of a checksum in the cursor: enough to see that it is another."""

_CHECKSUM = re.compile(rb"\s*([0-9a-fA-F]{64}) [ *](\S{1,100})\s*")


@dataclass(frozen=True)
class Stretch:
    """The month or day that one file covers."""

    start: datetime
    end: datetime

    @property
    def is_month(self) -> bool:
        """Say whether it is a month."""
        return self.end - self.start > DAY

    @property
    def key(self) -> str:
        """Return what it is called in the name of its file: `2025-01` or `2025-01-31`."""
        return f"{self.start:%Y-%m}" if self.is_month else f"{self.start:%Y-%m-%d}"

    def days(self) -> list[Stretch]:
        """Return the days of a month."""
        count = (self.end - self.start) // DAY
        return [Stretch(self.start + n * DAY, self.start + (n + 1) * DAY) for n in range(count)]


@dataclass
class Place:
    """How far a pair was read.

    since: the first month of runs without bounds.
    files: the checksum of each file that is stored whole, by its key; empty: it is not there.
    """

    since: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def begin(self, first: datetime) -> datetime:
        """Return the first month that a run without bounds looks at; it never moves on."""
        self.since = min(self.since or f"{first:%Y-%m}", f"{first:%Y-%m}")
        return datetime.fromisoformat(f"{self.since}-01T00:00+00:00")

    def note(self, stretch: Stretch, checksum: str) -> None:
        """Note a file that is stored whole; a month's takes the place of its days'."""
        if stretch.is_month:
            days = [key for key in self.files if key.startswith(f"{stretch.key}-")]
            for key in days:
                del self.files[key]
        self.files[stretch.key] = checksum[:KEPT_DIGITS]

    def has(self, stretch: Stretch, checksum: str) -> bool:
        """Say whether a file is stored with this checksum."""
        return self.files.get(stretch.key) == checksum[:KEPT_DIGITS]


def read_places(cursor: str | None) -> dict[str, Place]:
    """Return the place of each pair."""
    return {name: Place(**told) for name, told in json.loads(cursor or "{}").items()}


def tell_places(places: Mapping[str, Place]) -> str:
    """Return places as a cursor."""
    return json.dumps({name: asdict(place) for name, place in places.items()})


def months_between(since: datetime, until: datetime) -> list[Stretch]:
    """Return the months that meet a stretch of time.

    >>> from datetime import UTC
    >>> [m.key for m in months_between(datetime(2024, 12, 31, tzinfo=UTC),
    ...                                datetime(2025, 2, 1, tzinfo=UTC))]
    ['2024-12', '2025-01']
    """
    first, months = month_of(since), []
    while first < until:
        after = month_of(first + 31 * DAY)
        months.append(Stretch(first, after))
        first = after
    return months


def month_of(instant: datetime) -> datetime:
    """Return the start of the month of an instant."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def read_checksum(body: bytes, name: str) -> str | None:
    """Return the checksum that a `.CHECKSUM` file states; None if it is not of the file `name`."""
    found = _CHECKSUM.fullmatch(body)
    if found is None or found[2] != name.encode():
        return None
    return found[1].decode().lower()
