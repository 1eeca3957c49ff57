"""Whether our clock is that of who answers: every row's `known_at` rests on it."""

from __future__ import annotations

from datetime import datetime, timedelta

import requests

from moodtape.clock import iso
from moodtape.errors import ClockInDoubt
from moodtape.ingest.hosts import place_of
from moodtape.ingest.retry import http_date

CLOCKS_APART = timedelta(days=1)
"""A provider's clock may be hours behind ours: what is over is told by its own."""


def require_same_time(response: requests.Response, now: datetime) -> None:
    """Make sure that an answer's own time, where it states one, is within a day of ours.

    A copy that was kept on its way says in `Age` for how many seconds.

    Raises:
        ClockInDoubt: one of the two clocks is wrong.
    """
    stated = http_date(response.headers.get("date"))
    if stated is None:
        return
    age = response.headers.get("age", "")
    if age.isascii() and age.isdigit() and len(age) < len("1000000000"):
        stated += timedelta(seconds=int(age))
    if abs(now - stated) > CLOCKS_APART:
        theirs, ours = (iso(at.replace(microsecond=0)) for at in (stated, now))
        raise ClockInDoubt(
            f"{place_of(response.url)} says it is {theirs}, this machine says {ours}; nothing of"
            " its answer was kept. Set this machine's clock (timedatectl set-ntp true), or leave"
            " the source out if its clock is the wrong one."
        )
