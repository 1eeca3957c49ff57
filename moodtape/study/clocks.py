"""What the time at which texts are known is worth: the clock curve and the wishful clock.

    1. clock      storage/perturb.py   the rows near the study, known later or as published
    2. dataset    forecaster/          the study's own functions, on the same bars
    3. forecasts  with the group under test and with it held constant, on the same folds
    4. effect     paired with those of the stored clock, on the same resamples of time

An effect with its interval, never a word. An audit proves that stamps are obeyed; only this
shows what hangs on their being true.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from moodtape.clock import parse_duration
from moodtape.forecaster.ablation import Rules, Study, run_study
from moodtape.forecaster.arms import NULL, real_arm
from moodtape.forecaster.claims import QUESTIONED, TONE, viewed
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.evidence import Losses, interval_of, mean_loss, paired, target_losses
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.loading import load_dataset
from moodtape.storage.db import Warehouse
from moodtape.storage.hours import HourRules
from moodtape.storage.perturb import Clock, open_scratch
from moodtape.study.effects import gain_of, resamples_of, tested
from moodtape.study.ground import Ground
from moodtape.study.near import near_of

KNOWN, PUBLISHED = "known_at", "published_at"
MINUTE = timedelta(minutes=1)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """Where a study is made again by other clocks.

    rules: how texts count in their hour, as in the warehouse.
    workdir: where rows go that do not fit into memory; they vanish.
    """

    warehouse: Warehouse
    rules: HourRules
    workdir: Path
    tell: Tell


def wishful(ground: Ground) -> Clock:
    """Return the clock by which texts are known when they were published."""
    return Clock(None, ground.question.subject)


def one_bar(ground: Ground) -> Clock:
    """Return the clock by which everything is known one bar later."""
    return Clock(parse_duration(ground.dataset.interval), ground.question.subject)


def curve(ground: Ground) -> list[Clock]:
    """Return the wishful clock, then those of the config's delays and of one bar, in order."""
    minutes = ground.config.ablation.clock_delays_min
    if not minutes:
        return []
    delays = {one_bar(ground).delay or MINUTE, *(MINUTE * count for count in minutes)}
    return [wishful(ground), *(Clock(delay, ground.question.subject) for delay in sorted(delays))]


def clock_rows(
    ground: Ground,
    bench: Bench,
    clocks: Sequence[Clock],
    forecaster: str = LINEAR,
    study: Study | None = None,
    claim: str = TONE,
) -> list[dict[str, Any]]:
    """Return the effect by each clock, the stored one first, for every question.

    Args:
        study: of the forecaster by the stored clock; fitted here by default.
        claim: whose arm in question it is the effect of.
    Returns:
        Rows of `clock`, `delay_min`, `symbol`, `target`, `horizon_bars`, `forecaster`; `effect`
        and `interval` of the gain over null by that clock; `over_known` and
        `over_known_interval`: how much lower the loss is than by the stored clock, as a share
        of null's there; `n`.
    """
    bench.tell("clock: as stored")
    base = viewed(study, claim) if study else _study(ground, ground.dataset, forecaster, claim)
    stored = _View(base, ground.dataset)
    rows = list(_rows(ground, KNOWN, 0, stored, stored))
    for clock in clocks:
        name = PUBLISHED if clock.delay is None else KNOWN
        minutes = None if clock.delay is None else clock.delay // MINUTE
        bench.tell(f"clock: {'as published' if minutes is None else f'{minutes} min later'}")
        dataset = _by_clock(ground, bench, clock)
        view = _View(_study(ground, dataset, forecaster, claim), dataset)
        rows += _rows(ground, name, minutes, view, stored)
    return rows


def loses_to_delay(
    rows: Sequence[Mapping[str, Any]], ground: Ground, forecaster: str, question: tuple[Any, ...]
) -> bool | None:
    """Say whether one more bar of delay removes more than half of a gain; None if nobody looked.

    Args:
        question: symbol, target and horizon.
    """
    bar = one_bar(ground).delay
    assert bar is not None
    found = {
        row["delay_min"]: row["effect"]
        for row in rows
        if row["clock"] == KNOWN
        and row["forecaster"] == forecaster
        and (row["symbol"], row["target"], row["horizon_bars"]) == question
    }
    if 0 not in found or bar // MINUTE not in found:
        return None
    return bool(found[bar // MINUTE] < 0.5 * found[0])


@dataclass(frozen=True)
class _View:
    """A study and the dataset that it was fitted on."""

    study: Study
    dataset: Dataset

    def losses(self, symbol: int, key: str) -> Losses:
        return target_losses(self.study, self.dataset, symbol, key)


def _study(ground: Ground, dataset: Dataset, forecaster: str, claim: str) -> Study:
    names = {NULL, real_arm(ground.arms).name, QUESTIONED.get(claim, NULL)}
    arms = [arm for arm in ground.arms if arm.name in names]
    study = run_study(dataset, ground.folds, arms, ground.config, forecaster, rules=Rules({}, {}))
    return viewed(study, claim)


def _by_clock(ground: Ground, bench: Bench, clock: Clock) -> Dataset:
    """Return the study's dataset as it would be by another clock."""
    request = ground.fixed_request
    near = near_of(ground.config, request)
    bench.workdir.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="clock-", dir=bench.workdir) as spill,
        open_scratch(bench.warehouse, near, bench.rules, Path(spill), clock) as scratch,
    ):
        return load_dataset(scratch, ground.config, request)


def _rows(
    ground: Ground, clock: str, minutes: int | None, view: _View, stored: _View
) -> Iterator[dict[str, Any]]:
    dataset, config = ground.dataset, ground.config
    for number, symbol in enumerate(dataset.symbols):
        for key, target in dataset.targets.items():
            here, there = view.losses(number, key), stored.losses(number, key)
            gain, base = gain_of(here, view.study), gain_of(there, stored.study)
            over = paired(there.by_arm[stored.study.real], here.by_arm[view.study.real])
            resamples = resamples_of(base, dataset, config, number, key, "clocks")
            null, null_there = mean_loss(here.by_arm[NULL]), mean_loss(there.by_arm[NULL])
            yield {
                "clock": clock,
                "delay_min": minutes,
                "symbol": symbol,
                "target": target.name,
                "horizon_bars": target.horizon_bars,
                "forecaster": view.study.forecaster,
                "effect": mean_loss(gain) / null,
                "interval": list(interval_of(tested(gain, here, resamples), null)),
                "over_known": None if view is stored else mean_loss(over) / null_there,
                "over_known_interval": None
                if view is stored
                else list(interval_of(tested(over, here, resamples), null_there)),
                "n": len(here.fold),
            }
