"""A clock that is years wrong: nothing is entered, and nothing is lost when it is right again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from moodtape.errors import ClockInDoubt
from moodtape.ingest.polite import Timing
from moodtape.nightly.run import Order, RhythmResult, run_rhythm
from moodtape.settings import load_settings
from moodtape.storage.sums import table_sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.nightly.conftest import World

DAY, YEAR = timedelta(days=1), timedelta(days=365)
MARKET = (
    "SELECT open_time, close, known_at FROM bar ORDER BY ALL",
    "SELECT document_id, title, known_at FROM document ORDER BY ALL",
    "SELECT cutoff, mean, p_up, late FROM forecast ORDER BY ALL",
    "SELECT cutoff, state, log_return FROM settlement ORDER BY ALL",
    "SELECT night, word FROM drift ORDER BY ALL",
)


def run_at(world: World, rhythm: Any, at: datetime) -> RhythmResult:
    """Run a rhythm on a machine whose clock says something else than the market's."""
    timing = Timing(sleep=lambda s: None, monotonic=lambda: 0.0, now=lambda: at)
    settings = load_settings(world.folder, environ={})
    return run_rhythm(settings, rhythm, Order(), lambda: at, timing)


def stored(world: World) -> list[list[Any]]:
    with world.warehouse.read() as connection:
        return [connection.execute(sql).fetchall() for sql in MARKET]


def files(world: World) -> set[str]:
    """Return what is there but logs and locks."""
    found = {str(path.relative_to(world.folder)) for path in world.folder.rglob("*")}
    return {name for name in found if not name.startswith(("logs", ".moodtape"))}


@pytest.mark.parametrize("off", [10 * YEAR, 3 * DAY, -10 * YEAR], ids=str)
def test_runs_under_a_wrong_date_enter_nothing_and_lose_nothing(
    make_ready: Callable[..., World], off: timedelta
) -> None:
    calm, wrong = make_ready("calm"), make_ready("wrong")
    for world in (calm, wrong):
        world.says_time = True
        world.run("tick")
    with wrong.warehouse.read() as connection:
        before = table_sums(connection), files(wrong)
    for rhythm in ("tick", "nightly"):
        with pytest.raises(ClockInDoubt, match=r"The last run was at 2026-03-01 04:03Z, this") as e:
            run_at(wrong, rhythm, wrong.now + off)
        assert f"says that it is {wrong.now + off:%Y-%m-%d %H:%M}Z, and no source" in str(e.value)
        assert "/feed says it is 2026-03-01 04:03Z" in str(e.value) or "klines says" in str(e.value)
        assert "timedatectl set-ntp true" in str(e.value)
        assert e.value.exit_code == 5
    with wrong.warehouse.read() as connection:
        assert (table_sums(connection), files(wrong)) == before, "nothing was entered"
    for world in (calm, wrong):
        world.now = world.now.replace(hour=0, minute=20) + DAY
        assert world.run("nightly").exit_code == 0
    assert stored(wrong) == stored(calm)


def test_a_machine_that_was_off_goes_on_when_a_source_answers(ready: World) -> None:
    ready.now = ready.now.replace(hour=0, minute=20) + DAY
    assert ready.run("nightly").exit_code == 0
    ready.now += 5 * DAY
    ready.down = {"/feed", "/api/v3/klines"}
    with pytest.raises(ClockInDoubt, match=r"no source confirms it \(bars .* answered 503"):
        ready.run("nightly")
    ready.down = {"/feed"}
    result = ready.run("nightly")
    assert (result.exit_code, len(result.missed)) == (5, 4)


def test_nights_that_are_made_up_for_are_bounded(ready: World) -> None:
    ready.now = ready.now.replace(hour=0, minute=20) + DAY
    first = ready.run("nightly").slot
    ready.now += 1000 * DAY
    dry = run_rhythm(
        load_settings(ready.folder, (), {"nightly.catch_up_days": 3}, environ={}),
        "nightly", Order(dry_run=True), lambda: ready.now,
    )  # fmt: skip
    assert dry.missed == tuple(first + n * DAY for n in (997, 998, 999))
