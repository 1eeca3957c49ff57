"""Statistics become one of four words, and the sentence that carries them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from moodtape.forecaster.arms import NULL, SHIFT
from moodtape.forecaster.stats import PairedResult

Word = Literal["helps", "hurts", "does not help", "cannot tell"]
HELPS: Word = "helps"
HURTS: Word = "hurts"
DOES_NOT_HELP: Word = "does not help"
CANNOT_TELL: Word = "cannot tell"
FEWEST_SEEDS = 3
YOUNG_LEVEL = 0.05
COSTS_LEVEL = 0.025
SUFFERED = (NULL, SHIFT)
"""Controls that a loss or the lack of a gain is measured against; an echo knows less."""

WORDS: tuple[Word, ...] = (HELPS, HURTS, DOES_NOT_HELP, CANNOT_TELL)


@dataclass(frozen=True)
class Young:
    """What texts younger than the scorer say, which it cannot have learnt the outcome of.

    enough: they are enough to show a gain as large as the one found.
    p: the larger one-sided p-value of beating null and shift on them alone.
    """

    enough: bool
    p: float


@dataclass(frozen=True)
class Evidence:
    """What is known about one symbol, target and horizon.

    against: by control, its loss less that of the arm in question, paired; None where no
        test was possible, with the reason in `obstacles`.
    beats_baselines: the real arm has a lower mean loss than every baseline.
    helps_allowed: the placebo had room enough; else `helps` cannot be said.
    audit_clean: the audit found no look-ahead.
    positive_control: whether a planted effect was found; None when it was not looked for.
    young: what is left where the scorer cannot have read the future; None without texts.
    obstacles: why a test was not possible.
    stochastic_seeds: fits of a forecaster that depends on its seed; None for one that does not.
    rests_on: the few forecasts without which a gain is none; None where there are no such.
    """

    against: Mapping[str, PairedResult | None]
    null_loss: float
    beats_baselines: bool
    helps_allowed: bool
    audit_clean: bool
    margin: float
    blocks: float
    min_blocks: int
    positive_control: bool | None = None
    young: Young | None = None
    obstacles: tuple[str, ...] = ()
    stochastic_seeds: int | None = None
    rests_on: str | None = None

    @property
    def p_helps(self) -> float:
        """Return the largest one-sided p-value over the controls (intersection-union).

        Source: Berger (1982).
        """
        results = self.against.values()
        return max(1.0 if result is None else result.p_better for result in results)

    @property
    def p_suffered(self) -> float:
        """Return the larger one-sided p-value of beating null and shift."""
        results = (self.against[name] for name in SUFFERED)
        return max(1.0 if result is None else result.p_better for result in results)

    @property
    def p_hurts(self) -> float:
        """Return the larger one-sided p-value of being worse than null and than shift."""
        results = (self.against[name] for name in SUFFERED)
        return max(1.0 if result is None else result.p_worse for result in results)


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
    if None in evidence.against.values():
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
    if not evidence.helps_allowed:
        return "the data cover too short a time for a placebo"
    return None


def _doubts(evidence: Evidence) -> tuple[str, ...]:
    """Return what keeps a gain that stands out from chance from being called `helps`."""
    doubts = []
    if not evidence.beats_baselines:
        doubts.append("a baseline without texts is better")
    young = evidence.young
    if young is not None and young.enough and young.p > YOUNG_LEVEL:
        doubts.append("on texts younger than the scorer alone the gain may be chance")
    if evidence.rests_on is not None:
        doubts.append(f"without {evidence.rests_on} there is no gain")
    return tuple(doubts)


def _gain_is_below(evidence: Evidence) -> bool:
    results = [evidence.against[name] for name in SUFFERED]
    most = max(result.upper_95 for result in results if result is not None)
    return most / evidence.null_loss < evidence.margin


def _why_unclear(evidence: Evidence) -> tuple[str, ...]:
    against_null = evidence.against[NULL]
    if against_null is not None and against_null.p_worse < COSTS_LEVEL:
        return ("it costs about as much as noise of the same shape",)
    if not _gain_is_below(evidence):
        share = f"{evidence.margin * 100:.1f} %"
        return (f"a gain of {share} can be neither shown nor ruled out in this much data",)
    if evidence.positive_control is None:
        return ("no planted effect was looked for, so an absent one proves nothing",)
    return ("an effect planted on purpose was not found, so an absent one proves nothing",)
