"""The clean line gives no alarm, however it is configured and wherever it is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.records import Span
from moodtape.storage.hours import HourRules, refresh_hours

if TYPE_CHECKING:
    from tests.point_in_time.conftest import Study

START, HOUR = datetime(2025, 3, 1, tzinfo=UTC), timedelta(hours=1)


def drawn_config(rng: np.random.Generator) -> Config:
    """Return settings that change what is computed, each from its sensible range."""

    def one_of(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    groups = ["price", *(g for g in ("calendar", "sentiment", "onchain") if rng.random() < 0.8)]
    return Config.model_validate(
        {
            "seed": int(rng.integers(1_000)),
            "clock": {"decision_delay_s": one_of(0, 1, 120, 900), "max_age_h": one_of(1, 6, 24)},
            "sentiment": {
                "scorer": "lexicon",
                "sources": one_of(["news"], ["reddit"], ["news", "reddit"]),
                "market_texts": one_of(True, False),
                "repost_window_h": one_of(1, 72, 500),
                "half_lives_h": one_of([6.0, 48.0], [1.0], [3.0, 24.0]),
            },
            "features": {
                "groups": groups,
                "metric_max_age_d": one_of(1, 3, 7),
                "fill_limit_bars": one_of(0, 0, 5),
                "masks": one_of("share", "each"),
                "scaling": one_of("z-score", "min-max", "robust"),
                "peers": one_of([], ["ETH"]),
            },
            "target": {
                "names": one_of(["return"], ["direction", "volatility"], ["volatility", "return"]),
                "horizons": one_of([1], [1, 12], [3], [24]),
            },
            "network": {"lookback_bars": one_of(4, 12, 30), "sentiment_lookback_bars": 6},
            "walk_forward": {
                "folds": one_of(1, 2, 4),
                "test_fraction": one_of(0.3, 0.5),
                "embargo_bars": one_of(0, 6, 24),
                "rolling_bars": one_of(0, 0, 200),
                "stop_fraction": 0.2,
                "min_train_rows": 30,
            },
        }
    )


@pytest.fixture
def hours_again(study: Study) -> Iterator[None]:
    """Make the hours by the study's own rules again, for the tests that come after."""
    yield
    with study.warehouse.write() as connection:
        refresh_hours(connection, study.rules)


@pytest.mark.slow
@pytest.mark.usefixtures("hours_again")
@pytest.mark.parametrize("number", range(50))
def test_no_alarm(study: Study, number: int) -> None:
    rng = np.random.default_rng(number)
    config = drawn_config(rng)
    rules = HourRules(
        timedelta(hours=config.clock.max_age_h), timedelta(hours=config.sentiment.repost_window_h)
    )
    since = START + int(rng.integers(70, 150)) * HOUR
    until = START + int(rng.integers(560, 640)) * HOUR
    request = replace(study.request, span=Span(since, until))
    with study.warehouse.write() as connection:
        refresh_hours(connection, rules)
    between = tuple(since + (until - since) * share for share in rng.uniform(0.3, 0.9, 2))
    cuts = 2 if rng.random() < 0.5 else between
    result = replace(study, config=config, request=request, rules=rules).audit(cuts=cuts)
    assert result.clean, result.sentence()
