"""Arms of a study: which inputs a forecaster gets, and what was done to them.

An arm is a row of `configs/ablation.toml`. Its inputs are two matrices: the market
(price, calendar, and what the arm adds) and the subject, the group under test.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from moodtape.clock import parse_duration
from moodtape.config import ArmSection, Config
from moodtape.errors import ConfigError, did_you_mean
from moodtape.forecaster.features.base import ONCHAIN, SENTIMENT
from moodtape.forecaster.features.sentiment import KERNEL_HALF_LIVES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]

NULL, SHIFT = "null", "shift"
STRICT_OFFSETS = 10
FEWEST_OFFSETS = 5


@dataclass(frozen=True)
class Arm:
    """What one forecaster is given.

    groups: feature groups whose columns it gets.
    subject: the group under test; treatment: what is done to its columns: `as_is`,
        `constant` (all held at zero, masks too), `shift` (polarity as of another
        time), `none` (the branch is removed).
    """

    name: str
    groups: tuple[str, ...]
    subject: str
    treatment: str


@dataclass(frozen=True)
class Inputs:
    """Scaled inputs of one arm: market (R, Fm) and subject (R, Fs); Fs may be 0."""

    market: Floats
    subject: Floats


def arms_of(config: Config, dataset: Dataset, subject: str, bundled: str) -> list[Arm]:
    """Return the arms a study runs, leaving out those whose groups have no columns.

    An arm that would repeat an earlier one is left out too.

    Args:
        subject: `sentiment` or `onchain`.
        bundled: text of `configs/ablation.toml`; the user's own `[[arm]]` tables win.
    """
    defaults = [ArmSection.model_validate(row) for row in tomllib.loads(bundled)["arm"]]
    by_name = {row.name: row for row in (*defaults, *config.arm)}
    present = {c.group for c in dataset.columns}
    arms = []
    for name in config.ablation.arms:
        row = by_name.get(name)
        if row is None:
            raise ConfigError(f"ablation.arms: {name!r} is no arm.{did_you_mean(name, by_name)}")
        needed = set(row.groups) - {"all"}
        if not needed <= present or row.subject not in (None, subject):
            continue
        groups = tuple(sorted(present if "all" in row.groups else row.groups))
        arm = Arm(row.name, groups, subject, row.treatment)
        if not any((a.groups, a.treatment) == (arm.groups, arm.treatment) for a in arms):
            arms.append(arm)
    return arms


def real_arm(arms: Sequence[Arm]) -> Arm:
    """Return the arm in question: the fullest one that gets the subject as it is.

    Raises:
        ConfigError: no arm does.
    """
    candidates = [a for a in arms if a.treatment == "as_is" and a.subject in a.groups]
    if not candidates:
        raise ConfigError("ablation.arms: no arm gets the group under test as it is.")
    return max(candidates, key=lambda a: len(a.groups))


def build_inputs(dataset: Dataset, scaled: Floats, arm: Arm, offset_bars: int) -> Inputs:
    """Return an arm's inputs from the scaled feature matrix.

    Args:
        scaled: shape (R, F), zero where missing.
        offset_bars: how far a `shift` arm displaces polarity.
    """
    names = [c.group for c in dataset.columns]
    market = [i for i, g in enumerate(names) if g in arm.groups and g != arm.subject]
    subject = [i for i, g in enumerate(names) if g == arm.subject and g in arm.groups]
    values = scaled[:, subject]
    if arm.treatment == "none":
        values = values[:, :0]
    elif arm.treatment == "constant":
        values = np.zeros_like(values)
    elif arm.treatment == "shift":
        tone = set(tone_columns(dataset, arm.subject).tolist())
        moved = np.array([i for i, column in enumerate(subject) if column in tone], dtype=np.int64)
        values = values.copy()
        values[:, moved] = displaced(values[:, moved], dataset, offset_bars)
    return Inputs(scaled[:, market], values)


def tone_columns(dataset: Dataset, subject: str) -> NDArray[np.int64]:
    """Return the columns that a placebo changes: tone, or a metric's level and change."""
    if subject == SENTIMENT:
        return dataset.polarity
    changing = [
        i for i, c in enumerate(dataset.columns)
        if c.group == ONCHAIN and c.name.endswith((".level", ".change"))
    ]
    return np.array(changing, dtype=np.int64)


def displaced(values: Floats, dataset: Dataset, offset_bars: int) -> Floats:
    """Return columns as of `offset_bars` earlier, wrapped inside each symbol and regime.

    (R, k) -> (R, k)
    """
    result = values.copy()
    for rows in segments(dataset):
        result[rows] = np.roll(values[rows], offset_bars % len(rows), axis=0)
    return result


def segments(dataset: Dataset) -> list[NDArray[np.int64]]:
    """Return the runs of rows of one symbol and one coverage regime inside the span."""
    low = np.datetime64(dataset.span.since.replace(tzinfo=None), "us")
    high = np.datetime64(dataset.span.until.replace(tzinfo=None), "us")
    inside = (dataset.decision_time >= low) & (dataset.decision_time < high)
    found = []
    for symbol in range(len(dataset.symbols)):
        rows = np.flatnonzero(inside & (dataset.symbol == symbol))
        if len(rows):
            breaks = np.flatnonzero(np.diff(dataset.regime[rows])) + 1
            found += np.split(rows, breaks)
    return found


def shift_offsets(dataset: Dataset, config: Config) -> tuple[list[int], bool]:
    """Return how far a `shift` may displace polarity, in bars, and whether `helps` may be said.

    Whole weeks, so that the hour of the week stays; at least two weeks and the reach of
    a feature from either end. With too few, whole days; with too few of those, offsets
    that are only longer than a window, and then no `helps`.
    """
    interval = parse_duration(config.market.interval)
    longest = max(len(rows) for rows in segments(dataset))
    day = max(1, round(parse_duration("1d") / interval))
    half_lives = KERNEL_HALF_LIVES * max(config.sentiment.half_lives_h)
    reach = config.network.lookback_bars + max(config.target.horizons)
    reach += int(np.ceil(half_lives / (interval.total_seconds() / 3600)))
    least = max(reach, 14 * day)
    for step, fewest in ((7 * day, STRICT_OFFSETS), (day, FEWEST_OFFSETS)):
        offsets = list(range(-(-least // step) * step, longest - least + 1, step))
        if len(offsets) >= fewest:
            return offsets, True
    near = max(day, -(-config.network.lookback_bars // day) * day)
    loose = list(range(near, longest - near + 1, day))
    return loose or [max(1, longest // 2)], False


def draw_offsets(offsets: Sequence[int], count: int, rng: np.random.Generator) -> list[int]:
    """Return `count` different offsets where there are as many, else all of them in turn."""
    chosen = list(rng.permutation(np.array(offsets)))
    return [int(chosen[i % len(chosen)]) for i in range(count)]
