"""Nights with outages, corrections and crashes end with the rows of nights without a crash."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.nightly.conftest import World

HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
LEDGERS = ("run", "step", "meta", "migration", "host_limit")
"""They tell of tries, and a crash is one more."""
BOOKKEEPING = ("run_id", "settled_at")
"""Who stored a row, and in which of two tries an answer was looked up."""
ADDRESS = re.compile(r'"address": "[0-9a-f]+"')
"""In a feed's cursor; each world has a server of its own."""
CRASHES = (
    ("moodtape.ingest.round", "store_batch"),
    ("moodtape.nlp.score", "store_scores"),
    ("moodtape.study.settling", "store_settlements"),
    ("moodtape.storage.ledger", "store_forecasts"),
    ("moodtape.nightly.run", "finish_step"),
    ("moodtape.nightly.run", "beat"),
)


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_after(place: tuple[str, str]) -> Iterator[None]:
    """Let the first call of a function be the last thing that a run does."""
    module = importlib.import_module(place[0])
    whole = getattr(module, place[1])

    def once(*args: Any, **kwargs: Any) -> Any:
        whole(*args, **kwargs)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, place[1], once)
        yield


def live(world: World, days: int, every_h: int, crashes: bool) -> int:
    """Live through some days; return how many runs were killed."""
    places, killed, begin = cycle(CRASHES), 0, world.now.replace(hour=0, minute=0) + DAY
    world.restated[begin + 10 * HOUR] = (begin + 13 * HOUR, 101.5)
    for hour in range(0, 24 * days, every_h):
        moments = [("tick", begin + hour * HOUR + 3 * MINUTE)]
        if hour % 24 == 0:
            moments.append(("nightly", begin + hour * HOUR + 20 * MINUTE))
        for number, (rhythm, now) in enumerate(moments):
            world.now = now
            world.down = {"/feed"} if hour % 24 == every_h else set()
            if crashes and (hour // every_h + number) % 2:
                killed += _one_killed_run(world, rhythm, next(places))
            world.run(rhythm)
    return killed


def _one_killed_run(world: World, rhythm: str, place: tuple[str, str]) -> int:
    try:
        with killed_after(place):
            world.run(rhythm)
    except Killed:
        return 1
    return 0


def stored(world: World) -> dict[str, list[str]]:
    """Return all rows of every table but the ledgers, without the names of runs and servers."""
    with world.warehouse.read() as connection:
        tables = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY 1"
        ).fetchall()
        return {
            name: [
                ADDRESS.sub("", repr(row)).replace(world.url, "")
                for row in connection.execute(
                    f"SELECT COLUMNS(lambda c: c NOT IN {BOOKKEEPING}) FROM {name} ORDER BY ALL"
                ).fetchall()
            ]
            for (name,) in tables
            if name not in LEDGERS
        }


def compare(make_ready: Callable[..., World], days: int, every_h: int) -> None:
    calm, troubled = make_ready("calm"), make_ready("troubled")
    assert live(calm, days, every_h, crashes=False) == 0
    killed = live(troubled, days, every_h, crashes=True)
    assert killed >= days, "crashes that do not happen prove nothing"
    left, right = stored(calm), stored(troubled)
    assert left.keys() == right.keys()
    for name in left:
        assert left[name] == right[name], name
    with calm.warehouse.read() as connection:
        ((forecasts, late),) = connection.execute(
            "SELECT count(*), count(*) FILTER (late) FROM forecast"
        ).fetchall()
        states = dict(
            connection.execute("SELECT state, count(*) FROM settlement GROUP BY 1").fetchall()
        )
        ((versions, bars),) = connection.execute(
            "SELECT count(*), count(DISTINCT open_time) FROM bar"
        ).fetchall()
    between = 24 * days * (1 - 1 / every_h)
    assert forecasts > late > 0.9 * between, "hours between the runs were made up for"
    assert states == {"settled": forecasts - 1}, "the last one waits"
    assert versions > bars, "a bar was corrected, and the open of the next one with it"


@pytest.mark.slow
def test_nights_with_crashes_end_like_nights_without(make_ready: Callable[..., World]) -> None:
    compare(make_ready, days=2, every_h=12)


@pytest.mark.slow
def test_two_weeks_with_crashes_end_like_two_without(make_ready: Callable[..., World]) -> None:
    compare(make_ready, days=14, every_h=3)
