"""Worlds written out as texts: the hours that come back are those that were drawn."""

from __future__ import annotations

import numpy as np
import pytest

from moodtape.calibrate.study import (
    Cell,
    Way,
    answer_world,
    ground_of_world,
    settings_for_worlds,
)
from moodtape.calibrate.worlds import draw_world
from moodtape.calibrate.written import headlines, written_ground
from moodtape.config import Config

CONFIG = settings_for_worlds(
    Config(),
    {
        "sentiment": {"scorer": "lexicon"},
        "verdict": {"planted_draws": 0, "draws": 200},
        "walk_forward": {"folds": 2},
        "target": {"names": ("return",)},
    },
)


def test_headlines_lean_as_the_tone_and_are_known_in_their_hour() -> None:
    world = draw_world(np.random.default_rng(1), "nothing", 3000)
    texts = headlines(world, np.random.default_rng(2))
    assert len(texts) == world.sums["n"].sum()
    hour = texts["published_at"].dt.floor("h")
    assert (texts["collected_at"] < hour + np.timedelta64(1, "h")).all()
    assert texts["title"].is_unique


def test_what_the_line_makes_of_the_texts_is_what_was_drawn() -> None:
    world = draw_world(np.random.default_rng(1), "return", 2600, 0.2)
    drawn = ground_of_world(world, CONFIG).dataset
    line = written_ground(world, CONFIG, np.random.default_rng(2)).dataset
    names = [c.name for c in line.columns]

    def column(dataset: object, name: str) -> np.ndarray:
        own = [c.name for c in dataset.columns]  # type: ignore[attr-defined]
        return np.asarray(dataset.features[:, own.index(name)])  # type: ignore[attr-defined]

    assert "news.tone_last" in names
    shared = np.intersect1d(drawn.cutoff, line.cutoff)
    one, two = (np.isin(d.cutoff, shared) for d in (drawn, line))
    for name in ("ret_1", "news.count_last"):
        a, b = column(drawn, name)[one], column(line, name)[two]
        there = ~np.isnan(a) & ~np.isnan(b)
        assert there.sum() > 1500
        np.testing.assert_allclose(a[there], b[there], atol=1e-9, err_msg=name)
    tone = [column(d, "news.tone_last")[keep] for d, keep in ((drawn, one), (line, two))]
    there = ~np.isnan(tone[0]) & ~np.isnan(tone[1])
    assert np.corrcoef(tone[0][there], tone[1][there])[0, 1] > 0.7


@pytest.mark.parametrize(("kind", "gain", "word"), [("return", 0.3, "helps"), ("echo", 0.0, None)])
def test_a_world_is_answered_from_its_texts(kind: str, gain: float, word: str | None) -> None:
    [row] = answer_world(CONFIG, Cell("develop", kind, gain, 2600, 0), Way(from_texts=True))
    assert row["word"] == word if word else row["word"] != "helps"
