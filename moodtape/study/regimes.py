"""The effect in calm and in wild times: exploratory, printed without a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moodtape.forecaster.arms import NULL
from moodtape.forecaster.evidence import mean_loss, paired, target_losses
from moodtape.forecaster.seeds import generator
from moodtape.forecaster.shift import usual_bars
from moodtape.forecaster.stats import Resamples, block_length
from moodtape.study.ablate import Outcome
from moodtape.study.evaluation import DRAWS, FEWEST_ROWS, mean_interval, regimes
from moodtape.study.further import MOST_TABLES
from moodtape.study.ground import Ground


def regime_rows(ground: Ground, outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield the gain over null on the test rows of each regime, as a share of null's loss there.

    One row is `{symbol, target, horizon_bars, forecaster, regime, effect, interval, n}`; regimes
    overlap, and one with few rows is left out. Of a panel with many questions only the forecaster
    that gives the word has rows.
    """
    dataset, config = ground.dataset, ground.config
    per_day = usual_bars(dataset, "D")
    many = len(dataset.symbols) * len(dataset.targets) > MOST_TABLES
    for study in outcome.studies[:1] if many else outcome.studies:
        for number, symbol in enumerate(dataset.symbols):
            for key, target in dataset.targets.items():
                losses = target_losses(study, dataset, number, key)
                null = losses.by_arm[NULL]
                gain = paired(null, losses.by_arm[study.real]).mean(axis=0)
                if len(gain) < FEWEST_ROWS:
                    continue
                block = block_length(gain, target.horizon_bars, per_day)
                for regime, inside in regimes(dataset, target, losses.rows).items():
                    n, scale = int(inside.sum()), mean_loss(null[:, inside])
                    if n < FEWEST_ROWS or not scale:
                        continue
                    rng = generator(config.seed, "regimes", symbol, key, regime)
                    found = mean_interval(gain[inside], Resamples.draw(n, block, DRAWS, rng))
                    yield {
                        "symbol": symbol,
                        "target": target.name,
                        "horizon_bars": target.horizon_bars,
                        "forecaster": study.forecaster,
                        "regime": regime,
                        "effect": found["value"] / scale,
                        "interval": [found["low"] / scale, found["high"] / scale],
                        "n": n,
                    }
