"""Whether a model's inputs or losses have moved, at a night, from what was known then.

1. inputs   every row of the training span and of the last 14 whole days, as its decision saw it
2. losses   of forecasts made in time and settled by then, since the model came into use
3. say      the largest of all, in units of its threshold, and what it saw
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import from_datetime64, to_datetime64
from moodtape.config import Config
from moodtape.errors import DataMissing, MoodtapeError, UsageError
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.drift.budget import inputs_budget, skill_budgets
from moodtape.forecaster.drift.cusum import FEWEST_DAYS as FEWEST_DAYS_OF_LOSSES
from moodtape.forecaster.drift.cusum import fit_cusum
from moodtape.forecaster.drift.fed import Fed
from moodtape.forecaster.drift.inputs import FEWEST_DAYS, WINDOW_DAYS, Standard, fit_standard
from moodtape.forecaster.drift.losses import Losses, thinned_losses
from moodtape.forecaster.drift.ruler import BINS, day_of
from moodtape.forecaster.loading import load_dataset
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.served import Served
from moodtape.forecaster.stats import FEWEST
from moodtape.records import Span
from moodtape.storage.db import Warehouse
from moodtape.storage.drifts import score_steps
from moodtape.storage.settlements import live_forecasts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rows = NDArray[np.int64]

SHOWN = 3
REFERENCE_DAYS = 180
"""Days of losses before a model came into use that its own are held against."""


@dataclass(frozen=True)
class Seen:
    """What a night's monitors came to.

    score: the largest in units of its threshold, None where nothing can be told yet.
    figures: each monitor of losses, and the largest of the inputs. what: in words.
    """

    score: float | None
    of_losses: bool
    figures: dict[str, float]
    what: str


@dataclass(frozen=True)
class InputWatch:
    """The inputs of one model, ready to be looked at on several nights."""

    dataset: Dataset
    fed: Fed
    standard: Standard
    reference: Rows
    scores: Floats
    streams: tuple[str, ...]
    first: np.datetime64

    @classmethod
    def open(
        cls, warehouse: Warehouse, config: Config, folder: Path, as_of: datetime
    ) -> InputWatch:
        """Read the rows and fit the standard of the training span.

        Raises:
            DataMissing: the training span, or the rows since, are too short.
            UsageError: the config no longer fits the model.
        """
        served = Served.read(folder)
        until = datetime.fromisoformat(served.trained_until)
        since = until - timedelta(days=config.nightly.drift_span_days)
        request = Request(
            served.symbols, as_of, served.scorer, Span(since, as_of + timedelta(microseconds=1)),
            served.streams, served.metrics,
        )  # fmt: skip
        dataset = load_dataset(warehouse, config, request)
        if tuple(c.name for c in dataset.columns) != served.columns:
            raise UsageError("The config no longer fits the model in use. Run: moodtape train")
        usable = dataset.decisions(served.lookback_bars)
        usable = usable[dataset.cutoff[usable] <= to_datetime64(until)]
        first, days = _whole_days(dataset, usable, until)
        if days < FEWEST_DAYS:
            raise DataMissing(
                f"The model in use was trained on {max(days, 0)} whole days; {FEWEST_DAYS} are"
                " needed to know how much its inputs change by themselves."
            )
        last = (to_datetime64(as_of).astype("datetime64[D]") - first).astype(int)
        scores, streams = _scores(warehouse, served, first, int(last), as_of)
        day = day_of(dataset.open_time, first)
        reference = np.flatnonzero((day >= 0) & (day < days))
        fed = Fed.fit(dataset, reference)
        counted = fed.count(dataset, reference, scores[:days], first, days)
        rng = generator(config.seed, "drift of inputs", folder.name)
        allowed = inputs_budget(config.nightly.drift_alarms_per_quarter)
        standard = fit_standard(counted, fed.kinds(len(streams)), allowed, rng)
        return cls(dataset, fed, standard, reference, scores, streams, first)

    def look(self, night: datetime) -> tuple[float, str]:
        """Return the largest family at a night, in units of the threshold, and what it saw.

        Raises:
            DataMissing: there is no row in the last days.
        """
        end = to_datetime64(night).astype("datetime64[D]")
        begin = end - np.timedelta64(WINDOW_DAYS, "D")
        opened, dataset = self.dataset.open_time, self.dataset
        known = dataset.decision_time <= to_datetime64(night)
        rows = np.flatnonzero((opened >= begin) & (opened < end) & known)
        if not len(rows):
            raise DataMissing(f"There is no bar in the {WINDOW_DAYS} days before.")
        place = int((begin - self.first).astype(int))
        scores = self._scores_between(place)
        days = self.fed.count(dataset, rows, scores, begin, WINDOW_DAYS)
        found = self.standard.scores(days.summed())[0]
        monitors = self.standard.monitors(days.summed())[0]
        moved = found >= min(1.0, found.max())
        monitors = np.where(moved[self.standard.families], monitors, -np.inf)
        before = self.standard.reference.histograms[0][-len(self.streams) or None :]
        told: list[str] = []
        for number in np.argsort(-monitors, kind="stable"):
            if len(told) == SHOWN or (told and monitors[number] < 1):
                break
            sentence = self.fed.moved(
                dataset, int(number), self.reference, rows, (before, scores.sum(axis=0)),
                self.streams,
            )  # fmt: skip
            if not any(sentence.rpartition(" (")[0] == t.rpartition(" (")[0] for t in told):
                told.append(sentence)
        return float(found.max()), "; ".join(told)

    def _scores_between(self, place: int) -> Floats:
        """Return the scores of the days from a place on; none of days before the first."""
        padded = np.zeros((WINDOW_DAYS, *self.scores.shape[1:]))
        inside = self.scores[max(place, 0) : place + WINDOW_DAYS]
        padded[WINDOW_DAYS - len(inside) :] = inside
        return padded


def _whole_days(dataset: Dataset, usable: Rows, until: datetime) -> tuple[np.datetime64, int]:
    """Return the first day of the training span that is whole, and how many there are."""
    if not len(usable):
        return np.datetime64("1970-01-01"), 0
    first = dataset.open_time[usable[0]].astype("datetime64[D]") + np.timedelta64(1, "D")
    days = (to_datetime64(until).astype("datetime64[D]") - first).astype(int)
    return first, int(days)


def _scores(
    warehouse: Warehouse, served: Served, first: np.datetime64, days: int, as_of: datetime
) -> tuple[Floats, tuple[str, ...]]:
    """Return counts of tone and doubt by day and source, and their names. -> (days, S, BINS)"""
    sources = tuple(dict.fromkeys(stream.partition("_")[0] for stream in served.streams))
    if served.scorer is None or not sources:
        return np.zeros((days, 0, BINS)), ()
    since = from_datetime64(first.astype("datetime64[us]"))
    with warehouse.read() as connection:
        table = score_steps(connection, sources, served.scorer, since, as_of)
    found = np.zeros((days, 2 * len(sources), BINS))
    day = day_of(table["day"].dt.tz_convert(None).to_numpy().astype("datetime64[us]"), first)
    for number, source in enumerate(sources):
        use = (table["source"] == source).to_numpy() & (day < days)
        n = table["n"].to_numpy("float64")[use]
        for kind, name in enumerate(("tone_step", "doubt_step")):
            step = table[name].to_numpy("int64")[use]
            np.add.at(found[:, 2 * number + kind], (day[use], step), n)
    names = [f"the {what} of {s} texts, 0 to 1," for s in sources for what in ("tone", "doubt")]
    return found, tuple(names)


@dataclass(frozen=True)
class LossWatch:
    """The losses of one model, ready to be looked at on several nights."""

    config: Config
    model: str
    live: pd.DataFrame

    @classmethod
    def open(cls, warehouse: Warehouse, config: Config, model: str, as_of: datetime) -> LossWatch:
        """Read the forecasts that were made in time and settled."""
        with warehouse.read() as connection:
            live = live_forecasts(connection, as_of)
        market = config.market
        mine = (live["interval"] == market.interval) & live["symbol"].isin(market.symbols)
        return cls(config, model, live[mine])

    @cached_property
    def losses(self) -> dict[tuple[str, int], Losses]:
        """Return the losses of each target and horizon."""
        return thinned_losses(self.live, self.config.market.interval) if len(self.live) else {}

    def look(self, night: datetime, last_alarm: datetime | None) -> dict[str, tuple[float, str]]:
        """Return each monitor at a night: the sum in units of its threshold, and what it saw.

        A sum begins where the model came into use, and again after an alarm of losses. Where
        too little was settled before the model came, its own first weeks are the measure.
        """
        own = self.live[self.live["model_run"] == self.model]
        if own.empty:
            return {}
        now = to_datetime64(night)
        reset = own["cutoff"].min().tz_convert(None).to_datetime64().astype("datetime64[us]")
        enough = np.timedelta64(FEWEST_DAYS_OF_LOSSES, "D")
        found = {}
        allowed = skill_budgets(self.config.nightly.drift_alarms_per_quarter, list(self.losses))
        for (target, bars), losses in self.losses.items():
            begin = reset
            before = losses.between(begin - np.timedelta64(REFERENCE_DAYS, "D"), begin)
            if not len(before.due) or begin - before.due[0] < enough:
                begin, before = (
                    begin + enough,
                    losses.between(np.datetime64(0, "us"), begin + enough),
                )
            if last_alarm is not None:
                begin = max(begin, to_datetime64(last_alarm))
            since = losses.between(begin, now)
            if len(before.loss) < FEWEST or not len(since.loss) or begin > now:
                continue
            rng = generator(self.config.seed, "drift of losses", self.model, target, bars)
            sums = fit_cusum(
                before.loss, before.references, before.per_day, allowed[target, bars], rng
            )
            score = float(sums.path(since.loss, since.references)[-1]) / sums.threshold
            recent = losses.between(max(begin, now - np.timedelta64(WINDOW_DAYS, "D")), now)
            found[f"{target}_{bars}"] = (score, _grown(target, bars, before, recent))
        return found


def _grown(target: str, bars: int, before: Losses, now: Losses) -> str:
    old, new = (float(part.loss.mean()) for part in (before, now))
    simple = [float(part.references[:, 0].mean()) for part in (before, now)]
    return (
        f"the loss of {target} at {bars} bar{'s' * (bars > 1)} went from {old:.4g} to {new:.4g},"
        f" that of persistence from {simple[0]:.4g} to {simple[1]:.4g}"
    )


def look_at(
    inputs: InputWatch | MoodtapeError, losses: LossWatch, night: datetime,
    last_alarm: datetime | None,
) -> Seen:  # fmt: skip
    """Return what the monitors say at a night.

    Args:
        inputs: or why they cannot be looked at.
        last_alarm: night of the newest alarm of losses before.
    """
    monitors = losses.look(night, last_alarm)
    why: MoodtapeError | None = None
    if isinstance(inputs, MoodtapeError):
        why = inputs
    else:
        try:
            monitors["inputs"] = inputs.look(night)
        except DataMissing as exc:
            why = exc
    figures = {name: round(score, 4) for name, (score, _) in monitors.items()}
    if not monitors:
        return Seen(None, False, {}, str(why))
    moved = sorted((m for m in monitors.values() if m[0] >= 1), reverse=True)
    highest = max(score for score, _ in monitors.values())
    of_losses = any(score >= 1 for name, (score, _) in monitors.items() if name != "inputs")
    if moved:
        what = "; ".join(sentence for _, sentence in moved)
    else:
        what = "nothing has moved" if why is None else f"inputs are not looked at: {why}"
    return Seen(highest, of_losses, figures, what)
