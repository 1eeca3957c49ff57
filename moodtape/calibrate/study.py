"""One world through the study: the same features, folds, arms and words as any other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.calibrate.fresh import expected_gains
from moodtape.calibrate.worlds import World, draw_world
from moodtape.config import Config
from moodtape.forecaster.answers import Answer
from moodtape.forecaster.arms import arms_of
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.features.base import SENTIMENT
from moodtape.forecaster.holdout import holdout_of
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


@dataclass(frozen=True)
class Cell:
    """One world to be drawn: a kind, the size of its effect, a length in hours, a number."""

    block: str
    kind: str
    gain: float
    hours: int
    world: int

    @property
    def key(self) -> tuple[str, ...]:
        """Return what a file of worlds knows it by."""
        return (self.block, self.kind, f"{self.gain:g}", str(self.hours), str(self.world))

    @property
    def seed(self) -> int:
        """Return the seed of the world and of its study."""
        return child_seed(BLOCKS[self.block], "world", self.kind, self.hours, self.gain, self.world)


def answer_world(config: Config, cell: Cell, fresh_bars: int = 0) -> list[dict[str, Any]]:
    """Return what a study says of one world: a row a target, with the truth beside the word.

    Args:
        fresh_bars: bars of the same world on which it is measured what the fitted models are
            worth; 0 leaves that out.
    """
    started = time.process_time()
    world = draw_world(np.random.default_rng(cell.seed), cell.kind, cell.hours, cell.gain)
    config = config.model_copy(update={"seed": cell.seed})
    ground = ground_of_world(world, config)
    outcome = run_ablation(ground, audit_clean=True, words_alone=True)
    expected: Mapping[str, float] = {}
    if fresh_bars:
        expected = expected_gains(ground, _fresh(config, cell, fresh_bars))
    taken = round(time.process_time() - started, 2)
    return [
        {**row_of(answer, expected), "seed": cell.seed, "truth": world.gains[answer.target],
         "cpu_s": taken}
        for answer in outcome.answers
    ]  # fmt: skip


def row_of(answer: Answer, expected: Mapping[str, float]) -> dict[str, Any]:
    """Return what is written of one answer.

    Args:
        expected: gains of the fitted models in the long run, by target key, if measured.
    """
    planted, key = answer.planted, f"{answer.target}_{answer.horizon_bars}"
    scale = answer.evidence.null_loss
    return {
        "target": answer.target, "horizon_bars": answer.horizon_bars,
        "forecaster": answer.forecaster, "n": answer.n,
        "expected": expected[key] / scale if key in expected else None,
        "margin": answer.evidence.margin, "word": answer.verdict.word,
        "effect": answer.effect, "low": answer.interval[0], "high": answer.interval[1],
        **{f"p_{name}": p for name, p in answer.p.items()},
        "p_adjusted": answer.verdict.p_adjusted,
        "planted": planted.effect if planted else None,
        "planted_found": planted.found if planted else None,
        "control_seen": answer.evidence.positive_control,
        "reasons": "; ".join(answer.verdict.reasons),
    }  # fmt: skip


def _fresh(config: Config, cell: Cell, bars: int) -> Dataset:
    """Return fresh bars of a cell's law, the same for all its worlds: they are dear to make."""
    settings = config.model_copy(update={"seed": 0}).model_dump_json()
    return _drawn(cell.block, cell.kind, cell.gain, bars, settings)


@lru_cache(maxsize=2)
def _drawn(block: str, kind: str, gain: float, bars: int, settings: str) -> Dataset:
    seed = child_seed(BLOCKS[block], "fresh", kind, gain)
    world = draw_world(np.random.default_rng(seed), kind, bars, gain)
    return world_dataset(world, Config.model_validate_json(settings))


def world_dataset(world: World, config: Config, until: datetime | None = None) -> Dataset:
    """Return a world's features and answers, by the line's own code.

    Args:
        until: end of the decisions; that of the bars by default.
    """
    import pandas as pd

    calendar = get_calendar("24/7")
    opens = world.bars["open_time"]
    first, end = opens.iloc[0].to_pydatetime(), opens.iloc[-1].to_pydatetime() + HOUR
    reach = reach_of(config, calendar, HOUR, first)
    span = Span(min(first + reach, end), until or end + timedelta(minutes=2))
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


def ground_of_world(world: World, config: Config) -> Ground:
    """Return what a study of a world stands on: without a hold-out where there would be one."""
    dataset = world_dataset(world, config)
    held = holdout_of(dataset, config.network.lookback_bars)
    if held is not None:
        dataset = world_dataset(world, config, held.since)
    arms = arms_of(config, dataset, SENTIMENT, bundled_config("ablation.toml"))
    folds = make_folds(dataset, config.network.lookback_bars, config.walk_forward)
    request = Request((SYMBOL,), dataset.span.until, "world", dataset.span)
    # A world's tone was scored by nobody, so no scorer can have read its future.
    young = dataset.span.since - timedelta(days=365)
    return Ground(config, Question(), request, dataset, tuple(arms), tuple(folds), young, (), held)


def settings_for_worlds(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return a config with the linear forecaster alone and some sections changed.

    Fitted baselines are left out for cost: without them `helps` is said more easily. So is what
    forecasts rest on, which no word uses.
    """
    made = config.model_copy(
        update={
            "verdict": config.verdict.model_copy(update={"forecaster": "linear"}),
            "ablation": config.ablation.model_copy(
                update={"claims": ("tone",), "also": (), "baselines": (), "importance_draws": 0}
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
