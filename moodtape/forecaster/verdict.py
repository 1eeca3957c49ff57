"""Statistics become one of four words, and the sentence that carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from moodtape.forecaster.stats import PairedResult

Word = Literal["helps", "hurts", "does not help", "cannot tell"]
HELPS: Word = "helps"
HURTS: Word = "hurts"
DOES_NOT_HELP: Word = "does not help"
CANNOT_TELL: Word = "cannot tell"
FEWEST_SEEDS = 3
WORDS: tuple[Word, ...] = (HELPS, HURTS, DOES_NOT_HELP, CANNOT_TELL)


@dataclass(frozen=True)
class Evidence:
    """What is known about one symbol, target and horizon.

    against_null, against_shift: loss of the control less loss of the real arm, paired;
        None where no test was possible, with the reason in `obstacles`.
    beats_baselines: the real arm has a lower mean loss than every baseline.
    helps_allowed: the placebo had room enough; else `helps` cannot be said.
    audit_clean: the audit found no look-ahead.
    positive_control: whether a planted effect was found; None when it was not looked for.
    obstacles: why a test was not possible.
    stochastic_seeds: fits of a forecaster that depends on its seed; None for one that does not.
    rests_on: the few forecasts without which a gain is none; None where there are no such.
    """

    against_null: PairedResult | None
    against_shift: PairedResult | None
    null_loss: float
    beats_baselines: bool
    helps_allowed: bool
    audit_clean: bool
    margin: float
    blocks: float
    min_blocks: int
    positive_control: bool | None
    obstacles: tuple[str, ...] = ()
    stochastic_seeds: int | None = None
    rests_on: str | None = None

    @property
    def p_helps(self) -> float:
        """Return the largest one-sided p-value over the controls (intersection-union)."""
        if self.against_null is None or self.against_shift is None:
            return 1.0
        return max(self.against_null.p_better, self.against_shift.p_better)

    @property
    def p_hurts(self) -> float:
        """Return the larger one-sided p-value of being worse than null and than shift."""
        if self.against_null is None or self.against_shift is None:
            return 1.0
        return max(self.against_null.p_worse, self.against_shift.p_worse)


@dataclass(frozen=True)
class Verdict:
    """The word and why."""

    word: Word
    reasons: tuple[str, ...]
    p_adjusted: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the family. Source: Holm (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = round(running, 12)
    return adjusted


def decide(evidence: Evidence, p_helps: float, p_hurts: float, level: float) -> Verdict:
    """Return the word for one hypothesis, given p-values adjusted over the family."""
    bar = obstacle(evidence)
    if bar is not None:
        return Verdict(CANNOT_TELL, (bar, *evidence.obstacles), p_helps)
    if p_helps < level:
        doubts = _doubts(evidence)
        return Verdict(CANNOT_TELL if doubts else HELPS, doubts, p_helps)
    if p_hurts < level:
        return Verdict(HURTS, (), p_hurts)
    if evidence.positive_control and _gain_is_below(evidence):
        return Verdict(DOES_NOT_HELP, (), p_helps)
    return Verdict(CANNOT_TELL, _why_unclear(evidence), p_helps)


def obstacle(evidence: Evidence) -> str | None:
    """Return what makes any other word than `cannot tell` impossible, or None."""
    if not evidence.audit_clean:
        return "the audit found look-ahead"
    if evidence.against_null is None or evidence.against_shift is None:
        return "no test was possible"
    if evidence.stochastic_seeds is not None and evidence.stochastic_seeds < FEWEST_SEEDS:
        return (
            f"the forecaster was fitted with {evidence.stochastic_seeds} seeds;"
            f" {FEWEST_SEEDS} are needed (training.seeds)"
        )
    if evidence.blocks < evidence.min_blocks:
        return (
            f"the test span holds {evidence.blocks:.0f} independent blocks;"
            f" {evidence.min_blocks} are needed"
        )
    return None


def _doubts(evidence: Evidence) -> tuple[str, ...]:
    """Return what keeps a gain that stands out from chance from being called `helps`."""
    doubts = []
    if not evidence.helps_allowed:
        doubts.append("the texts cover too short a time for a placebo")
    if not evidence.beats_baselines:
        doubts.append("a simple rule without texts is better")
    if evidence.rests_on is not None:
        doubts.append(f"without {evidence.rests_on} there is no gain")
    return tuple(doubts)


def _gain_is_below(evidence: Evidence) -> bool:
    assert evidence.against_null is not None
    assert evidence.against_shift is not None
    most = max(evidence.against_null.upper_95, evidence.against_shift.upper_95)
    return most / evidence.null_loss < evidence.margin


def _why_unclear(evidence: Evidence) -> tuple[str, ...]:
    assert evidence.against_null is not None
    share = evidence.margin
    if _gain_is_below(evidence):
        return ("no planted effect was looked for, so an absent one proves nothing",)
    return (f"a gain of {share * 100:.1f} % would not stand out from chance in this much data",)
