from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from moodtape.forecaster.report.marks import forest, spread
from moodtape.forecaster.report.plots import (
    Line,
    Panel,
    price_and_tone,
    running_losses,
)
from moodtape.forecaster.report.series import ReportSeries
from moodtape.forecaster.report.strips import coverage_strip, fold_strip

Run = tuple[dict[str, Any], ReportSeries]


def points(line: Line) -> list[tuple[float, float]]:
    """Return the corners of a path of M and L, in units of the box."""
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+) ([\d.]+)", line.path)]


def value(panel: Panel, y: float) -> float:
    return panel.y.high - y / 1000 * (panel.y.high - panel.y.low)


def bars(panel: Panel, line: Line) -> list[float]:
    return [value(panel, float(y)) for y in re.findall(r"V([\d.]+)H", line.path)]


def test_the_running_loss_ends_at_the_effect(small: Run) -> None:
    results, series = small
    [panel] = running_losses(series, results["results"], "1h")["BTC"]
    null, shift = panel.panel.lines
    ends = [value(panel.panel, points(line)[-1][1]) for line in (null, shift)]
    assert ends[0] == pytest.approx(100 * 0.0012 / (4 * 0.25), abs=1e-4)
    assert ends[1] == pytest.approx(100 * 0.0002 / (3 * 0.25), abs=1e-4), "a NaN is not a zero"


def test_the_running_loss_of_a_long_run_ends_at_its_effect(large: Callable[..., Run]) -> None:
    results, series = large(["BTC", "ETH"], horizons=(1, 24))
    shuffled = replace(series, losses=series.losses.sample(frac=1.0, random_state=3))
    panels = running_losses(shuffled, results["results"], "1h")
    drawn = [panel for of_symbol in panels.values() for panel in of_symbol]
    assert [p.answer for p in drawn] == results["results"]
    for p in drawn:
        near = (p.panel.y.high - p.panel.y.low) / 5000
        for line, name in zip(p.panel.lines, ("effect", "effect_shift"), strict=True):
            assert value(p.panel, points(line)[-1][1]) == pytest.approx(
                100 * p.answer[name], abs=near
            )
            assert len(points(line)) == 200
        assert len(p.panel.splits) == 3, "four folds have three borders"


def test_price_breaks_at_a_gap_and_tone_is_weighted_by_texts(small: Run) -> None:
    _, series = small
    tone = pd.DataFrame(
        {
            "symbol": "BTC",
            "stream": "news",
            "time": pd.to_datetime(["2025-05-02T00:00Z", "2025-05-22T00:00Z", "2025-05-22T01:00Z"]),
            "tone": [0.25, -0.5, 0.1],
            "n": [3, 1, 2],
        }
    )
    [stack] = price_and_tone(replace(series, tone=tone), ["BTC", "ETH"])
    price, mood, texts, _ = stack.panels
    assert price.lines[0].path.count("M") == 2, "the line runs on through a day without bars"
    assert stack.bucket == "4 hours"
    up, down = mood.lines
    assert bars(mood, up) == [pytest.approx(0.25, abs=1e-3)]
    assert bars(mood, down) == [pytest.approx((-0.5 + 0.2) / 3, abs=1e-3)]
    assert bars(texts, texts.lines[0]) == [pytest.approx(3, abs=0.01)] * 2
    [stack] = price_and_tone(series, ["BTC"])
    assert [round(value(stack.panels[0], y)) for _, y in points(stack.panels[0].lines[0])] == [
        pytest.approx(close, abs=5) for close in (96000, 96500, 96250, 95000, 95500, 97000)
    ]


def test_series_without_rows_draw_nothing(small: Run) -> None:
    results, series = small
    empty = ReportSeries(*(frame[:0] for frame in vars(series).values()))
    assert price_and_tone(empty, ["BTC"]) == []
    assert running_losses(empty, results["results"], "1h") == {}
    bare = pd.DataFrame({name: [] for name in series.tone})
    shut = pd.DataFrame({name: [] for name in series.gate})
    [stack] = price_and_tone(replace(series, tone=bare, gate=shut), ["BTC"])
    assert [panel.title for panel in stack.panels] == ["price"]


def test_the_gate_is_a_line_of_means_broken_between_folds(small: Run) -> None:
    _, series = small
    [stack] = price_and_tone(series, ["BTC"])
    gate = stack.panels[-1]
    assert (gate.title, gate.unit) == ("gate", "of the branch under test, 0 shut, 1 open")
    # An hour and the next share a bucket of two; five days lie between the folds.
    assert gate.lines[0].path.count("M") == 2
    assert [value(gate, y) for _, y in points(gate.lines[0])] == [
        pytest.approx(mean, abs=1e-3) for mean in (0.45, 0.45, 0.7, 0.6)
    ]  # fmt: skip


def test_naive_times_are_read_as_utc(small: Run) -> None:
    _, series = small
    naive = series.price.assign(time=series.price["time"].dt.tz_localize(None))
    assert price_and_tone(replace(series, price=naive), ["BTC"]) == price_and_tone(series, ["BTC"])


def test_the_picture_of_effects_by_hand(small: Run) -> None:
    [group] = forest(small[0]["results"], "1h")
    [row] = group.rows
    axis = group.axis
    assert row.null is not None
    assert row.shift is not None
    assert row.null.at == axis.at(0.12)
    assert row.null.ends == (axis.at(-0.35), axis.at(0.58))
    assert row.shift.at == axis.at(0.02)
    assert row.shift.ends == (axis.at(-0.41), axis.at(0.45))
    assert row.margin == (axis.at(-0.3), axis.at(0.3))
    assert axis.low < -0.41
    assert axis.high > 0.58


def test_targets_share_a_scale_only_where_all_can_be_read(large: Callable[..., Run]) -> None:
    answers = [a for a in large(["BTC"])[0]["results"] if a["decides"]]
    for answer in answers:
        answer.update(effect=0.001, interval=[-0.004, 0.006], interval_shift=[-0.005, 0.005])
    near = forest(answers, "1h")
    assert len({(g.axis.low, g.axis.high) for g in near}) == 1
    assert [g.labelled for g in near] == [False, False, True]
    answers[2].update(effect=0.4, interval=[0.2, 0.6])
    far = forest(answers, "1h")
    assert far[0].axis.high < 1 < 60 < far[2].axis.high
    assert all(g.labelled and g.own_scale for g in far)


def test_missing_estimates_leave_their_place_empty(small: Run) -> None:
    [answer] = small[0]["results"]
    nan = float("nan")
    answer.update(
        effect=nan, interval=[nan, nan], effect_shift=None, interval_shift=None, margin=None
    )
    answer.update(seed_effects=[nan, 0.001], fold_effects=[])
    [group] = forest([answer], "1h")
    assert (group.rows[0].null, group.rows[0].shift, group.rows[0].margin) == (None, None, None)
    [row], _ = spread([answer], "1h")
    assert (len(row.folds), len(row.seeds), row.effect) == (0, 1, None)


def test_strips_of_time_by_hand(small: Run) -> None:
    results, _ = small
    strip = fold_strip(results["folds"])
    assert strip is not None
    spans = dict(strip.rows)
    days = 22.0
    assert spans["fold 1"] == (
        ("fit", 0.0, pytest.approx(1000 / days, abs=0.01)),
        ("test", pytest.approx(1000 / days, abs=0.01), pytest.approx(500 / days, abs=0.01)),
    )
    assert fold_strip([]) is None
    assert coverage_strip([{**results["coverage"][0], "first": None}]) is None
    assert coverage_strip([{**results["coverage"][0], "first": "never"}]) is None


def test_many_rows_are_thinned(large: Callable[..., Run]) -> None:
    _, series = large(["BTC"], days=400, streams=("news",))
    [stack] = price_and_tone(series, ["BTC"])
    assert len(points(stack.panels[0].lines[0])) <= 601
    assert stack.panels[1].lines[0].path.count("M") <= 161
    whole = series.tone[series.tone["n"] > 0]
    counted = sum(bars(stack.panels[2], stack.panels[2].lines[0]))
    assert counted == pytest.approx(float(whole["n"].sum()), rel=5e-3)
    assert np.isfinite(counted)
