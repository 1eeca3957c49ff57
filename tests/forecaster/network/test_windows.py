from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from moodtape.forecaster.windows import fixed_batches, gather, thin, window_rows


def test_a_window_ends_at_its_row_and_runs_forward() -> None:
    matrix = np.arange(12.0).reshape(6, 2)
    assert window_rows(np.array([2, 5]), 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    windows = gather(matrix, np.array([5]), 2)
    assert windows.dtype == np.float32
    assert windows.tolist() == [[[8.0, 9.0], [10.0, 11.0]]]


def test_thinning_keeps_the_newest_row_and_the_order() -> None:
    rows = np.arange(100, 200)
    kept = thin(rows, 30)
    assert kept[-1] == 199
    assert len(kept) == 25
    assert (np.diff(kept) == 4).all()
    assert thin(rows, 0) is rows
    assert thin(rows, 100) is rows


@given(count=st.integers(1, 300), size=st.integers(1, 64))
def test_batches_have_one_size_and_hold_every_row_once(count: int, size: int) -> None:
    rows = np.arange(count) * 3
    batches = list(fixed_batches(rows, size))
    assert {len(part) for part, _ in batches} == {size}
    kept = np.concatenate([part[weight > 0] for part, weight in batches])
    assert kept.tolist() == rows.tolist()
    assert sum(weight.sum() for _, weight in batches) == count
