"""Moments of rows against their plain sums, and rows that go without another pass."""

from __future__ import annotations

import numpy as np
import pytest

from moodtape.forecaster.moments import Moments


@pytest.fixture
def values() -> np.ndarray:
    rng = np.random.default_rng(4)
    return rng.standard_normal((400, 6)) * 10.0 ** np.arange(-3, 3) + 7.0


def same(one: Moments, two: Moments) -> None:
    assert one.n == two.n
    np.testing.assert_allclose(one.mean, two.mean, rtol=1e-12)
    size = np.sqrt(np.outer(np.diag(two.products), np.diag(two.products)))
    np.testing.assert_allclose(one.products / size, two.products / size, atol=1e-10)


def test_moments_are_plain_sums(values: np.ndarray) -> None:
    found = Moments.of(values)
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    np.testing.assert_allclose(found.products, np.cov(values.T, ddof=0) * len(values), rtol=1e-9)


def test_rows_that_go_leave_the_moments_of_the_others(values: np.ndarray) -> None:
    same(Moments.of(values).without(Moments.of(values[50:170])), Moments.of(
        np.vstack([values[:50], values[170:]])
    ))  # fmt: skip
    same(Moments.of(values).without(Moments.of(values[:0])), Moments.of(values))


def test_products_about_another_center(values: np.ndarray) -> None:
    center = np.arange(6.0)
    np.testing.assert_allclose(
        Moments.of(values).about(center), (values - center).T @ (values - center)
    )
