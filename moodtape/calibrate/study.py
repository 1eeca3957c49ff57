"""One world through the study: the same features, folds, arms and words as any other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import numpy as np

from moodtape.calendars import get_calendar
from moodtape.calibrate.fresh import expected_gains
from moodtape.calibrate.mine import Mine, draw_like
from moodtape.calibrate.worlds import World, draw_world
from moodtape.calibrate.written import written_ground
from moodtape.clock import parse_duration
from moodtape.config import Config
from moodtape.config.project import MarketSection
from moodtape.forecaster.answers import Answer
from moodtape.forecaster.arms import arms_of
from moodtape.forecaster.claims import TONE
from moodtape.forecaster.dataset import Dataset, Request
from moodtape.forecaster.features.base import SENTIMENT
from moodtape.forecaster.holdout import holdout_of
from moodtape.forecaster.loading import make_blocks, stack
from moodtape.forecaster.reach import reach_of
from moodtape.forecaster.rows import RowMaker
from moodtape.forecaster.seeds import child_seed
from moodtape.forecaster.splits import make_folds
from moodtape.records import Span
from moodtape.settings import bundled_config
from moodtape.study.ablate import run_ablation
from moodtape.study.ground import Ground, Question

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


@dataclass(frozen=True)
class Way:
    """How worlds are made and measured.

    fresh_bars: bars of the same world on which it is measured what the fitted models are worth;
        0 leaves that out.
    from_texts: the texts of a world are written out, imported and scored.
    mine: what worlds of a kind of MINE_KINDS are like.
    """

    fresh_bars: int = 0
    from_texts: bool = False
    mine: Mine | None = None


DRAWN = Way()
"""As a rule: drawn by the hour, and only the words are asked for."""


def answer_world(config: Config, cell: Cell, way: Way = DRAWN) -> list[dict[str, Any]]:
    """Return what a study says of one world: a row a target, with the truth beside the word."""
    started, rng = time.process_time(), np.random.default_rng(cell.seed)
    if way.mine is not None:
        world = draw_like(rng, way.mine, cell.kind, cell.gain)
    else:
        bar = parse_duration(config.market.interval)
        world = draw_world(rng, cell.kind, cell.hours, cell.gain, bar)
    config = config.model_copy(update={"seed": cell.seed})
    make = partial(written_ground, rng=rng) if way.from_texts else ground_of_world
    ground = make(world, config)
    outcome = run_ablation(ground, audit_clean=True, words_alone=True)
    expected: Mapping[str, float] = {}
    if way.fresh_bars:
        expected = expected_gains(ground, _fresh(config, cell, way.fresh_bars))
    taken = round(time.process_time() - started, 2)
    return [
        {**row_of(answer, expected), "seed": cell.seed, "cpu_s": taken,
         "truth": world.gains[answer.claim][answer.target]}
        for answer in outcome.answers
    ]  # fmt: skip


def row_of(answer: Answer, expected: Mapping[str, float]) -> dict[str, Any]:
    """Return what is written of one answer.

    Args:
        expected: gains of the fitted models with tone in the long run, by target key, if measured.
    """
    planted, key = answer.planted, f"{answer.target}_{answer.horizon_bars}"
    scale, measured = answer.evidence.null_loss, answer.claim == TONE and key in expected
    return {
        "claim": answer.claim, "target": answer.target, "horizon_bars": answer.horizon_bars,
        "forecaster": answer.forecaster, "n": answer.n,
        "expected": expected[key] / scale if measured else None,
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

    Decisions begin where what they look back on is there.

    Args:
        until: end of the decisions; that of the world by default.
    """
    import pandas as pd

    calendar, interval = (
        get_calendar(config.market.calendar), parse_duration(config.market.interval),
    )  # fmt: skip
    first = world.bars["open_time"].iloc[0].to_pydatetime()
    reach = reach_of(config, calendar, interval, first)
    since = max(world.span.since, min(first + reach, world.span.until))
    span, symbols = Span(since, until or world.span.until), (world.symbol,)
    maker = RowMaker(config, calendar, interval, span, reach, world.streams, ())
    bars, metrics = {world.symbol: world.bars}, {world.symbol: pd.DataFrame()}
    return stack(symbols, make_blocks(maker, symbols, bars, world.texts, metrics), maker)


def ground_of_world(world: World, config: Config) -> Ground:
    """Return what a study of a world stands on: without a hold-out where there would be one."""
    dataset = world_dataset(world, config)
    held = holdout_of(dataset, config.network.lookback_bars)
    if held is not None:
        dataset = world_dataset(world, config, held.since)
    arms = arms_of(config, dataset, SENTIMENT, bundled_config("ablation.toml"))
    folds = make_folds(dataset, config.network.lookback_bars, config.walk_forward)
    request = Request((world.symbol,), dataset.span.until, "world", dataset.span)
    # A world's tone was scored by nobody, so no scorer can have read its future.
    young = dataset.span.since - timedelta(days=365)
    return Ground(config, Question(), request, dataset, tuple(arms), tuple(folds), young, (), held)


def settings_for_worlds(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return a config for worlds of one asset, hourly by default, with some sections changed.

    It is that of `settings_like_mine` but for the market, which is not the user's.
    """
    return settings_like_mine(config.model_copy(update={"market": MarketSection()}), changes)


def settings_like_mine(config: Config, changes: Mapping[str, Mapping[str, Any]]) -> Config:
    """Return a config with one forecaster, the linear one by default, and the first asset alone.

    Fitted baselines are left out for cost: without them `helps` is said more easily. So is what
    forecasts rest on, which no word uses.

    Args:
        changes: further settings by section.
    """
    sections: dict[str, dict[str, Any]] = {
        "market": {"symbols": config.market.symbols[:1]},
        "verdict": {"forecaster": "linear"},
        "ablation": {
            "claims": ("tone",), "also": (), "baselines": (), "importance_draws": 0,
            "subject": "sentiment",
        },
        "features": {"groups": ("price", "calendar", "sentiment"), "others": False},
    }  # fmt: skip
    for name, values in changes.items():
        sections[name] = {**sections.get(name, {}), **values}
    updates = {
        name: getattr(config, name).model_copy(update=values) for name, values in sections.items()
    }
    return config.model_copy(update=updates)
