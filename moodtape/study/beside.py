"""What stands beside the words of a study; only an opened hold-out can take one back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.verdict import HELPS
from moodtape.study.ablate import Outcome
from moodtape.study.clocks import Bench, clock_rows, curve, loses_to_delay, one_bar
from moodtape.study.ground import Ground
from moodtape.study.holdout import HeldOut
from moodtape.study.sentences import percent
from moodtape.study.wordlist import word_list_rows


@dataclass(frozen=True)
class Beside:
    """Figures that give no word.

    clocks: the effect by other clocks than the stored one, from `clocks.clock_rows`.
    word_list: the effect of texts scored by the word list, of forecasters that say `helps`.
    holdout: what was held out; opened, it can take a `helps` back.
    """

    clocks: Sequence[Mapping[str, Any]] = ()
    word_list: Sequence[Mapping[str, Any]] = ()
    holdout: HeldOut = HeldOut()  # noqa: RUF009 (a frozen value)


def beside_of(ground: Ground, outcome: Outcome, bench: Bench, holdout: HeldOut) -> Beside:
    """Return what is shown beside the words of a study."""
    return Beside(
        clocks=_clocks(ground, outcome, bench),
        word_list=word_list_rows(ground, bench, _helping(outcome)),
        holdout=holdout,
    )


def _helping(outcome: Outcome) -> list[str]:
    """Return the forecasters that say `helps` of anything."""
    return list(dict.fromkeys(a.forecaster for a in outcome.answers if a.verdict.word == HELPS))


def _clocks(ground: Ground, outcome: Outcome, bench: Bench) -> list[dict[str, Any]]:
    """Return the clock curve of the linear forecaster, for cost.

    Any other forecaster that says `helps` is fitted again with one more bar of delay.
    """
    clocks = curve(ground)
    if not clocks:
        return []
    studies = {study.forecaster: study for study in outcome.studies}
    rows = clock_rows(ground, bench, clocks, LINEAR, studies.get(LINEAR))
    for name in _helping(outcome):
        if name != LINEAR:
            rows += clock_rows(ground, bench, [one_bar(ground)], name, studies[name])
    return rows


def notes_of(
    beside: Beside, ground: Ground, question: tuple[Any, ...], name: str
) -> tuple[str, ...]:
    """Return what the sentence of a `helps` must say besides.

    Args:
        question: symbol, target and horizon; name: of the forecaster.
    """
    notes = []
    if loses_to_delay(beside.clocks, ground, name, question):
        notes.append("more than half of it is gone once everything is known one bar later")
    for row in beside.word_list:
        asked = (row["symbol"], row["target"], row["horizon_bars"])
        if asked == question and row["forecaster"] == name:
            low, high = (percent(end, "+") for end in row["interval"])
            within = "" if row["upper"] is None else f", {low} to {high}"
            gain = percent(row["effect"], "+")
            notes.append(f"with texts scored by a word list the gain is {gain}{within}")
    return tuple(notes)
