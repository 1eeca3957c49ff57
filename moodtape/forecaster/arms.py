"""Arms of a study: which inputs a forecaster gets, and what was done to them.

An arm is a row of `configs/ablation.toml`. Its inputs are two matrices: the market
(price, calendar, and what the arm adds) and the subject, the group under test.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from moodtape.clock import parse_duration, to_datetime64
from moodtape.config import ArmSection, Config
from moodtape.errors import ConfigError, DataMissing, did_you_mean
from moodtape.forecaster.features.base import ONCHAIN, SENTIMENT
from moodtape.forecaster.features.sentiment import KERNEL_HALF_LIVES
from moodtape.forecaster.seeds import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]

NULL, SHIFT = "null", "shift"
STRICT_OFFSETS = 10
FEWEST_OFFSETS = 5
STRICT_SHARE = 0.9
MONDAY = np.datetime64("1970-01-05", "us")


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
    Raises:
        ConfigError: an unknown arm, or no `null` and `shift` to compare with.
        DataMissing: the group under test has no columns.
    """
    present = {c.group for c in dataset.columns}
    if subject not in present:
        raise DataMissing(
            f"There are no {subject} columns to test: {_ABSENT.get(subject, 'none are declared')}."
        )
    arms: list[Arm] = []
    for row in _chosen(config, bundled):
        needed = set(row.groups) - {"all"}
        if not needed <= present or row.subject not in (None, subject):
            continue
        groups = tuple(sorted(present if "all" in row.groups else row.groups))
        arm = Arm(row.name, groups, subject, row.treatment)
        if not any((a.groups, a.treatment) == (arm.groups, arm.treatment) for a in arms):
            arms.append(arm)
    for name, treatment in ((NULL, "constant"), (SHIFT, "shift")):
        if not any((a.name, a.treatment) == (name, treatment) for a in arms):
            raise ConfigError(
                f"ablation.arms: an arm {name!r} with treatment {treatment!r} is needed;"
                " the verdict compares with it."
            )
    return arms


_ABSENT = {
    SENTIMENT: "no scored texts lie in the span. Run: moodtape import documents FILE, then"
    " moodtape score",
    ONCHAIN: "no metrics lie in the span. Run: moodtape import metrics FILE",
}


def _chosen(config: Config, bundled: str) -> list[ArmSection]:
    """Return the rows of the arms that the config names."""
    defaults = [ArmSection.model_validate(row) for row in tomllib.loads(bundled)["arm"]]
    by_name = {row.name: row for row in (*defaults, *config.arm)}
    for name in config.ablation.arms:
        if name not in by_name:
            raise ConfigError(f"ablation.arms: {name!r} is no arm.{did_you_mean(name, by_name)}")
    return [by_name[name] for name in config.ablation.arms]


def real_arm(arms: Sequence[Arm]) -> Arm:
    """Return the arm in question: the fullest one that gets the subject as it is.

    Raises:
        ConfigError: no arm does.
    """
    candidates = [a for a in arms if a.treatment == "as_is" and a.subject in a.groups]
    if not candidates:
        raise ConfigError("ablation.arms: no arm gets the group under test as it is.")
    return max(candidates, key=lambda a: len(a.groups))


def build_inputs(
    dataset: Dataset, scaled: Floats, arm: Arm, displacement: Displacement | None = None
) -> Inputs:
    """Return an arm's inputs from the scaled feature matrix.

    Args:
        scaled: shape (R, F), zero where missing.
        displacement: how far a `shift` arm moves polarity; other arms need none.
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
        if displacement is None:
            raise ValueError("a shift arm needs to know how far to displace")
        tone = set(tone_columns(dataset, arm.subject).tolist())
        moved = np.array([i for i, column in enumerate(subject) if column in tone], dtype=np.int64)
        values = values.copy()
        values[:, moved] = displaced(values[:, moved], dataset, displacement)
    return Inputs(scaled[:, market], values)


def tone_columns(dataset: Dataset, subject: str) -> NDArray[np.int64]:
    """Return the columns that a placebo changes: tone, or a metric's level and change."""
    if subject == SENTIMENT:
        return dataset.polarity
    changing = [
        i
        for i, c in enumerate(dataset.columns)
        if c.group == ONCHAIN and c.name.endswith((".level", ".change"))
    ]
    return np.array(changing, dtype=np.int64)


@dataclass(frozen=True)
class Room:
    """Where offsets may lie.

    least_bars: an offset stays so far from zero and from the length of its segment.
    week_bars, day_bars: offsets are whole weeks, or days where weeks leave too few.
    near_bars: the window of the network, the least of all where even days leave too few.
    order: seed of the order in which a segment's offsets are drawn.
    """

    least_bars: int
    week_bars: int
    day_bars: int
    near_bars: int
    order: int

    def offsets(self, length: int) -> tuple[list[int], bool]:
        """Return the offsets of a segment of some length, and whether they suffice.

        Whole weeks, so that the hour of the week stays. With too few of them, whole
        days; with too few of those, any day outside the window, and then it is no
        placebo that `helps` may rest on.
        """
        week, day = self.week_bars, self.day_bars
        for step, fewest in ((week, STRICT_OFFSETS), (day, FEWEST_OFFSETS)):
            first = -(-self.least_bars // step) * step
            found = list(range(first, length - self.least_bars + 1, step))
            if len(found) >= fewest:
                return found, True
        near = max(day, -(-self.near_bars // day) * day)
        loose = list(range(near, length - near + 1, day))
        return loose or [length // 2], False

    def draw(self, length: int, draw: int) -> int:
        """Return the offset of one draw: all different as long as there are enough."""
        found, _ = self.offsets(length)
        shuffled = generator(self.order, "shift offsets", length).permutation(np.array(found))
        return int(shuffled[draw % len(shuffled)])


@dataclass(frozen=True)
class Displacement:
    """How far one placebo draw moves polarity.

    draw: number of the draw; it picks a different offset in each segment that has several.
    room: where an offset may lie.
    """

    draw: int
    room: Room


def displaced(values: Floats, dataset: Dataset, displacement: Displacement) -> Floats:
    """Return columns as of an earlier row, wrapped inside each symbol and coverage regime.

    (R, k) -> (R, k)
    """
    result = values.copy()
    for rows in segments(dataset):
        offset = displacement.room.draw(len(rows), displacement.draw)
        result[rows] = np.roll(values[rows], offset, axis=0)
    return result


def segments(dataset: Dataset) -> list[NDArray[np.int64]]:
    """Return the runs of rows of one symbol and one coverage regime inside the span."""
    low, high = to_datetime64(dataset.span.since), to_datetime64(dataset.span.until)
    inside = (dataset.decision_time >= low) & (dataset.decision_time < high)
    found: list[NDArray[np.int64]] = []
    for symbol in range(len(dataset.symbols)):
        rows = np.flatnonzero(inside & (dataset.symbol == symbol))
        if len(rows):
            breaks = np.flatnonzero(np.diff(dataset.regime[rows])) + 1
            found += np.split(rows, breaks)
    return found


def shift_room(dataset: Dataset, config: Config) -> tuple[Room, bool]:
    """Return where a `shift` may displace polarity to, and whether `helps` may rest on it.

    An offset stays two weeks, and the reach of a feature, from either end. `helps` needs
    enough of them in the segments that hold nine tenths of the rows.
    """
    interval = parse_duration(config.market.interval)
    half_lives = timedelta(hours=KERNEL_HALF_LIVES * max(config.sentiment.half_lives_h))
    reach = config.network.lookback_bars + max(config.target.horizons) + -(-half_lives // interval)
    day, week = usual_bars(dataset, "D"), usual_bars(dataset, "W")
    room = Room(max(reach, 2 * week), week, day, config.network.lookback_bars, config.seed)
    lengths = [len(rows) for rows in segments(dataset)]
    strict = sum(length for length in lengths if room.offsets(length)[1])
    return room, 0 < sum(lengths) * STRICT_SHARE <= strict


def usual_bars(dataset: Dataset, unit: Literal["D", "W"]) -> int:
    """Return the median number of bars in a day or a week that has any: 24, or 5 sessions."""
    length = np.timedelta64(1, unit).astype("timedelta64[us]")
    pairs = np.stack([dataset.symbol, (dataset.open_time - MONDAY) // length])
    _, counts = np.unique(pairs, axis=1, return_counts=True)
    return max(1, int(np.median(counts)))
