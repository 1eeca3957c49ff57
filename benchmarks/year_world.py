"""The market, the newspaper and the plan of `bench_year.py`: what is run when, and what goes wrong.

Both years have the same: bars that are corrected or come late, texts that are seen late, ticks on
some days. Only the year with faults has sources that do not answer, and kills.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from bench_kill_nights import world_module

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
SETTINGS = {"nightly.at": "00:10", "bars.overlap_bars": 36}
FEED, BARS = "/feed", "/api/v3/klines"
OUTAGE_SHARE, DAY_WITH_TICKS = 0.05, 15

worlds: Any = world_module()
Moment = tuple[str, datetime]
Outages = dict[datetime, set[str]]


@dataclass
class SparseWorld(worlds.World):  # type: ignore[misc]  # loaded by its path
    """A text every eight hours, one in ten seen late; bars that are corrected or come late.

    held: from when on a bar, by its open, is shown at all.
    """

    held: dict[datetime, datetime] = field(default_factory=dict)

    def _klines(self, query: dict[str, str]) -> list[list[Any]]:
        held = {int(o.timestamp() * 1000) for o, since in self.held.items() if self.now < since}
        return [row for row in super()._klines(query) if row[0] not in held]

    def _feed(self) -> bytes:
        items = ""
        last = (self.now - 10 * MINUTE - worlds.START) // (8 * HOUR)
        for number in range(last, last - 30, -1):
            published = worlds.START + 8 * number * HOUR + 10 * MINUTE
            if number % 10 == 3 and self.now < published + 2 * DAY:
                continue
            title = f"{worlds.WORDS[number % 3]}, says report {number}"
            items += (
                f"<item><guid>n{number}</guid><title>{title}</title>"
                f"<pubDate>{format_datetime(published)}</pubDate></item>"
            )
        return f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()


def moments(nights: int) -> list[Moment]:
    """Return what is run when: a night a day, and three ticks on some days."""
    found = []
    for number in range(nights):
        day = worlds.START + (number + 1) * DAY
        has_ticks = number % DAY_WITH_TICKS == 0
        if has_ticks:
            found.append(("tick", day + 3 * MINUTE))
        found.append(("nightly", day + 10 * MINUTE))
        if has_ticks:
            found += [("tick", day + hour * HOUR + 3 * MINUTE) for hour in (8, 16)]
    return found


def outages(plan: Sequence[Moment], seed: int) -> Outages:
    """Return which sources are down when; all answer the last run, so that everything comes in."""
    dice, last = random.Random(seed), plan[-1][1]
    return {
        now: {path for path in (FEED, BARS) if dice.random() < OUTAGE_SHARE and now < last}
        for _, now in plan
    }


def let_bars_change(
    world: SparseWorld, plan: Sequence[Moment], down: Mapping[datetime, set[str]]
) -> None:
    """Let a bar a week be corrected and another come a day and a half late, both years the same.

    Not near a run that the market does not answer: a correction that is seen later is known
    later, and a hole that closes unseen was none. A hole before a tick would leave it nothing to
    forecast from.
    """
    unseen = [now for now, paths in down.items() if BARS in paths]
    with_ticks = {now.date() for rhythm, now in plan if rhythm == "tick"}
    nights = [now.replace(hour=0, minute=0) for rhythm, now in plan if rhythm == "nightly"]
    for number, day in enumerate(nights):
        if any(day - DAY < at < day + 4 * DAY for at in unseen) or day.date() in with_ticks:
            continue
        if number % 7 == 3:
            world.restated[day + 10 * HOUR] = (day + 36 * HOUR, 101.5)
        if number % 7 == 6:
            world.held[day + 12 * HOUR] = day + 36 * HOUR


def first_hours(world: SparseWorld) -> None:
    """Live until 03:03 of the first day: bars, texts and a model."""
    world.now += 3 * HOUR + 3 * MINUTE
    world.run("tick", **SETTINGS)
    world.serve_model(world.now - 2 * HOUR)
