from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from moodtape.config import WalkForwardSection
from moodtape.errors import ConfigError, DataMissing
from moodtape.forecaster.dataset import Dataset
from moodtape.forecaster.splits import Fold, final_fold, fold_edges, latest_label, make_folds
from moodtape.records import Span

HOUR = np.timedelta64(1, "h")


def settings(**values: Any) -> WalkForwardSection:
    return WalkForwardSection(**({"min_train_rows": 30, "embargo_bars": 5} | values))


def edges_of(fold: Fold) -> tuple[Any, ...]:
    return fold.train_from, fold.test_from, fold.test_until


@examples(max_examples=40, deadline=None, derandomize=True)
@given(
    folds=st.integers(1, 5),
    horizon=st.integers(1, 12),
    embargo=st.integers(0, 30),
    rolling=st.sampled_from([0, 200]),
    refit=st.sampled_from([0, 0, 60]),
    symbols=st.integers(1, 2),
    holes=st.lists(st.integers(80, 450), max_size=4),
)
def test_no_row_is_fitted_on_before_its_label_was_known(
    make_dataset: Any,
    folds: int,
    horizon: int,
    embargo: int,
    rolling: int,
    refit: int,
    symbols: int,
    holes: list[int],
) -> None:
    dataset = make_dataset(
        500, symbols=("BTC", "ETH")[:symbols], horizons=(1, horizon), holes=holes, names=("return",)
    )
    walk = settings(
        folds=folds, embargo_bars=embargo, rolling_bars=rolling, test_fraction=0.4, refit_bars=refit
    )
    known, cutoff = latest_label(dataset), dataset.cutoff
    made = make_folds(dataset, 10, walk)
    assert len(made) == (3 if refit else folds)
    for fold in made:
        parts = [fold.train, fold.stop, fold.calibrate, fold.test]
        assert all(len(part) for part in parts)
        for early, late in pairwise(parts):
            steps = np.diff(cutoff[early])
            assert (steps >= np.timedelta64(0, "us")).all(), "rows are in order of time"
            assert known[early].max() < cutoff[late].min(), "a label was known too late"
        last = cutoff[fold.calibrate].max()
        assert fold.test_from - last >= max(embargo, 1) * HOUR
        assert cutoff[fold.train].min() >= fold.train_from
        tested = cutoff[fold.test]
        assert fold.test_from <= tested.min() <= tested.max() < fold.test_until
        if rolling:
            assert (cutoff[fold.calibrate].max() - cutoff[fold.train].min()) / HOUR < rolling
    every = np.concatenate([fold.test for fold in made])
    assert len(np.unique(every)) == len(every), "a row is tested twice"
    for early, late in pairwise(made):
        assert early.test_until == late.test_from


def test_every_decision_of_the_tested_span_is_tested(make_dataset: Any) -> None:
    dataset = make_dataset(500)
    folds = make_folds(dataset, 60, settings(folds=3, test_fraction=0.5))
    rows = dataset.decisions(60)
    expected = rows[dataset.cutoff[rows] >= folds[0].test_from]
    assert np.array_equal(np.concatenate([f.test for f in folds]), expected)


def test_edges_by_hand() -> None:
    first, until = np.datetime64("2024-01-01", "us"), np.datetime64("2024-01-11", "us")
    grid = first + HOUR * np.arange(240)
    walk = settings(
        folds=2, test_fraction=0.4, embargo_bars=24, stop_fraction=0.1, calibrate_fraction=0.2
    )
    early, late = fold_edges(first, until, grid, walk)
    assert early.test_from == np.datetime64("2024-01-07")
    assert early.test_until == late.test_from == np.datetime64("2024-01-09")
    assert late.test_until == until
    assert early.past_until == np.datetime64("2024-01-06")
    assert early.calibrate_from == np.datetime64("2024-01-05")
    assert early.stop_from == np.datetime64("2024-01-04T12:00")
    rolled = fold_edges(first, until, grid, settings(folds=1, test_fraction=0.4, rolling_bars=48))
    assert rolled[0].train_from == np.datetime64("2024-01-04T19:00"), "48 bars before the embargo"


def test_a_fit_every_so_many_bars() -> None:
    first, until = np.datetime64("2024-01-01", "us"), np.datetime64("2024-01-11", "us")
    grid = first + HOUR * np.arange(240)
    found = fold_edges(first, until, grid, settings(test_fraction=0.4, refit_bars=40, folds=7))
    spans = [(edge.test_until - edge.test_from) / HOUR for edge in found]
    assert spans == [40, 40, 16], "the last one is what is left"
    assert found[0].test_from == np.datetime64("2024-01-07")
    assert all(one.test_until == other.test_from for one, other in pairwise(found))
    with pytest.raises(ConfigError, match=r"every 1 bars makes 239 folds; 200 is the most"):
        fold_edges(first, until, grid, settings(test_fraction=0.999999, refit_bars=1))


def test_an_embargo_counts_bars_of_the_calendar() -> None:
    days = np.arange(np.datetime64("2024-01-01"), np.datetime64("2024-03-01"))
    sessions = days[np.is_busday(days)].astype("datetime64[us]") + np.timedelta64(21, "h")
    walk = settings(folds=1, test_fraction=0.5, embargo_bars=5)
    (edge,) = fold_edges(sessions[0], np.datetime64("2024-03-01", "us"), sessions, walk)
    between = (sessions >= edge.past_until) & (sessions < edge.test_from)
    assert between.sum() == 5


@pytest.mark.parametrize("spacing", [{"folds": 4}, {"refit_bars": 90}])
def test_what_happens_later_moves_no_earlier_fold(make_dataset: Any, spacing: Any) -> None:
    calm = make_dataset(600)
    cut = calm.cutoff[400]
    torn = make_dataset(600, holes=range(420, 600, 7))
    torn = replace(torn, span=calm.span)
    walk = settings(test_fraction=0.6, **spacing)
    before = make_folds(calm, 20, walk, before=cut)
    after = make_folds(torn, 20, walk, before=cut)
    assert len(before) == len(after) == 2
    for one, other in zip(before, after, strict=True):
        assert edges_of(one) == edges_of(other)
        for part in ("train", "stop", "calibrate"):
            assert np.array_equal(getattr(one, part), getattr(other, part)), part
        past = calm.cutoff[one.test] <= cut
        assert np.array_equal(one.test[past], other.test[calm.cutoff[other.test] <= cut])


def test_a_short_history_is_refused_with_what_to_do(make_dataset: Any) -> None:
    with pytest.raises(DataMissing, match=r"Fold 1 has \d+ training .* asks for 3000"):
        make_folds(make_dataset(400), 60, settings(min_train_rows=3000))
    with pytest.raises(DataMissing, match="no decision with 60 bars in a row"):
        make_folds(make_dataset(400, holes=range(0, 400, 50)), 60, settings())


def test_a_tested_span_of_holes_is_refused(make_dataset: Any) -> None:
    dataset = make_dataset(600, holes=range(378, 600))
    with pytest.raises(DataMissing, match="can be tested"):
        make_folds(dataset, 20, settings(folds=1, test_fraction=0.4))


def test_the_final_fold_holds_every_decision_with_a_known_answer(make_dataset: Any) -> None:
    dataset: Dataset = make_dataset(500, horizons=(1, 6), names=("return",))
    fold = final_fold(dataset, 60, settings(stop_fraction=0.1, calibrate_fraction=0.2))
    known, cutoff = latest_label(dataset), dataset.cutoff
    assert not len(fold.test)
    assert known[fold.train].max() < cutoff[fold.stop].min()
    assert known[fold.stop].max() < cutoff[fold.calibrate].min()
    usable = dataset.decisions(60)
    answered = usable[known[usable] <= cutoff.max()]
    assert fold.calibrate[-1] == answered[-1], "the newest answer is used"
    assert fold.train[0] == answered[0]
    purged = len(answered) - len(fold.train) - len(fold.stop) - len(fold.calibrate)
    assert purged == 2 * 6, "six rows before each of the two borders have labels beyond it"
    share = len(fold.calibrate) / len(answered)
    assert share == pytest.approx(0.2, abs=0.02)


def test_the_final_fold_of_a_span_that_ends_early_uses_no_decision_after_it(
    make_dataset: Any,
) -> None:
    dataset = make_dataset(500)
    dataset = replace(
        dataset, span=Span(dataset.span.since, dataset.span.until - timedelta(days=5))
    )
    fold = final_fold(dataset, 60, settings(rolling_bars=100))
    until = np.datetime64(dataset.span.until.replace(tzinfo=None), "us")
    assert dataset.decision_time[fold.calibrate].max() < until
    assert (dataset.cutoff[fold.calibrate].max() - dataset.cutoff[fold.train].min()) / HOUR <= 100
