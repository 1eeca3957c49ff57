"""Tests of `moodtape.forecaster.metrics`."""

import numpy as np
import pytest

from moodtape.forecaster import metrics


def test_losses_by_hand() -> None:
    y, f = np.array([1.0, 0.0]), np.array([0.8, 0.3])
    np.testing.assert_allclose(metrics.squared_error(y, f), [0.04, 0.09])
    np.testing.assert_allclose(metrics.absolute_error(y, f), [0.2, 0.3])
    np.testing.assert_allclose(metrics.brier(y, f), [0.04, 0.09])
    np.testing.assert_allclose(metrics.log_loss(y, f), [-np.log(0.8), -np.log(0.7)])
    np.testing.assert_allclose(metrics.pinball(y, f, 0.9), [0.18, 0.03])


def test_log_loss_of_a_sure_and_wrong_forecast_is_finite() -> None:
    assert metrics.log_loss(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(-np.log(1e-6))


def test_pinball_is_least_at_the_quantile() -> None:
    y = np.arange(1.0, 101.0)
    means = [metrics.pinball(y, np.full(100, q), 0.9).mean() for q in range(1, 101)]
    assert 1 + int(np.argmin(means)) in (90, 91)


def test_the_deciding_loss_of_a_return_counts_it_in_units_of_its_usual_size() -> None:
    loss = metrics.deciding_loss("return", np.array([0.02]), np.array([0.0]), np.array([1e-4]), 4)
    np.testing.assert_allclose(loss, [1.0])


@pytest.mark.parametrize("target", ["direction", "volatility"])
def test_the_other_deciding_losses_are_squares(target: str) -> None:
    one = np.array([1.0])
    loss = metrics.deciding_loss(target, one, np.array([0.4]), np.array([1e-4]), 4)
    np.testing.assert_allclose(loss, [0.36])


def test_matthews_against_sklearn() -> None:
    from sklearn.metrics import matthews_corrcoef

    rng = np.random.default_rng(0)
    y, said = rng.integers(0, 2, 200), rng.uniform(0, 1, 200)
    expected = matthews_corrcoef(y, said > 0.5)
    assert metrics.matthews(y.astype(float), said) == pytest.approx(expected)
    assert metrics.matthews(y.astype(float), np.full(200, 0.9)) == 0.0


def test_skill_is_above_zero_when_the_loss_is_smaller() -> None:
    assert metrics.skill(np.array([1.0, 2.0]), np.array([2.0, 2.0])) == pytest.approx(0.25)
