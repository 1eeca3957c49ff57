"""Which hour a tick is for, which night a nightly run is for, and which nights were missed."""

from __future__ import annotations

from datetime import datetime, timedelta

from moodtape.clock import floor_to

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def hour_of(now: datetime) -> datetime:
    """Return the hour that a tick at this instant is for."""
    return floor_to(now, HOUR)


def night_of(now: datetime, at: str) -> datetime:
    """Return the newest instant, not after now, at which a night begins.

    >>> from moodtape.clock import parse_instant
    >>> night_of(parse_instant("2025-06-02T00:19"), "00:20").isoformat()
    '2025-06-01T00:20:00+00:00'
    """
    hours, minutes = (int(part) for part in at.split(":"))
    after_midnight = timedelta(hours=hours, minutes=minutes)
    return floor_to(now - after_midnight, DAY) + after_midnight


def nights_between(
    last: datetime | None, night: datetime, at_most: timedelta = timedelta.max
) -> list[datetime]:
    """Return the nights after the last one that was done and before this one, oldest first.

    at_most: what lies longer before this one is left out.
    """
    found = []
    while last is not None and (last := last + DAY) < night:
        if night - last <= at_most:
            found.append(last)
    return found
