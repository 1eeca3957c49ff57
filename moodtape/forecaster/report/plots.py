"""Pictures over time, as paths in a box of 1000 x 1000 that the page stretches.

Drawn by hand rather than by a plotting library: lines take the page's colours in light
and dark, labels keep their size on a phone, and the same run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.forecaster.report.marks import Answer, answer_label
from moodtape.forecaster.report.numbers import horizon, missing
from moodtape.forecaster.report.paths import bar_path, line_path
from moodtape.forecaster.report.scales import (
    Axis,
    bucket_seconds,
    say_seconds,
    time_axis,
    value_axis,
)
from moodtape.forecaster.report.series import ReportSeries

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Seconds = NDArray[np.float64]

PRICE_POINTS, TONE_BARS, LOSS_POINTS, GATE_POINTS = 600, 160, 200, 300


@dataclass(frozen=True)
class Line:
    """A path, what it is, and the style it is drawn in."""

    label: str
    style: str
    path: str


@dataclass(frozen=True)
class Panel:
    """One box: lines over a shared axis of time."""

    title: str
    unit: str
    height: int
    y: Axis
    lines: tuple[Line, ...]
    splits: tuple[float, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Stack:
    """Panels of one symbol, one under the other, over the same time."""

    symbol: str
    x: Axis
    panels: tuple[Panel, ...]
    bucket: str = ""


@dataclass(frozen=True)
class LossPanel:
    """The running loss difference of one answer."""

    answer: Answer
    label: str
    x: Axis
    panel: Panel


def seconds(times: pd.Series[Any]) -> Seconds:
    """Return times as seconds since 1970, shape (n,)."""
    import pandas as pd

    index = pd.DatetimeIndex(pd.to_datetime(times, utc=True)).as_unit("us")
    result: Seconds = index.asi8.astype(np.float64) / 1e6
    return result


def price_and_tone(series: ReportSeries, symbols: Sequence[str]) -> list[Stack]:
    """Return price over tone, number of texts and gate, for each symbol that has any."""
    stacks = []
    for symbol in symbols:
        price = series.price[series.price["symbol"] == symbol].dropna(subset=["close"])
        tone = series.tone[(series.tone["symbol"] == symbol) & (series.tone["n"] > 0)]
        tone = tone.dropna(subset=["tone"])
        gate = series.gate[series.gate["symbol"] == symbol]
        frames = [frame for frame in (price, tone, gate) if len(frame)]
        if not frames:
            continue
        times = np.concatenate([seconds(frame["time"]) for frame in frames])
        x = time_axis(times.min(), times.max())
        width = bucket_seconds(x.high - x.low, TONE_BARS)
        panels = [_price_panel(price, x)] if len(price) else []
        for stream, rows in tone.groupby("stream", sort=True):
            panels += _tone_panels(str(stream), rows, x, width)
        panels += [_gate_panel(gate, x)] if len(gate) else []
        stacks.append(Stack(symbol, x, tuple(panels), say_seconds(width) if len(tone) else ""))
    return stacks


def _price_panel(price: pd.DataFrame, x: Axis) -> Panel:
    at = seconds(price["time"])
    order = np.argsort(at, kind="stable")
    at, close = at[order], price["close"].to_numpy(dtype=np.float64)[order]
    step = float(np.median(np.diff(at))) if len(at) > 1 else 1.0
    keep = _thin(at, bucket_seconds(x.high - x.low, PRICE_POINTS))
    at, close = at[keep], close[keep]
    y = value_axis([float(close.min()), float(close.max())], parts=4)
    width = max(step, float(bucket_seconds(x.high - x.low, PRICE_POINTS)))
    line = Line("close", "price", line_path(x, y, at, close, longest=2.5 * width))
    return Panel("price", "close, in the quote currency", 170, y, (line,))


def _thin(at: Seconds, width: int) -> NDArray[np.int64]:
    """Return the last position of each bucket of time; `at` is in order."""
    bucket = np.floor(at / width)
    last = np.append(bucket[1:] != bucket[:-1], True) if len(at) else np.zeros(0, dtype=bool)
    return np.flatnonzero(last)


def _tone_panels(stream: str, rows: pd.DataFrame, x: Axis, width: int) -> list[Panel]:
    """Return two panels: mean tone by bucket, weighted by texts, and the number of texts."""
    bucket = np.floor(seconds(rows["time"]) / width)
    n = rows["n"].to_numpy(dtype=np.float64)
    tone = rows["tone"].to_numpy(dtype=np.float64)
    starts, where = np.unique(bucket, return_inverse=True)
    texts: Floats = np.bincount(where, weights=n).astype(np.float64)
    mean = np.bincount(where, weights=n * tone) / texts
    at = (starts + 0.5) * width
    y = value_axis([0.0, float(mean.min()), float(mean.max())], parts=3, signed=True)
    up, down = mean > 0, mean < 0
    return [
        Panel(
            f"tone, {stream}",
            "P(positive) − P(negative), mean",
            84,
            y,
            (
                Line("positive", "up", bar_path(x, y, at[up], mean[up], width)),
                Line("negative", "down", bar_path(x, y, at[down], mean[down], width)),
            ),
        ),
        _texts_panel(stream, x, at, texts, width),
    ]


def _texts_panel(stream: str, x: Axis, at: Seconds, texts: Floats, width: int) -> Panel:
    y = value_axis([0.0, float(texts.max())], parts=2, pad=0.0, room=True)
    bars = Line("texts", "texts", bar_path(x, y, at, texts, width))
    return Panel(f"texts, {stream}", "number", 46, y, (bars,))


def _gate_panel(rows: pd.DataFrame, x: Axis) -> Panel:
    """Return the gate's mean by bucket of time."""
    width = bucket_seconds(x.high - x.low, GATE_POINTS)
    starts, where = np.unique(np.floor(seconds(rows["time"]) / width), return_inverse=True)
    mean = np.bincount(where, weights=rows["gate"].to_numpy(np.float64)) / np.bincount(where)
    y = value_axis([float(mean.min()), float(mean.max())], parts=3)
    path = line_path(x, y, (starts + 0.5) * width, mean, longest=2.5 * width)
    return Panel(
        "gate", "of the branch under test, 0 shut, 1 open", 84, y, (Line("gate", "gate", path),)
    )


def running_losses(
    series: ReportSeries, answers: Sequence[Answer], interval: str
) -> dict[str, list[LossPanel]]:
    """Return, by symbol, the sum of loss differences so far, as a share of null's whole loss.

    So drawn, each line ends at the effect it adds up to.
    """
    found: dict[str, list[LossPanel]] = {}
    keys = ["symbol", "target", "horizon_bars", "forecaster"]
    groups = dict(iter(series.losses.groupby(keys, sort=False)))
    for answer in answers:
        rows = groups.get(tuple(answer[key] for key in keys))
        null = answer["losses"].get("null")
        if rows is None or len(rows) == 0 or missing(null) or null <= 0:
            continue
        found.setdefault(str(answer["symbol"]), []).append(
            _loss_panel(answer, rows, float(null), interval)
        )
    return found


def _loss_panel(answer: Answer, rows: pd.DataFrame, null: float, interval: str) -> LossPanel:
    at = seconds(rows["time"])
    order = np.argsort(at, kind="stable")
    at, fold = at[order], rows["fold"].to_numpy()[order]
    keep = np.unique(np.linspace(0, len(at) - 1, min(LOSS_POINTS, len(at))).round().astype(int))
    totals = {}
    for control in ("null", "shift"):
        difference = rows[f"difference_{control}"].to_numpy(dtype=np.float64)[order]
        counted = np.isfinite(difference)
        if counted.any():
            sums = np.cumsum(np.where(counted, difference, 0.0))
            totals[control] = 100.0 * sums[keep] / (null * counted.sum())
    ends = [v for total in totals.values() for v in (total.min(), total.max())]
    y = value_axis([0.0, *ends], parts=3, unit="\N{NO-BREAK SPACE}%", signed=True)
    x = time_axis(at[0], at[-1], parts=4)
    lines = tuple(
        Line(f"against {control}", control, line_path(x, y, at[keep], total))
        for control, total in totals.items()
    )
    splits = tuple(x.at(at[i]) for i in np.flatnonzero(fold[1:] != fold[:-1]) + 1)
    ahead = horizon(interval, int(answer["horizon_bars"]))
    panel = Panel(f"{answer['target']}, {ahead}", "% of null’s whole loss", 130, y, lines, splits)
    return LossPanel(answer, answer_label(answer, interval), x, panel)
