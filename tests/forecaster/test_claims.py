"""The claim `attention`: numbers of texts against null and against their own placebos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from moodtape.config import Config
from moodtape.errors import ConfigError
from moodtape.forecaster.ablation import run_study
from moodtape.forecaster.answers import Answer, Terms, answers_of, drafts_of
from moodtape.forecaster.arms import Arm, arms_of, count_columns
from moodtape.forecaster.claims import ATTENTION, TONE, claims_of, viewed
from moodtape.forecaster.features.base import Column
from moodtape.forecaster.features.polls import poll_features
from moodtape.forecaster.features.sentiment import decayed_features
from moodtape.forecaster.forecasters import FORECASTERS, LINEAR
from moodtape.forecaster.inputs import Draw, build_inputs
from moodtape.forecaster.shift import Room, segments
from moodtape.forecaster.splits import Fold, make_folds
from moodtape.forecaster.verdict import CANNOT_TELL, HELPS
from moodtape.settings import bundled_config

BOTH = {"claims": ("tone", "attention")}
ROOM = Room(least_bars=48, week_bars=168, day_bars=24, near_bars=10, order=7)
PLACEBOS = {"counts_shift", "counts_echo"}


def settings(**ablation: Any) -> Config:
    return Config.model_validate(
        {
            "walk_forward": {"folds": 2, "min_train_rows": 100},
            "network": {"lookback_bars": 20},
            "sentiment": {"half_lives_h": (6.0,)},
            "target": {"names": ("return",)},
            "verdict": {"draws": 300, "planted_draws": 5, "margin": {"return": 0.1}},
            "ablation": BOTH | ablation,
        }
    )


def arms(dataset: Any, config: Config, subject: str = "sentiment") -> list[Arm]:
    return arms_of(config, dataset, subject, bundled_config("ablation.toml"))


def of_counts(dataset: Any) -> Any:
    """Return the data set with the column that knows the next return named as a count."""
    features = dataset.features.copy()
    features[:, [6, 7]] = features[:, [7, 6]]
    return replace(dataset, features=features)


def answers(dataset: Any, config: Config) -> dict[str, Answer]:
    folds = make_folds(dataset, 20, config.walk_forward)
    study = run_study(dataset, folds, arms(dataset, config), config, LINEAR)
    drafts = [
        draft
        for claim in claims_of(config, "sentiment")
        for draft in drafts_of(viewed(study, claim), dataset, config, audit_clean=True)
    ]
    found = answers_of(drafts, dataset, config, Terms(config.verdict.level))
    return {answer.claim: answer for answer in found}


def drawn(dataset: Any, number: int) -> Draw:
    n = len(dataset.cutoff)
    rows, nothing = np.arange(n * 9 // 10), np.arange(0)
    end = dataset.cutoff[-1]
    fold = Fold(0, rows, nothing, nothing, np.arange(len(rows), n), dataset.cutoff[0], end, end)
    return Draw(number, 7, ROOM, fold, dict.fromkeys(dataset.targets, 0.01))


def test_unasked_there_is_the_first_claim_alone(make_dataset: Any) -> None:
    names = {arm.name for arm in arms(make_dataset(100), settings(claims=("tone",)))}
    assert not PLACEBOS & names
    assert claims_of(settings(), "onchain") == (TONE,), "a metric has no number of its own"


def test_the_second_claim_brings_its_arms(make_dataset: Any) -> None:
    found = {arm.name: arm.treatment for arm in arms(make_dataset(100), settings())}
    assert found.keys() >= PLACEBOS | {"counts", "counts_planted"}
    bare = settings(arms=("full", "null", "shift", "echo"))
    assert "counts_planted" not in {arm.name for arm in arms(make_dataset(100), bare)}
    fits = FORECASTERS[LINEAR].fits
    drawn_often = {a.name for a in arms(make_dataset(100), settings()) if fits(a, 3) > 1}
    assert drawn_often == PLACEBOS | {"shift", "echo"}, "each seed has its own placebo"


def test_an_arm_of_that_name_with_another_treatment_is_refused(make_dataset: Any) -> None:
    own = {"name": "counts_echo", "groups": ["all"], "treatment": "as_is"}
    config = settings().model_copy(update={"arm": (type_of_arm(own),)})
    with pytest.raises(ConfigError, match="needs an arm 'counts_echo' with treatment"):
        arms(make_dataset(100), config)


def type_of_arm(row: dict[str, Any]) -> Any:
    from moodtape.config import ArmSection

    return ArmSection.model_validate(row)


@pytest.mark.parametrize("claims", [("attention",), ("attention", "tone"), ("tone", "tone"), ()])
def test_the_second_line_is_never_the_first(claims: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match='claims begin with "tone"'):
        settings(claims=claims)


def test_counts_are_neither_tone_nor_coverage(make_dataset: Any) -> None:
    dataset = make_dataset(100)
    assert [dataset.columns[i].name for i in count_columns(dataset)] == ["news.count_last"]
    assert all(f.coverage for f in poll_features())
    assert not any(f.coverage for f in decayed_features((6.0,)))


def test_what_a_column_covers_changes_no_hash_of_data(make_dataset: Any) -> None:
    """Plans that were written before are still those of the same numbers."""
    plain = Column("news.observed", "sentiment", False, "0 or 1")
    assert repr(replace(plain, coverage=True)) == repr(plain)


@pytest.mark.parametrize("name", ["counts_shift", "counts_echo", "counts_planted"])
def test_a_placebo_of_counts_changes_counts_alone(make_dataset: Any, name: str) -> None:
    dataset = make_dataset(2000)
    arm = next(arm for arm in arms(dataset, settings()) if arm.name == name)
    made = build_inputs(dataset, dataset.features, arm, drawn(dataset, 0)).subject
    assert not made[:, 0].any(), "no tone"
    np.testing.assert_array_equal(made[:, 2], dataset.features[:, 8], "coverage stays")
    counts, real = made[:, 1], dataset.features[:, 7]
    assert not np.array_equal(counts, real)
    if name == "counts_shift":
        offset = ROOM.draw(len(segments(dataset)[0]), 0)
        np.testing.assert_array_equal(counts[offset:], real[:-offset])
    if name == "counts_planted":
        y = np.nan_to_num(dataset.targets["return_1"].y / np.sqrt(dataset.trailing_variance))
        assert abs(np.corrcoef(counts, y)[0, 1]) > 0.05
    with pytest.raises(ValueError, match="needs a draw"):
        build_inputs(dataset, dataset.features, arm)


def test_numbers_that_know_the_next_move_help_on_the_second_line(make_dataset: Any) -> None:
    dataset = of_counts(make_dataset(3000, names=("return",), pull=0.7))
    found = answers(dataset, settings())
    assert found[ATTENTION].verdict.word == HELPS
    assert set(found[ATTENTION].p) == {"null", "shift", "echo"}
    assert found[TONE].verdict.word == CANNOT_TELL, "its placebos have the numbers, too"
    assert [found[claim].family for claim in (TONE, ATTENTION)] == [2, 2]
    assert found[ATTENTION].planted is not None
    assert found[ATTENTION].losses.keys() >= {"counts", "null", "shift", "echo", "planted"}


def test_tone_that_knows_it_helps_on_the_first_line_alone(make_dataset: Any) -> None:
    dataset = make_dataset(3000, names=("return",), pull=0.7)
    found = answers(dataset, settings())
    assert found[TONE].verdict.word == HELPS
    assert found[ATTENTION].verdict.word != HELPS
    assert set(found[TONE].beside) == {"counts"}, "placebos of counts are no arms to read"
    alone = answers(dataset, settings(claims=("tone",)))[TONE]
    assert alone.effects == found[TONE].effects
    assert found[TONE].verdict.p_adjusted == pytest.approx(2 * alone.verdict.p_adjusted)


def test_numbers_owe_the_scorer_nothing(make_dataset: Any) -> None:
    """Unless it picks the kinds of text that are counted."""
    dataset = of_counts(make_dataset(3000, names=("return",), pull=0.7))
    config = settings()
    folds = make_folds(dataset, 20, config.walk_forward)
    study = viewed(run_study(dataset, folds, arms(dataset, config), config, LINEAR), ATTENTION)
    never = Terms(config.verdict.level, young_from=np.datetime64("9999-01-01", "us"))

    def young(config: Config) -> Any:
        drafts = drafts_of(study, dataset, config, audit_clean=True)
        return answers_of(drafts, dataset, config, never)[0].evidence.young

    assert young(config) is None
    kinds = config.sentiment.model_copy(update={"kinds": ("event",)})
    assert young(config.model_copy(update={"sentiment": kinds})) is not None
