"""Arms of a study: which inputs a forecaster gets, and what was done to them.

An arm is a row of `configs/ablation.toml`; `inputs.py` makes its matrices.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from moodtape.config import ArmSection, Config
from moodtape.errors import ConfigError, DataMissing, did_you_mean
from moodtape.forecaster.claims import needed_arms, require_controls
from moodtape.forecaster.features.base import ONCHAIN, SENTIMENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from moodtape.forecaster.dataset import Dataset

NULL, SHIFT, ECHO, PLANTED = "null", "shift", "echo", "planted"
CONTROLS = {NULL: "constant", SHIFT: "shift", ECHO: "echo"}
"""Arms that the one in question is compared with, and what is done to the group there."""

COUNTS, SHUFFLE, OTHER = "counts", "block_shuffle", "other_symbol"
"""What an arm may have in place of its tone; they qualify what was found and decide nothing."""

COUNTS_AS = {"counts_shift": SHIFT, "counts_echo": ECHO, "counts_planted": PLANTED}
"""Without tone, and the numbers of texts as another treatment has the tone."""

PLACEBOS = (SHIFT, ECHO, SHUFFLE, "counts_shift", "counts_echo")
"""Treatments of which every seed has its own draw."""

PLANTS = (PLANTED, "counts_planted")
"""Treatments that know the answers."""


@dataclass(frozen=True)
class Arm:
    """What one forecaster is given.

    groups: feature groups whose columns it gets.
    subject: the group under test; treatment: what is done to its columns: `as_is`,
        `constant` (all held at zero, masks too), `shift` (polarity as of another
        time), `echo` (polarity as past prices tell it), `planted` (shifted, with a
        known effect put in), `none` (the branch is removed), `counts` (no polarity: what is left
        is how many texts there were), `block_shuffle` (polarity in whole weeks of another order),
        `other_symbol` (polarity of the next asset of the panel at the same time);
        `counts_shift`, `counts_echo`, `counts_planted` (no polarity, and the numbers of texts
        as `shift`, `echo` and `planted` have the polarity).
    kinds: it reads texts of these kinds alone; scorer: its texts are scored by that one. None of
        both: it reads what the study reads.
    """

    name: str
    groups: tuple[str, ...]
    subject: str
    treatment: str
    kinds: tuple[str, ...] = ()
    scorer: str | None = None

    @property
    def own_texts(self) -> bool:
        """Say whether it reads other texts than the study; then no word rests on it."""
        return bool(self.kinds) or self.scorer is not None


def arms_of(config: Config, dataset: Dataset, subject: str, bundled: str) -> list[Arm]:
    """Return the arms a study runs, leaving out those whose groups have no columns.

    An arm that would repeat an earlier one is left out too.

    Args:
        subject: `sentiment` or `onchain`.
        bundled: text of `configs/ablation.toml`; the user's own `[[arm]]` tables win.
    Raises:
        ConfigError: an unknown arm, or one of those to compare with is missing.
        DataMissing: the group under test has no columns.
    """
    present = {c.group for c in dataset.columns}
    if subject not in present:
        raise DataMissing(
            f"There are no {subject} columns to test: {_ABSENT.get(subject, 'none are declared')}."
        )
    arms: list[Arm] = []
    for row in _chosen(config, bundled, subject):
        needed = set(row.groups) - {"all"}
        alone = row.treatment == OTHER and len(dataset.symbols) < 2
        own_texts = row.kinds or row.scorer is not None
        if not needed <= present or row.subject not in (None, subject) or alone:
            continue
        if own_texts and subject != SENTIMENT:
            continue
        groups = tuple(sorted(present if "all" in row.groups else row.groups))
        arm = Arm(row.name, groups, subject, row.treatment, row.kinds, row.scorer)
        if not any(replace(a, name=arm.name) == arm for a in arms):
            arms.append(arm)
    for name, treatment in CONTROLS.items():
        if not any((a.name, a.treatment) == (name, treatment) for a in arms):
            raise ConfigError(
                f"ablation.arms: an arm {name!r} with treatment {treatment!r} is needed;"
                " the verdict compares with it."
            )
    require_controls(config, subject, arms)
    return arms


_ABSENT = {
    SENTIMENT: "no scored texts lie in the span. Run: moodtape import documents FILE, then"
    " moodtape score",
    ONCHAIN: "no metrics lie in the span. Run: moodtape import metrics FILE",
}


def _chosen(config: Config, bundled: str, subject: str) -> list[ArmSection]:
    """Return the rows of the arms that the config names, and of those its claims need."""
    defaults = [ArmSection.model_validate(row) for row in tomllib.loads(bundled)["arm"]]
    by_name = {row.name: row for row in (*defaults, *config.arm)}
    for name in config.ablation.arms:
        if name not in by_name:
            raise ConfigError(f"ablation.arms: {name!r} is no arm.{did_you_mean(name, by_name)}")
    return [by_name[name] for name in (*config.ablation.arms, *needed_arms(config, subject))]


def real_arm(arms: Sequence[Arm]) -> Arm:
    """Return the arm in question: the fullest one that gets the subject as it is.

    Raises:
        ConfigError: no arm does.
    """
    candidates = [
        a for a in arms if a.treatment == "as_is" and a.subject in a.groups and not a.own_texts
    ]
    if not candidates:
        raise ConfigError("ablation.arms: no arm gets the group under test as it is.")
    return max(candidates, key=lambda a: len(a.groups))


def tone_columns(dataset: Dataset, subject: str) -> NDArray[np.int64]:
    """Return the columns that a placebo changes: tone, or a metric's level and change."""
    if subject == SENTIMENT:
        return dataset.polarity
    changing = [
        i
        for i, c in enumerate(dataset.columns)
        if c.group == ONCHAIN and c.name.endswith((".level", ".change"))
    ]
    return np.array(changing, dtype=np.int64)


def count_columns(dataset: Dataset) -> NDArray[np.int64]:
    """Return the columns that tell how many texts there were.

    A mask is among them: where a source was watched it tells whether there was any text. What
    tells whether it was watched is not.
    """
    found = [
        i
        for i, c in enumerate(dataset.columns)
        if c.group == SENTIMENT and not (c.polarity or c.coverage)
    ]
    return np.array(found, dtype=np.int64)
