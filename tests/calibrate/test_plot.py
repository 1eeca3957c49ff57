"""The picture of power is a picture, and says what the rates say."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from moodtape.calibrate.plot import BOTTOM, HEIGHT, oracle_power, power_svg
from moodtape.calibrate.rates import Rate
from moodtape.forecaster.stats import Resamples, paired_test


def test_an_oracle_is_found_as_often_as_its_formula_says() -> None:
    gain, n, draws = 0.004, 2000, 200
    found = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        told = np.sqrt(gain) * rng.standard_normal(n)
        y = told + np.sqrt(1 - gain) * rng.standard_normal(n)
        gained = (y**2 - (y - told) ** 2)[None, :]
        resamples = Resamples.draw(n, 24.0, 200, rng)
        found += paired_test(gained, np.zeros(n, dtype=int), resamples).p_better < 0.025
    low, high = Rate(found, draws).interval
    assert low - 0.02 < oracle_power(gain, n) < high + 0.02


def test_every_point_is_drawn_with_its_figures() -> None:
    rows = [
        {"claim": "tone", "target": target, "truth": truth, "helps": Rate(count, 40), "n": 6000}
        for target in ("return", "volatility <x>")
        for truth, count in ((0.001, 1), (0.01, 30), (0.02, 40))
    ]
    root = ElementTree.fromstring(power_svg(rows))
    space = "{http://www.w3.org/2000/svg}"
    circles = list(root.iter(f"{space}circle"))
    assert len(circles) == 6
    heights = [float(circle.attrib["cy"]) for circle in circles[:3]]
    assert heights == sorted(heights, reverse=True), "more often is higher"
    words = " ".join(root.itertext())
    for told in ("30 of 40", "an oracle", "volatility <x>", "0.1 %", "2 %"):
        assert told in words
    with pytest.raises(ValueError, match="empty"):
        power_svg([])


def test_names_of_lines_that_meet_on_the_ground_stand_apart_above_it() -> None:
    rows = [
        {"claim": "tone", "target": target, "truth": truth, "helps": Rate(0, 40), "n": 600}
        for target in ("return", "direction", "volatility")
        for truth in (0.01, 0.02)
    ]
    root = ElementTree.fromstring(power_svg(rows))
    texts = root.iter("{http://www.w3.org/2000/svg}text")
    named = [float(t.attrib["y"]) for t in texts if t.attrib.get("class", "soft") != "soft"]
    heights = sorted(named)
    assert len(named) == 3
    assert heights[-1] == HEIGHT - BOTTOM + 5
    assert [low - high for high, low in pairwise(heights)] == [18, 18]
