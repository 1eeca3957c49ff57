"""Features of texts, metrics and the clock, against hand-made values and slow definitions."""

import numpy as np
import pytest

from moodtape.forecaster.features import sentiment
from moodtape.forecaster.features.base import CALENDAR, REGISTRY, compute_all, features_of
from moodtape.forecaster.features.onchain import metric_features

NAN = np.nan
Inputs = dict[str, np.ndarray]


def column(name: str, inputs: Inputs) -> np.ndarray:
    extra = {f.name: f for f in sentiment.decayed_features((6.0, 48.0))}
    return compute_all([(REGISTRY | extra)[name]], inputs)[:, 0]


def test_the_last_bar_by_hand() -> None:
    inputs = {"n": np.array([2.0, 0.0, NAN]), "sum_tone": np.array([0.5, 0.0, NAN])}
    np.testing.assert_array_equal(column("tone_last", inputs), [0.25, NAN, NAN])
    np.testing.assert_allclose(column("count_last", inputs), [np.log(3), 0, NAN])
    np.testing.assert_array_equal(column("observed", inputs), [1, 1, 0])


def test_no_texts_and_nobody_watching_are_different(texts: Inputs) -> None:
    silent, blind = dict(texts), dict(texts)
    rows = slice(690, 700)
    for name in ("n", "n_repost", "sum_tone", "sum_tone_squared", "watched"):
        silent[name], blind[name] = texts[name].copy(), texts[name].copy()
        silent[name][rows], blind[name][rows] = 0.0, NAN
    assert column("rate_6h", silent)[-1] < column("rate_6h", blind)[-1]
    assert column("observed", silent)[-1] == 1 - column("observed", blind)[-1] == 1
    assert np.isnan(column("surge", blind)[-1])


@pytest.mark.parametrize("half_life", [6, 48])
def test_decayed_tone_rate_and_spread_against_a_plain_loop(texts: Inputs, half_life: int) -> None:
    steps = 5 * half_life
    tone, rate = column(f"tone_{half_life}h", texts), column(f"rate_{half_life}h", texts)
    spread = column("spread_48h", texts)
    for i in (5, 115, 160, 400, 699):
        weight = count = total = square = 0.0
        for k in range(min(steps, i + 1)):
            if np.isnan(texts["n"][i - k]):
                continue
            decay = 0.5 ** (k / half_life)
            weight += decay
            count += decay * texts["n"][i - k]
            total += decay * texts["sum_tone"][i - k]
            square += decay * texts["sum_tone_squared"][i - k]
        assert tone[i] == pytest.approx(total / count), i
        assert rate[i] == pytest.approx(np.log1p(count / weight)), i
        if half_life == 48:
            assert spread[i] == pytest.approx(np.sqrt(square / count - (total / count) ** 2)), i


def test_surge_and_reposts_against_a_plain_loop(texts: Inputs) -> None:
    surge, share = column("surge", texts), column("repost_share", texts)
    reposts_last = column("reposts_last", texts)
    for i in (60, 170, 699):
        usual = texts["watched"][i] * texts["usual"][i]
        assert surge[i] == pytest.approx(np.log((texts["n"][i] + 1) / (usual + 1)), nan_ok=True)
        last = slice(max(0, i - 47), i + 1)
        reposts = np.nansum(texts["n_repost"][last])
        assert np.isclose(np.exp(reposts_last[i]) - 1, texts["n_repost"][i], equal_nan=True)
        assert share[i] == pytest.approx(reposts / (reposts + np.nansum(texts["n"][last])))


def test_the_age_of_a_regime_by_hand() -> None:
    collections = np.zeros(400)
    collections[50:] = 1
    collections[60:] = 2
    age = column("regime_age", {"collections": collections})
    assert age[49] == 1, "nothing has changed yet"
    assert age[50] == 0
    assert age[59] == pytest.approx(9 / 168)
    assert age[60] == 0
    assert age[60 + 167] == pytest.approx(167 / 168)
    assert age[60 + 168] == 1


def test_polarity_marks_tone_and_never_a_count() -> None:
    marked = {f.name for f in REGISTRY.values() if f.polarity}
    marked |= {f.name for f in sentiment.decayed_features((6.0, 48.0)) if f.polarity}
    assert marked == {"tone_last", "tone_6h", "tone_48h", "spread_48h"}


def test_scaling_tone_moves_only_polarity(texts: Inputs) -> None:
    other = {**texts, "sum_tone": -texts["sum_tone"], "sum_tone_squared": texts["n"] * 0.9}
    features = [*features_of("sentiment"), *sentiment.decayed_features((6.0, 48.0))]
    one, two = compute_all(features, texts), compute_all(features, other)
    for i, item in enumerate(features):
        same = np.array_equal(one[:, i], two[:, i], equal_nan=True)
        assert same is not item.polarity, item.name


def test_the_clock_by_hand() -> None:
    times = np.array(["1970-01-01T06:00", "1970-01-04T12:00"], dtype="datetime64[us]")
    found = compute_all(features_of(CALENDAR), {"cutoff_s": times.astype("int64") / 1e6})
    np.testing.assert_allclose(found[0, :2], [1, 0], atol=1e-12)
    np.testing.assert_allclose(found[1, :2], [0, -1], atol=1e-12)
    np.testing.assert_allclose(found[1, 2:], [0, -1], atol=1e-12)


def test_a_metric_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.standard_normal(100).cumsum(), 2)
    age = np.tile([0.25, 0.75], 100)
    age[150:160] = 9.0
    features = metric_features("TxCnt@x", 2, 7.0)
    found = compute_all(features, {"TxCnt@x.value": values, "TxCnt@x.age_d": age})
    fresh = np.where(age <= 7, values, NAN)
    for i in (40, 149, 155, 170, 199):
        month = fresh[max(0, i - 59) : i + 1]
        level = (fresh[i] - np.nanmean(month)) / np.nanstd(month)
        change = (fresh[i] - fresh[i - 2]) / np.nanstd(month)
        np.testing.assert_allclose(found[i, 0], np.clip(level, -8, 8), err_msg=str(i))
        np.testing.assert_allclose(found[i, 1], np.clip(change, -8, 8), err_msg=str(i))
        assert found[i, 2] == pytest.approx(min(age[i], 7) / 7)
    assert np.isnan(found[155, :2]).all(), "nine days old is missing"


def test_a_metric_never_seen_is_missing_and_as_old_as_can_be() -> None:
    inputs = {"a@b.value": np.full(50, NAN), "a@b.age_d": np.full(50, NAN)}
    found = compute_all(metric_features("a@b", 24, 7.0), inputs)
    assert np.isnan(found[:, :2]).all()
    assert (found[:, 2] == 1).all()
