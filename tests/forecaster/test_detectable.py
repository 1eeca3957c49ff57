"""Effects planted on purpose, and the words that depend on whether they were found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from moodtape.config import Config
from moodtape.forecaster.ablation import run_study
from moodtape.forecaster.answers import Answer, Draft, Terms, answers_of, drafts_of, would_help
from moodtape.forecaster.arms import Arm, arms_of
from moodtape.forecaster.detectable import Detectable, smallest_effects
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.splits import Fold, make_folds
from moodtape.forecaster.verdict import CANNOT_TELL, DOES_NOT_HELP, HELPS
from moodtape.settings import bundled_config

MARGIN = 0.2


def settings(margin: float = MARGIN, **verdict: Any) -> Config:
    """Return small settings in which a gain of a fifth of the loss matters."""
    return Config.model_validate(
        {
            "walk_forward": {"folds": 2, "min_train_rows": 100},
            "network": {"lookback_bars": 20},
            "sentiment": {"half_lives_h": (6.0,)},
            "target": {"names": ("return",)},
            "verdict": {
                "draws": 300, "planted_draws": 5, "margin": {"return": margin}, **verdict
            },
        }
    )  # fmt: skip


class World:
    """A study of the linear forecaster, and what is needed to plant effects in it."""

    def __init__(self, dataset: Any, config: Config) -> None:
        self.dataset, self.config = dataset, config
        self.folds: list[Fold] = make_folds(dataset, 20, config.walk_forward)
        self.arms: list[Arm] = arms_of(
            config, dataset, "sentiment", bundled_config("ablation.toml")
        )
        study = run_study(dataset, self.folds, self.arms, config, LINEAR)
        self.drafts: list[Draft] = drafts_of(study, dataset, config, audit_clean=True)

    def detectable(self) -> dict[tuple[str, int, str], Detectable]:
        def found(case: Any, evidence: Any) -> bool:
            return would_help(evidence, [], self.config.verdict.level)

        (arm,) = (arm for arm in self.arms if arm.treatment == "planted")
        cases = [draft.case for draft in self.drafts]
        return smallest_effects(cases, found, self.dataset, self.folds, arm, self.config)

    def answer(self, **terms: Any) -> Answer:
        given = Terms(self.config.verdict.level, **terms)
        (answer,) = answers_of(self.drafts, self.dataset, self.config, given)
        return answer


@pytest.fixture(scope="module")
def silent(make_dataset: Any) -> World:
    """Return a world in which the texts say nothing."""
    return World(make_dataset(3000, names=("return",), seed=4), settings())


def test_a_large_effect_is_seen_and_the_smallest_is_on_the_grid(silent: World) -> None:
    (found,) = silent.detectable().values()
    assert found.seen_at_margin
    assert found.smallest in [MARGIN / 4, MARGIN / 2, MARGIN]
    for size, (hits, tried) in found.found.items():
        assert (hits >= 4) == (size * MARGIN >= found.smallest), "smaller ones were missed"
        assert tried <= 5


def test_texts_that_say_nothing_do_not_help_and_it_is_said(silent: World) -> None:
    answer = silent.answer(detectable=silent.detectable())
    assert answer.planted is not None
    assert answer.planted.found
    assert answer.planted.effect == pytest.approx(MARGIN, abs=0.05)
    assert answer.evidence.positive_control
    assert answer.verdict.word == DOES_NOT_HELP


def test_unless_nobody_looked_for_what_was_planted(silent: World) -> None:
    answer = silent.answer()
    assert answer.evidence.positive_control is None
    assert answer.verdict.word == CANNOT_TELL


def test_unless_what_was_planted_was_not_found(silent: World) -> None:
    missed = {("tone", 0, "return_1"): Detectable(2 * MARGIN, 8 * MARGIN, {1.0: (1, 3)}, 5)}
    answer = silent.answer(detectable=missed)
    assert answer.evidence.positive_control is False
    assert answer.verdict.word == CANNOT_TELL
    assert "an effect planted on purpose was not found" in answer.verdict.reasons[0]


def test_earlier_trials_join_the_family(silent: World) -> None:
    first, later = silent.answer(), silent.answer(earlier=7)
    assert (first.family, later.family) == (1, 8)
    assert later.verdict.p_adjusted == min(1.0, 8 * first.verdict.p_adjusted)


def test_where_nothing_would_have_been_found_the_largest_size_is_told(make_dataset: Any) -> None:
    world = World(make_dataset(2000, names=("return",)), settings(0.0002))
    (found,) = world.detectable().values()
    assert found.smallest is None
    assert found.largest == pytest.approx(8 * 0.0002)
    assert not found.seen_at_margin
    assert list(found.found) == [1.0, 2.0, 4.0, 8.0]
    assert all(tried == 2 for _, tried in found.found.values()), "two missed of five are enough"


def test_no_effect_is_planted_that_would_be_the_whole_loss(silent: World) -> None:
    wide = settings(0.3)
    (arm,) = (arm for arm in silent.arms if arm.treatment == "planted")
    cases = [draft.case for draft in silent.drafts]
    (found,) = smallest_effects(
        cases, lambda case, evidence: False, silent.dataset, silent.folds, arm, wide
    ).values()
    assert list(found.found) == [1.0, 2.0]
    assert found.smallest is None
    assert found.largest == pytest.approx(0.6), "four margins were more than there is to gain"


def test_texts_younger_than_the_scorer_must_say_it_alone(make_dataset: Any) -> None:
    world = World(make_dataset(3000, names=("return",), pull=0.7), settings())
    rows, dataset = world.drafts[0].case.losses.rows, world.dataset
    known = {("tone", 0, "return_1"): Detectable(0.1, 1.6, {1.0: (4, 4)}, 5)}
    half = dataset.cutoff[rows[len(rows) // 2]]
    answer = world.answer(young_from=half, detectable=known)
    assert answer.evidence.young is not None
    assert answer.evidence.young.enough
    assert answer.evidence.young.p < 0.05
    few = world.answer(young_from=dataset.cutoff[rows[-10]], detectable=known)
    assert few.evidence.young is not None
    assert not few.evidence.young.enough, "ten forecasts"
    never = world.answer(young_from=np.datetime64("9999-01-01", "us"), detectable=known)
    assert never.evidence.young is not None
    assert not never.evidence.young.enough
    assert world.answer().evidence.young is None, "no text is at stake"


@pytest.mark.parametrize(
    "known", [{}, {("tone", 0, "return_1"): Detectable(None, 1.6, {1.0: (0, 2)}, 5)}]
)
def test_a_scorer_older_than_every_text_has_read_no_future(
    make_dataset: Any, known: dict[tuple[str, int, str], Detectable]
) -> None:
    world = World(make_dataset(3000, names=("return",), pull=0.7), settings())
    answer = world.answer(young_from=world.dataset.cutoff[0], detectable=known)
    assert answer.verdict.word == HELPS
    assert answer.evidence.young is not None
    assert answer.evidence.young.enough, "however small the effects are that would be found"
    assert answer.evidence.young.p == answer.evidence.p_suffered
