"""Whether this machine's clock can be believed, before a run enters anything.

A run far from the last one is that of a machine that was off, or of a clock that is wrong: then
forecasts would be void since their bars never came, texts known years from now, and a model so
new that it may forecast nothing. Answers of sources tell: they carry the time (`our_clock.py`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moodtape.clock import iso
from moodtape.errors import ClockInDoubt
from moodtape.settings import Settings
from moodtape.storage.steps import last_step
from moodtape.study.project import warehouse_of

if TYPE_CHECKING:
    from moodtape.ingest.polite import Timing

FAR = timedelta(days=2)
"""Less than it takes until a forecast without bars is void."""


def require_right_clock(settings: Settings, now: datetime, timing: Timing | None) -> None:
    """Let a source confirm the time where the last run of a rhythm is far away.

    Sources are asked as in a dry run: nothing is stored, and nothing that costs money is asked.
    A project without sources has nobody to ask.

    Raises:
        ClockInDoubt: none of them answered, or each said another time.
    """
    from moodtape.pipeline import ingest
    from moodtape.records import GOOD_POLLS

    warehouse = warehouse_of(settings)
    if not settings.config.ingest.sources or not warehouse.path.exists():
        return
    with warehouse.read() as connection:
        last = last_step(connection)
    if last is None or abs(now - last) <= FAR:
        return
    results = ingest(settings, dry_run=True, timing=timing)
    if any(poll.state in GOOD_POLLS for result in results for poll in result.polls):
        return
    why = next((problem for result in results for problem in result.problems), "none was asked")
    raise ClockInDoubt(
        f"The last run was at {iso(last)}, this machine says that it is {iso(now)}, and no source"
        f" confirms it ({why.rstrip('.')}). Nothing was entered. Set the clock"
        " (timedatectl set-ntp true); if it is right, the next run goes on when a source answers."
    )
