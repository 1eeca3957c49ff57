"""The placebo `shift`: tone as of another time, everything else as it was.

A column keeps its distribution, its rhythm of hour and week and its memory; what it loses
is the hour it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from moodtape.clock import parse_duration, to_datetime64
from moodtape.config import Config
from moodtape.forecaster.features.chosen import chosen_features
from moodtape.forecaster.seeds import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

    Floats = NDArray[np.float64]

STRICT_OFFSETS = 10
FEWEST_OFFSETS = 5
STRICT_SHARE = 0.9
MONDAY = np.datetime64("1970-01-05", "us")


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


def displaced(values: Floats, dataset: Dataset, room: Room, draw: int) -> Floats:
    """Return columns as of an earlier row, wrapped inside each symbol and coverage regime.

    (R, k) -> (R, k)

    Args:
        draw: number of the draw; it picks a different offset in each segment that has several.
    """
    result = values.copy()
    for rows in segments(dataset):
        offset = room.draw(len(rows), draw)
        result[rows] = np.roll(values[rows], offset, axis=0)
    return result


def shuffled(values: Floats, dataset: Dataset, room: Room, draw: int) -> Floats:
    """Return columns with their weeks in another order, inside each symbol and coverage regime.

    (R, k) -> (R, k). A segment of less than three weeks is cut into days. What is left over at
    its end stays where it is.
    """
    result = values.copy()
    for rows in segments(dataset):
        size = room.week_bars if len(rows) >= 3 * room.week_bars else room.day_bars
        count = len(rows) // size
        order = generator(room.order, "block order", len(rows), draw).permutation(count)
        whole = rows[: count * size].reshape(count, size)
        result[whole.ravel()] = values[whole[order].ravel()]
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
    tone = timedelta(hours=chosen_features(config).tone_hours)
    reach = config.network.lookback_bars + max(config.target.horizons) + -(-tone // interval)
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
