"""Runs a rhythm: its steps in order, each recorded; one that fails stops no other.

1. slot      which hour or night it is for
2. lock      one run of a rhythm at a time; steps of both take turns
3. clock     a time far from the last run's has to be confirmed by a source
4. resume    at the first step of the slot that is not done; nothing where all are
5. steps     each within its time, entered when it begins and when it ends
6. tell      log, figures and webhook (`seen.py`), the heartbeat file, and an exit code
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape import __version__
from moodtape.clock import utc_now
from moodtape.errors import MoodtapeError, UsageError, WarehouseLocked, did_you_mean
from moodtape.ingest.hosts import without_keys
from moodtape.nightly.doubt import require_right_clock
from moodtape.nightly.journal import Journal
from moodtape.nightly.limit import time_limit
from moodtape.nightly.seen import Seen
from moodtape.nightly.slots import hour_of, night_of, nights_between
from moodtape.nightly.steps import LONG, NIGHTLY, TICK, Did, Moment, Step
from moodtape.nightly.turns import run_lock, step_lock
from moodtape.nightly.webhook import Outcome
from moodtape.settings import Settings
from moodtape.storage.db import room_at
from moodtape.storage.steps import (
    OVER,
    Rhythm,
    StepState,
    begin_step,
    finish_step,
    last_slot,
    last_states,
)
from moodtape.storage.write import new_run_id
from moodtape.study.project import warehouse_of

if TYPE_CHECKING:
    from moodtape.ingest.polite import Timing

STEPS: Mapping[Rhythm, Mapping[str, Step]] = {"tick": TICK, "nightly": NIGHTLY}


@dataclass(frozen=True)
class Order:
    """What is asked of a rhythm besides its settings.

    only: this step alone. from_step: this one and those after it. Both do what was done before.
    """

    only: str | None = None
    from_step: str | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class StepResult:
    """How a step ended."""

    step: str
    state: StepState
    seconds: float
    counts: Mapping[str, Any]
    error: str | None = None
    exit_code: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class RhythmResult:
    """What a run of a rhythm came to.

    todo: the steps it had to do; empty where the slot was done before.
    missed: nights before this one that nobody ran; this run makes up for them.
    warnings: who could not be told of it.
    """

    rhythm: Rhythm
    slot: datetime
    todo: tuple[str, ...]
    steps: tuple[StepResult, ...]
    missed: tuple[datetime, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return that of the first step that failed on our side, else of a source, else 0."""
        codes = [s.exit_code for s in self.steps if s.exit_code]
        return next((c for c in codes if c != SOURCES_FAILED), codes[0] if codes else 0)

    def as_dict(self) -> dict[str, Any]:
        """Return what `--json` and the heartbeat hold."""
        return {
            "rhythm": self.rhythm,
            "slot": self.slot,
            "todo": self.todo,
            "missed": self.missed,
            "exit_code": self.exit_code,
            "warnings": self.warnings,
            "steps": [asdict(step) for step in self.steps],
        }


SOURCES_FAILED = 5


def run_rhythm(
    settings: Settings,
    rhythm: Rhythm,
    order: Order = Order(),
    clock: Callable[[], datetime] = utc_now,
    timing: Timing | None = None,
    tell: Callable[[int, int, str], None] | None = None,
) -> RhythmResult:
    """Do what is due of a rhythm and return what came of it.

    Raises:
        UsageError: there is no such step.
        ClockInDoubt: the last run is far away, and no source confirms the time.
        WarehouseLocked: another run of it is going on.
    """
    every = tuple(STEPS[rhythm])
    for name in (order.only, order.from_step):
        if name is not None and name not in every:
            raise UsageError(
                f"{rhythm} has no step {name!r}.{did_you_mean(name, every)}"
                f" Its steps are: {', '.join(every)}."
            )
    moment = Moment(settings, _slot(settings, rhythm, clock()), clock, timing, tell)
    if order.dry_run:
        return _planned(moment, rhythm, order)
    run_id = new_run_id(clock())
    about = {"rhythm": rhythm, "slot": moment.slot, "run_id": run_id}
    seen = Seen(settings, Journal(settings, clock, about), timing)
    try:
        with room_at(settings.folder), run_lock(settings, rhythm):
            require_right_clock(settings, clock(), timing)
            planned = _planned(moment, rhythm, order)
            if not planned.todo:
                return planned
            moment = replace(moment, missed=planned.missed)
            seen.journal.note("run began", todo=planned.todo, missed=planned.missed)
            result = replace(planned, steps=_run_steps(moment, rhythm, planned.todo, run_id, seen))
            result = replace(result, warnings=seen.ended(_outcome(result, run_id)))
            beat(settings, result, clock())
            return result
    except Exception as exc:
        code = exc.exit_code if isinstance(exc, MoodtapeError) else 1
        kind, why = type(exc).__name__, without_keys(str(exc))
        seen.broke_off(Outcome(rhythm, moment.slot, run_id, code, (kind,), (why,)), exc)
        raise


def _outcome(result: RhythmResult, run_id: str) -> Outcome:
    bad = [step for step in result.steps if step.exit_code]
    problems = [f"{step.step} ({step.state}): {p}" for step in bad for p in step.problems]
    signs = tuple(f"{step.step} {step.state}" for step in bad)
    return Outcome(result.rhythm, result.slot, run_id, result.exit_code, signs, tuple(problems))


def _slot(settings: Settings, rhythm: Rhythm, now: datetime) -> datetime:
    return hour_of(now) if rhythm == "tick" else night_of(now, settings.config.nightly.at)


def _planned(moment: Moment, rhythm: Rhythm, order: Order) -> RhythmResult:
    """Return what is to be done, from what the warehouse says was done."""
    every = tuple(STEPS[rhythm])
    states: Mapping[str, str] = {}
    missed: list[datetime] = []
    warehouse = warehouse_of(moment.settings)
    if warehouse.path.exists():
        with warehouse.read() as connection:
            states = last_states(connection, rhythm, moment.slot)
            if rhythm == "nightly":
                last = last_slot(connection, rhythm, every[-1], moment.slot)
                days = timedelta(days=moment.settings.config.nightly.catch_up_days)
                missed = nights_between(last, moment.slot, days)
    if order.only is not None:
        todo: tuple[str, ...] = (order.only,)
    elif order.from_step is not None:
        todo = every[every.index(order.from_step) :]
    else:
        open_steps = [i for i, name in enumerate(every) if states.get(name) not in OVER]
        todo = every[open_steps[0] :] if open_steps else ()
    return RhythmResult(rhythm, moment.slot, todo, (), tuple(missed))


def _run_steps(
    moment: Moment, rhythm: Rhythm, todo: Sequence[str], run_id: str, seen: Seen
) -> tuple[StepResult, ...]:
    results = []
    for number, name in enumerate(todo):
        if moment.tell is not None:
            moment.tell(number, len(todo), name)
        with ExitStack() as held:
            if name not in LONG:
                held.enter_context(step_lock(moment.settings))
            seen.journal.note("step began", step=name)
            results.append(_run_step(moment, rhythm, name, run_id))
        did = results[-1]
        seen.step_ended(
            name, did.state, did.problems, seconds=did.seconds, counts=did.counts, message=did.error
        )
    return tuple(results)


def _run_step(moment: Moment, rhythm: Rhythm, name: str, run_id: str) -> StepResult:
    """Run a step within its time and record it; what it raises becomes its state."""
    settings, warehouse = moment.settings, warehouse_of(moment.settings)
    with warehouse.write() as connection:
        attempt = begin_step(connection, rhythm, moment.slot, name, run_id, moment.clock())
    nightly = settings.config.nightly
    setting = "train_limit_min" if name in LONG else "step_limit_min"
    started = time.monotonic()
    try:
        with time_limit(getattr(nightly, setting), f"nightly.{setting}"):
            did = STEPS[rhythm][name](moment)
    except WarehouseLocked:
        raise
    except MoodtapeError as exc:
        did = Did(state="failed", error=exc)
    except Exception as exc:  # noqa: BLE001  a mistake in one step stops no other; it is told
        if os.environ.get("MOODTAPE_DEBUG"):
            traceback.print_exception(exc)
        did = Did(state="failed", why=f"Unexpected failure: {type(exc).__name__}: {exc}")
    seconds = round(time.monotonic() - started, 3)
    error = str(did.error) if did.error is not None else did.why
    error = None if error is None else without_keys(error)
    with warehouse.write() as connection:
        finish_step(
            connection, rhythm, moment.slot, name, attempt, did.state, did.counts, error,
            seconds, moment.clock(),
        )  # fmt: skip
    code = did.error.exit_code if did.error is not None else int(did.state == "failed")
    problems = did.problems or ((error,) if error is not None and code else ())
    problems = tuple(without_keys(problem) for problem in problems)
    return StepResult(name, did.state, seconds, did.counts, error, code, problems)


def beat(settings: Settings, result: RhythmResult, now: datetime) -> None:
    """Write the heartbeat: what ran last, when, and how it ended, for whoever watches files."""
    from moodtape.forecaster.runs import write_json

    path = heartbeat_of(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        path,
        {"schema_version": 1, "version": __version__, "finished_at": now, **result.as_dict()},
    )


def heartbeat_of(settings: Settings) -> Path:
    """Return where the heartbeat is written."""
    return settings.folder / "heartbeat.json"
