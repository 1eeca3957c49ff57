"""How polls ended, as features: shares of an hour's polls, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moodtape.forecaster.features.base import SENTIMENT, compute_all
from moodtape.forecaster.features.polls import poll_features
from moodtape.forecaster.grid import poll_columns


def hours(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="datetime64[us]")


def test_shares_of_the_hour() -> None:
    polls = pd.DataFrame(
        {
            "source": "news",
            "hour": pd.to_datetime(
                ["2026-01-01 01:00", "2026-01-01 03:00", "2026-01-02 00:00"], utc=True
            ),
            "n_polls": [4, 1, 9], "n_down": [1, 0, 9], "n_refused": [2, 0, 0],
            "n_unreadable": [0, 0, 0], "n_capped": [0, 1, 0],
        }
    )  # fmt: skip
    grid = hours(*(f"2026-01-01T{h:02}" for h in range(5)))
    features = poll_features()
    assert [f.name for f in features] == ["down", "refused", "unreadable", "capped"]
    assert {(f.group, f.polarity, f.lookback) for f in features} == {(SENTIMENT, False, 0)}
    matrix = compute_all(features, poll_columns(polls, grid))
    assert matrix.tolist() == [
        [0, 0, 0, 0],
        [0.25, 0.5, 0, 0],
        [0, 0, 0, 0],  # nobody asked
        [0, 0, 0, 1],
        [0, 0, 0, 0],
    ]
