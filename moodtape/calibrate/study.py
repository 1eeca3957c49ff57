"""One world through the study: the same features, folds, arms and words as any other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.calibrate.worlds import World, draw_world
from moodtape.config import Config
from moodtape.forecaster.arms import arms_of
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.features.base import SENTIMENT
from moodtape.forecaster.loading import make_blocks, stack
from moodtape.forecaster.reach import reach_of
from moodtape.forecaster.rows import RowMaker
from moodtape.forecaster.seeds import child_seed
from moodtape.forecaster.splits import make_folds
from moodtape.forecaster.texts import Texts
from moodtape.records import Span
from moodtape.settings import bundled_config
from moodtape.study.ablate import run_ablation
from moodtape.study.ground import Ground, Question

SYMBOL, STREAM, HOUR = "BTC", "news", timedelta(hours=1)
BLOCKS = {"develop": 1, "certify": 2}
"""Disjoint blocks of seeds: one to try rules on, one that is run once for each change of them."""


def answer_world(
    config: Config, block: str, kind: str, hours: int, gain: float, number: int
) -> list[dict[str, Any]]:
    """Return what a study says of one world: a row a target, with the truth beside the word."""
    started = time.monotonic()
    seed = child_seed(BLOCKS[block], "world", kind, hours, gain, number)
    world = draw_world(np.random.default_rng(seed), kind, hours, gain)
    config = config.model_copy(update={"seed": seed})
    dataset = world_dataset(world, config)
    outcome = run_ablation(_ground(dataset, config), audit_clean=True)
    rows = []
    for answer in outcome.answers:
        detectable = answer.detectable
        rows.append(
            {
                "kind": kind, "gain": gain, "hours": hours, "world": number, "seed": seed,
                "target": answer.target, "forecaster": answer.forecaster,
                "truth": world.gains[answer.target], "margin": answer.evidence.margin,
                "word": answer.verdict.word,
                "effect": answer.effect, "low": answer.interval[0], "high": answer.interval[1],
                **{f"p_{name}": p for name, p in answer.p.items()},
                "p_adjusted": answer.verdict.p_adjusted,
                "smallest": detectable.smallest if detectable else None,
                "reasons": "; ".join(answer.verdict.reasons),
                "seconds": round(time.monotonic() - started, 1),
            }
        )  # fmt: skip
    return rows


def world_dataset(world: World, config: Config) -> Dataset:
    """Return a world's features and answers, by the line's own code."""
    import pandas as pd

    calendar = get_calendar("24/7")
    opens = world.bars["open_time"]
    first, end = opens.iloc[0].to_pydatetime(), opens.iloc[-1].to_pydatetime() + HOUR
    reach = reach_of(config, calendar, HOUR, first)
    span = Span(min(first + reach, end), end + timedelta(minutes=2))
    texts = Texts(
        sums=world.sums,
        seen=world.sums[["source", "hour"]],
        coverage=pd.DataFrame(
            {
                "source": [STREAM], "collection": ["world"], "covered_from": [first],
                "covered_until": [end], "state": ["crawled"],
            }
        ),
        polls=pd.DataFrame({"source": [], "hour": pd.DatetimeIndex([], tz="UTC")}),
    )  # fmt: skip
    maker = RowMaker(config, calendar, HOUR, span, reach, (STREAM,), ())
    symbols, metrics = (SYMBOL,), {SYMBOL: pd.DataFrame()}
    return stack(symbols, make_blocks(maker, symbols, {SYMBOL: world.bars}, texts, metrics), maker)


def _ground(dataset: Dataset, config: Config) -> Ground:
    arms = arms_of(config, dataset, SENTIMENT, bundled_config("ablation.toml"))
    folds = make_folds(dataset, config.network.lookback_bars, config.walk_forward)
    request = Request((SYMBOL,), dataset.span.until, "world", dataset.span)
    # A world's tone was scored by nobody, so no scorer can have read its future.
    young = dataset.span.since - timedelta(days=365)
    return Ground(config, Question(), request, dataset, tuple(arms), tuple(folds), young, ())


def settings_for_worlds(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return a config with the linear forecaster alone and some sections changed.

    Fitted baselines are left out for cost: without them `helps` is said more easily. So is what
    forecasts rest on, which no word uses.
    """
    made = config.model_copy(
        update={
            "verdict": config.verdict.model_copy(update={"forecaster": "linear"}),
            "ablation": config.ablation.model_copy(
                update={"also": (), "baselines": (), "importance_draws": 0}
            ),
            "features": config.features.model_copy(
                update={"groups": ("price", "calendar", "sentiment")}
            ),
        }
    )
    updates = {
        name: getattr(made, name).model_copy(update=dict(values))
        for name, values in changes.items()
    }
    return made.model_copy(update=updates)


__all__ = ["BLOCKS", "answer_world", "settings_for_worlds", "world_dataset"]
