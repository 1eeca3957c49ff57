"""The audit: nothing at or before a cut may change when everything known after it does.

    1. copy       storage/perturb.py   the rows that the study can see, into memory; hours made
    2. base       line.py              the study's own functions: dataset, folds, forecasts
    3. answers    cells.py             a fold uses only answers known when it is put to use
    4. future     storage/perturb.py   for every cut: change, add, delete; hours made again
    5. compare    line.py, cells.py    the same functions once more, bit for bit
    6. distance   here                 later and later cuts, to see how far an offender looked

Placebo arms and planted ones, of tone and of counts, are made from the whole span by design, so
they are no part of this.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from moodtape.audit.cells import Change, Stage, late_answers
from moodtape.audit.line import Line, open_line
from moodtape.audit.result import AuditResult, Offender
from moodtape.clock import from_datetime64, iso
from moodtape.config import Config
from moodtape.forecaster.dataset import Request
from moodtape.forecaster.forecasters import FitPredict
from moodtape.forecaster.seeds import generator
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules

DEFAULT_CUTS = 3
SHORTEST_LOOK = timedelta(minutes=1)
LOOK_STEPS = 6
MINUTE = timedelta(minutes=1)

Progress = Callable[[str], None]
Found = dict[str, tuple[Stage, Offender]]


def audit(
    warehouse: Warehouse,
    config: Config,
    request: Request,
    rules: HourRules,
    workdir: Path,
    cuts: int | Sequence[datetime] = DEFAULT_CUTS,
    fit_predict: FitPredict | None = None,
    progress: Progress | None = None,
    last: Stage = Stage.FORECASTS,
) -> AuditResult:
    """Change what became known after each cut and require that nothing before it changes.

    Args:
        request: the study's. Span and columns that it leaves open are fixed to those found.
        rules: how texts count in their hour, as in the warehouse.
        workdir: where rows go that do not fit into memory; they vanish with the audit.
        cuts: instants, or how many to draw among the study's decisions, seeded by the config.
        fit_predict: the network; None leaves it out. Fits of network and boosting are dear,
            so they are audited on the newest fold that has begun by a cut; the linear
            forecaster on every one.
        progress: told what is being done.
        last: how far to follow the line.
    Raises:
        DataMissing: there are no bars, or too few decisions for the folds.
    """
    tell = progress or (lambda _: None)
    workdir.mkdir(parents=True, exist_ok=True)
    tell("audit: the line as it is")
    with (
        tempfile.TemporaryDirectory(prefix="audit-", dir=workdir) as spill,
        open_line(warehouse, config, request, rules, fit_predict, Path(spill)) as line,
    ):
        instants = _draw_cuts(line, cuts) if isinstance(cuts, int) else tuple(cuts)
        found, checked = _late_answers(line) if last >= Stage.FOLDS else ({}, 0)
        for number, cut in enumerate(instants, start=1):
            tell(f"audit: another future after {iso(cut)} ({number} of {len(instants)})")
            changed, count = line.compare(cut, cut, last)
            checked += count
            new: dict[str, Change] = {}
            for change in sorted(changed, key=lambda change: (change.stage, change.row_time)):
                if change.key not in found:
                    new.setdefault(change.key, change)
            if new:
                tell(f"audit: how far ahead did {next(iter(new))} look?")
                found |= _measured(line, cut, list(new.values()))
    ordered = sorted(found.values(), key=lambda item: (item[0], item[1].row_time))
    return AuditResult(checked, instants, tuple(offender for _, offender in ordered))


def _draw_cuts(line: Line, count: int) -> tuple[datetime, ...]:
    """Return decision times spread over the study, at least half of them among the tested ones.

    A cut among the tested decisions has folds, scalers and forecasts before it.
    """
    rng = generator(line.config.seed, "audit cuts")
    decisions = np.unique(
        line.dataset.decision_time[line.dataset.decisions(line.config.network.lookback_bars)]
    )[1:]
    tested = decisions > min(fold.test_from for fold in line.folds)
    late = math.ceil(count / 2)
    drawn: list[datetime] = []
    for times, share in ((decisions[~tested], count - late), (decisions[tested], late)):
        for part in np.array_split(times, max(1, min(share, len(times)))):
            if share and len(part):
                drawn.append(from_datetime64(rng.choice(part)))
    return tuple(drawn)


def _late_answers(line: Line) -> tuple[Found, int]:
    """Return the answers that folds use before they are known, and how many were looked at."""
    found: Found = {}
    checked = 0
    for fold in line.folds:
        late, count = late_answers(line.dataset, fold)
        checked += count
        for change, known_at in late:
            ahead = (known_at - change.row_time).astype("timedelta64[us]").item()
            found[change.key] = (change.stage, _offender(line, change, ahead))
    return found, checked


def _measured(line: Line, cut: datetime, new: Sequence[Change]) -> Found:
    """Return offenders with how far they looked ahead, as far as a few later cuts tell.

    The cuts home in on the first offender, by equal ratios; the others get what these cuts
    happen to show of them.

    Args:
        new: in the order of the line.
    """
    first = new[0]
    seen = dict.fromkeys((change.column for change in new), cut)
    low = SHORTEST_LOOK
    high = from_datetime64(line.dataset.cutoff.max()) - cut
    for _ in range(LOOK_STEPS if high > low else 0):
        middle = low * math.sqrt(high / low)
        changed, _ = line.compare(cut + middle, cut, first.stage)
        rows = {change.column: change.rows for change in changed}
        for change in new:
            if change.row in rows.get(change.column, ()):
                seen[change.column] = max(seen[change.column], cut + middle)
        low, high = (middle, high) if seen[first.column] == cut + middle else (low, middle)
    return {
        change.key: (
            change.stage,
            _offender(line, change, seen[change.column] - from_datetime64(change.row_time)),
        )
        for change in new
    }


def _offender(line: Line, change: Change, ahead: timedelta) -> Offender:
    """Return a change as people read it: look-ahead in whole minutes, or hours from a day on."""
    name = change.column
    if change.row >= 0 and len(line.dataset.symbols) > 1:
        name = f"{line.dataset.symbols[line.dataset.symbol[change.row]]} {name}"
    unit = MINUTE if ahead < timedelta(days=1) else timedelta(hours=1)
    whole = ahead // unit * unit
    return Offender(name, from_datetime64(change.row_time), whole or None)
