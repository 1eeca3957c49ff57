"""Point in time: what a feature says of a step depends on its own look-back and no more."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from moodtape.forecaster.features import chosen, sentiment  # noqa: F401  registers
from moodtape.forecaster.features.base import PRICE, REGISTRY, Feature, compute_all
from moodtape.forecaster.features.onchain import metric_features

Inputs = dict[str, np.ndarray]
Draw = Callable[[int, int], Inputs]
STEPS = (0, 1, 40, 167, 170, 259, 305, 330, 480, 598)


def all_features() -> dict[str, Feature]:
    """Return the declared features and those made from settings."""
    made = [*sentiment.decayed_features((6.0, 48.0)), *metric_features("m@p", 24, 7.0)]
    return REGISTRY | {f.name: f for f in made}


def looks_ahead(item: Feature, inputs: Inputs, steps: tuple[int, ...] = STEPS) -> Iterator[int]:
    """Yield the steps at which a value changes when what comes later is cut off."""
    whole = compute_all([item], inputs)[:, 0]
    for step in steps:
        cut = {name: column[: step + 1] for name, column in inputs.items()}
        then = compute_all([item], cut)[-1, 0]
        if then.tobytes() != whole[step].tobytes():
            yield step


@pytest.mark.parametrize("name", all_features())
def test_no_feature_sees_the_future(name: str, draw_inputs: Draw) -> None:
    assert list(looks_ahead(all_features()[name], draw_inputs(0, 600))) == []


@pytest.mark.parametrize("name", all_features())
def test_no_feature_reaches_further_back_than_it_declares(name: str, draw_inputs: Draw) -> None:
    item, inputs = all_features()[name], draw_inputs(1, 900)
    whole = compute_all([item], inputs)[:, 0]
    for step in (725, 800, 899):
        near = {n: column[step - item.lookback : step + 1] for n, column in inputs.items()}
        then = compute_all([item], near)[-1, 0]
        assert then.tobytes() == whole[step].tobytes(), f"{name} at {step}"


@pytest.mark.parametrize("name", ["log_variance_168", "rsi_14", "tone_48h", "bollinger_20"])
def test_a_long_history_gives_the_same_bits(name: str, draw_inputs: Draw) -> None:
    inputs = draw_inputs(2, 8192 + 40)
    assert list(looks_ahead(all_features()[name], inputs, (8190, 8191, 8192, 8193, 8230))) == []


def centred_mean(close: np.ndarray) -> np.ndarray:
    padded = np.concatenate([[np.nan], close, [np.nan]])
    return np.array([np.nanmean(padded[i : i + 3]) for i in range(len(close))])


def whole_sample_score(close: np.ndarray) -> np.ndarray:
    return (close - np.nanmean(close)) / np.nanstd(close)


def filled_backwards(close: np.ndarray) -> np.ndarray:
    result = close.copy()
    for i in range(len(close) - 2, -1, -1):
        if np.isnan(result[i]):
            result[i] = result[i + 1]
    return result


@pytest.mark.parametrize("leak", [centred_mean, whole_sample_score, filled_backwards])
@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_a_planted_leak_is_seen(leak: Callable[..., np.ndarray], draw_inputs: Draw) -> None:
    item = Feature("leak", PRICE, ("close",), 3, "", leak)
    assert list(looks_ahead(item, draw_inputs(0, 600))) != []


def test_a_planted_memory_is_seen(draw_inputs: Draw) -> None:
    def running_mean(close: np.ndarray) -> np.ndarray:
        return np.nancumsum(close) / np.arange(1, len(close) + 1)

    item, inputs = Feature("memory", PRICE, ("close",), 3, "", running_mean), draw_inputs(0, 600)
    assert list(looks_ahead(item, inputs)) == [], "it does not see the future"
    near = compute_all([item], {"close": inputs["close"][496:500]})[-1, 0]
    assert near != compute_all([item], inputs)[499, 0]
