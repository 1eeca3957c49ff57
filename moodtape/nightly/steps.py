"""The steps of both rhythms. Each may run twice, and says what it did in a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from moodtape.errors import DataStale, MoodtapeError, SourceFailed
from moodtape.settings import Settings
from moodtape.storage.steps import StepState

if TYPE_CHECKING:
    from moodtape.ingest.polite import Timing


@dataclass(frozen=True)
class Moment:
    """What a step runs with.

    slot: the hour or the night that it is for. clock: what time it is.
    missed: nights before it that nobody ran.
    timing: of the network; the machine's own where None.
    """

    settings: Settings
    slot: datetime
    clock: Callable[[], datetime]
    timing: Timing | None = None
    tell: Callable[[int, int, str], None] | None = None
    missed: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class Did:
    """What came of a step.

    error: why it is partial. why: it was skipped. problems: a line for each, where several.
    """

    counts: Mapping[str, Any] = field(default_factory=dict)
    state: StepState = "done"
    error: MoodtapeError | None = None
    why: str | None = None
    problems: tuple[str, ...] = ()


Step = Callable[[Moment], Did]


def ingest(moment: Moment) -> Did:
    """Ask every source of the config; one that fails stops no other."""
    from moodtape.ingest.result import require_all
    from moodtape.pipeline import ingest as ask

    results = ask(moment.settings, progress=moment.tell, timing=moment.timing)
    counts = {r.source: {"state": r.state, "new": r.counts.new} for r in results}
    try:
        require_all(results)
    except SourceFailed as exc:
        problems = tuple(line for result in results for line in result.problems)
        return Did(counts, "partial", exc, problems=problems)
    return Did(counts)


def score(moment: Moment) -> Did:
    """Score every text that has no score."""
    from moodtape.pipeline import score_texts

    summary = score_texts(moment.settings, now=moment.clock())
    return Did({"scored": summary.scored, "hours": summary.hours})


def hours(moment: Moment) -> Did:
    """Bring the hourly series in step with texts and rules that changed by another way."""
    from moodtape.study.project import refresh_hours_if_dirty

    refresh_hours_if_dirty(moment.settings)
    return Did()


def settle(moment: Moment) -> Did:
    """Settle the forecasts whose horizon has passed."""
    from moodtape.forecasts import settle as settle_all

    return Did(settle_all(moment.settings, moment.clock()))


def drift(moment: Moment) -> Did:
    """Look whether inputs or losses have moved, this night and those that were missed."""
    from moodtape.nightly.drift import look_for_drift

    found = look_for_drift(moment.settings, [*moment.missed, moment.slot], moment.clock())
    if found is None:
        return Did(state="skipped", why=NO_MODEL)
    return Did({"word": found["word"], "score": found["score"], "what": found["what"]})


def retrain(moment: Moment) -> Did:
    """Train the next model where one is due, and let it follow when it is no worse."""
    from moodtape.nightly.model import is_training_due
    from moodtape.nightly.succession import train_next

    now = moment.clock()
    if not is_training_due(moment.settings, now):
        return Did(state="skipped", why=NOT_DUE)
    decision = train_next(moment.settings, now, moment.tell)
    return Did({"word": decision.word, "why": decision.why, "model": decision.model})


def forecast(moment: Moment) -> Did:
    """Forecast the newest bar, and those that were missed; write the signal file."""
    from moodtape.nightly.model import forecast_all
    from moodtape.nightly.signal import write_newest

    made = forecast_all(moment.settings, moment.clock())
    if made is None:
        return Did(state="skipped", why=NO_MODEL)
    settle(moment)  # answers of what was made up for, now or by a run that was killed, are known
    signals = write_newest(moment.settings, moment.clock())
    counts = {"forecasts": made.new, "late": made.late, "signals": signals}
    if made.held:
        return Did(counts, "partial", DataStale(" ".join(made.held)), problems=tuple(made.held))
    return Did(counts)


def report(moment: Moment) -> Did:
    """Write the page of this night and of those that were missed."""
    from moodtape.nightly.pages import write_nights

    nights = write_nights(moment.settings, [*moment.missed, moment.slot], moment.clock())
    return Did({"pages": len(moment.missed) + 1, "nights": nights})


def backup(moment: Moment) -> Did:
    """Copy the warehouse, open the copy and compare it."""
    from moodtape.backup import make_backup
    from moodtape.study.project import warehouse_of

    made = make_backup(moment.settings, warehouse_of(moment.settings), moment.clock())
    return Did({"backup": made.name, "rows": made.rows})


NOT_DUE = "not due"
NO_MODEL = "There is no model yet. Run: moodtape train"
TICK: Mapping[str, Step] = {
    "ingest": ingest,
    "score": score,
    "hours": hours,
    "settle": settle,
    "forecast": forecast,
}
NIGHTLY: Mapping[str, Step] = {
    "ingest": ingest,
    "score": score,
    "hours": hours,
    "settle": settle,
    "drift": drift,
    "retrain": retrain,
    "forecast": forecast,
    "report": report,
    "backup": backup,
}
LONG = ("retrain",)
"""Steps that read, close and work: meanwhile the other rhythm may do its own."""
