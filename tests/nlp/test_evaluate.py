from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from moodtape.errors import UsageError
from moodtape.nlp.evaluate import (
    calibration_bins,
    calibration_error,
    confusion,
    evaluate,
    macro_f1,
    spearman,
)

if TYPE_CHECKING:
    from moodtape.nlp.base import Probabilities

ANSWERS = {
    "a": (0.90, 0.05, 0.05),  # negative
    "b": (0.20, 0.60, 0.20),  # neutral
    "c": (0.10, 0.20, 0.70),  # positive
    "d": (0.10, 0.30, 0.60),  # positive
}


class Fixed:
    name = "fixed"
    revision = "1"
    trained_until: datetime | None = None

    def score(self, texts: Sequence[str]) -> Probabilities:
        return np.array([ANSWERS[text] for text in texts], dtype=np.float32)


def test_every_figure_by_hand() -> None:
    table = pd.DataFrame(
        {
            "text": ["a", "b", "c", "d"],
            "label": ["negative", "neutral", "positive", "neutral"],
            "score": [-1.0, 0.3, 0.9, 0.2],
        }
    )
    result = evaluate(Fixed(), table)
    assert result["n"] == 4
    assert result["accuracy"] == 0.75
    # negative 1; neutral 2*1/(2+1) = 2/3; positive 2*1/(1+2) = 2/3
    assert result["macro_f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
    assert result["confusion"] == {
        "negative": {"negative": 1, "neutral": 0, "positive": 0},
        "neutral": {"negative": 0, "neutral": 1, "positive": 1},
        "positive": {"negative": 0, "neutral": 0, "positive": 1},
    }
    # bins of a fifteenth: .60, .60 -> one bin (1 right of 2), .70 and .90 alone, both right
    expected = (2 * abs(0.60 - 0.5) + abs(0.70 - 1) + abs(0.90 - 1)) / 4
    assert result["expected_calibration_error"] == pytest.approx(expected, abs=1e-6)
    # tones -.85, 0, .6, .5 have ranks 1 2 4 3; gold has 1 3 4 2: 1 - 6*2/(4*15)
    assert result["spearman"] == pytest.approx(0.8)


def test_missing_parts_are_none() -> None:
    only_score = evaluate(Fixed(), pd.DataFrame({"text": ["a", "c"], "score": [-1, 1]}))
    assert only_score["accuracy"] is None
    assert only_score["macro_f1"] is None
    assert only_score["expected_calibration_error"] is None
    assert only_score["confusion"] is None
    assert only_score["spearman"] == pytest.approx(1.0)
    only_label = evaluate(Fixed(), pd.DataFrame({"text": ["a"], "label": ["Negative"]}))
    assert only_label["accuracy"] == 1.0
    assert only_label["spearman"] is None


def test_empty_cells_are_left_out() -> None:
    table = pd.DataFrame({"text": ["a", "b"], "label": ["negative", None], "score": [None, 0.1]})
    result = evaluate(Fixed(), table)
    assert result["n"] == 2
    assert result["accuracy"] == 1.0
    assert result["spearman"] is None  # one pair has no rank order


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"text": ["a"]}), "label and/or score"),
        (pd.DataFrame({"label": ["neutral"]}), "needs text"),
        (pd.DataFrame({"text": [], "label": []}), "no rows"),
        (pd.DataFrame({"text": ["a"], "label": ["bullish"]}), "'bullish' is not a label"),
    ],
)
def test_unusable_tables_say_why(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(Fixed(), table)


def test_classes_that_never_occur_do_not_count() -> None:
    assert macro_f1(confusion(np.array([0, 0, 2]), np.array([0, 0, 2]))) == 1.0
    assert macro_f1(confusion(np.array([0, 0]), np.array([0, 1]))) == pytest.approx((2 / 3 + 0) / 2)


def test_certainty_falls_into_the_last_bin() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    truth = np.array([0, 0])
    assert calibration_bins(probabilities, truth) == [(2, 1.0, 0.5)]
    assert calibration_error(probabilities, truth) == 0.5


def test_rank_correlation_averages_ties() -> None:
    first, second = np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])
    # ranks 1.5 1.5 3 4 against 1 2 3 4
    a, b = np.array([1.5, 1.5, 3, 4]) - 2.5, np.array([1, 2, 3, 4]) - 2.5
    expected = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    assert spearman(first, second) == pytest.approx(expected)
    assert spearman(np.ones(4), second) is None
