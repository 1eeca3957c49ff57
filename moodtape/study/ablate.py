"""The ablation from ground to answers: plan, cells, words."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import from_datetime64
from moodtape.forecaster.ablation import Study, run_rules, run_study
from moodtape.forecaster.answers import Answer, answer_all
from moodtape.forecaster.forecasters import FORECASTERS
from moodtape.forecaster.runs import config_hash, write_json
from moodtape.forecaster.train import NetworkForecaster
from moodtape.study.ground import Ground

if TYPE_CHECKING:
    from moodtape.forecaster.device import Device

Progress = Callable[[int, int, str], None]

PLAN = "plan.json"


@dataclass(frozen=True)
class Outcome:
    """Everything that came of a study."""

    studies: tuple[Study, ...]
    answers: tuple[Answer, ...]
    cells: tuple[Mapping[str, Any], ...]
    device: Device | None
    seconds: float


def forecasters(ground: Ground) -> list[str]:
    """Return the forecaster that gives the word, then those shown beside it."""
    config = ground.config
    first = config.verdict.forecaster
    return [first, *(name for name in config.ablation.also if name != first)]


def write_plan(folder: Path, ground: Ground, looks: Mapping[str, int]) -> None:
    """Write what will be asked and how, before any test row is read."""
    config = ground.config
    plan = {
        "subject": ground.question.subject,
        "symbols": ground.dataset.symbols,
        "span": [ground.span.since, ground.span.until],
        "dataset": ground.dataset.fingerprint(),
        "config_hash": config_hash(config),
        "forecaster": config.verdict.forecaster,
        "arms": [arm.name for arm in ground.arms],
        "margin": config.verdict.margin,
        "level": config.verdict.level,
        "family": [
            f"{symbol} {key}" for symbol in ground.dataset.symbols for key in ground.dataset.targets
        ],
        "folds": [
            [from_datetime64(f.test_from), from_datetime64(f.test_until)] for f in ground.folds
        ],
        "earlier_looks": looks,
    }
    write_json(folder / PLAN, plan)


def run_ablation(ground: Ground, audit_clean: bool, progress: Progress | None = None) -> Outcome:
    """Fit every cell of every forecaster and return the answers."""
    started = time.monotonic()
    names = forecasters(ground)
    opened = {name: FORECASTERS[name].open(ground.config) for name in names}
    network = next((o for o in opened.values() if isinstance(o, NetworkForecaster)), None)
    told = _counted(progress, _cells(ground, names))
    rules = run_rules(ground.dataset, ground.folds, ground.config, told)
    studies = [
        run_study(
            ground.dataset, ground.folds, ground.arms, ground.config, name, opened[name], told,
            rules,
        )
        for name in names
    ]  # fmt: skip
    answers = answer_all(studies, ground.dataset, ground.config, audit_clean)
    return Outcome(
        tuple(studies), tuple(answers), tuple(network.log) if network else (),
        network.device if network else None, time.monotonic() - started,
    )  # fmt: skip


def _cells(ground: Ground, names: list[str]) -> int:
    """Return how many fits there are in all, a fold's baselines counted as one."""
    seeds = ground.config.training.seeds
    fits = sum(FORECASTERS[name].fits(arm, seeds) for name in names for arm in ground.arms)
    return (fits + 1) * sum(1 for fold in ground.folds if len(fold.test))


def _counted(progress: Progress | None, total: int) -> Callable[[str], None] | None:
    """Return a callback that counts the cells it is told of."""
    if progress is None:
        return None
    done = 0

    def tell(cell: str) -> None:
        nonlocal done
        progress(done, total, cell)
        done += 1

    return tell
