"""What stands beside the words of a study; only an opened hold-out can take one back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from moodtape.forecaster.claims import ATTENTION, TONE
from moodtape.forecaster.forecasters import LINEAR
from moodtape.forecaster.leadlag import PRICE, TEXTS, LeadLag, lead_lag
from moodtape.forecaster.timing import Timing, timings
from moodtape.forecaster.verdict import HELPS
from moodtape.study.ablate import Outcome
from moodtape.study.clocks import Bench, clock_rows, curve, loses_to_delay, one_bar
from moodtape.study.ground import Ground
from moodtape.study.holdout import HeldOut
from moodtape.study.learnt import Learnt, without_learnt
from moodtape.study.sentences import percent
from moodtape.study.wordlist import word_list_rows

LEVEL = 0.05
"""Of the whole table of who leads, which gives no word."""


@dataclass(frozen=True)
class Beside:
    """Figures that give no word.

    clocks: the effect by other clocks than the stored one, from `clocks.clock_rows`.
    attention: the same of the second line, one bar later, of forecasters that say `helps` there.
    word_list: the effect of texts scored by the word list, of forecasters that say `helps`.
    learnt: the effect without the texts that the scorer learned from.
    lead_lag: whether texts lead price or price leads texts.
    timing: tone against the bars around its decision.
    holdout: what was held out; opened, it can take a `helps` back.
    """

    clocks: Sequence[Mapping[str, Any]] = ()
    attention: Sequence[Mapping[str, Any]] = ()
    word_list: Sequence[Mapping[str, Any]] = ()
    learnt: Learnt = Learnt()  # noqa: RUF009 (a frozen value)
    lead_lag: Sequence[LeadLag] = ()
    timing: Sequence[Timing] = ()
    holdout: HeldOut = HeldOut()  # noqa: RUF009 (a frozen value)


def beside_of(ground: Ground, outcome: Outcome, bench: Bench, holdout: HeldOut) -> Beside:
    """Return what is shown beside the words of a study."""
    return Beside(
        clocks=_clocks(ground, outcome, bench),
        attention=_attention_clock(ground, outcome, bench),
        word_list=word_list_rows(ground, bench, _helping(outcome)),
        learnt=without_learnt(ground, bench, list(dict.fromkeys((LINEAR, *_helping(outcome))))),
        lead_lag=lead_lag(ground.dataset),
        timing=timings(ground.dataset, ground.question.subject),
        holdout=holdout,
    )


def _helping(outcome: Outcome, claim: str = TONE) -> list[str]:
    """Return the forecasters that say of any question that what is claimed helps."""
    said = (a for a in outcome.answers if a.claim == claim and a.verdict.word == HELPS)
    return list(dict.fromkeys(a.forecaster for a in said))


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


def _attention_clock(ground: Ground, outcome: Outcome, bench: Bench) -> list[dict[str, Any]]:
    """Return what one more bar of delay leaves of a number of texts that helps."""
    studies = {study.forecaster: study for study in outcome.studies}
    return [
        row
        for name in _helping(outcome, ATTENTION)
        for row in clock_rows(ground, bench, [one_bar(ground)], name, studies[name], ATTENTION)
    ]


def lead_lag_results(rows: Sequence[LeadLag]) -> dict[str, Any]:
    """Return what `results.json` says of who leads: a sentence, and the tests that it rests on."""
    if not rows:
        return {"sentence": None, "rows": []}
    pairs = len(rows) // 2
    leading = [row.leads for row in rows if row.p_adjusted < LEVEL]
    sentence = (
        f"Of {pairs} pairs of a text series and a price series, texts come before price in"
        f" {leading.count(TEXTS)} and price comes before texts in {leading.count(PRICE)}, beyond"
        f" what each tells of itself (5 %, corrected over {len(rows)} tests)."
    )
    return {"sentence": sentence, "rows": [asdict(row) for row in rows]}


def notes_of(
    beside: Beside, ground: Ground, question: tuple[Any, ...], name: str, claim: str = TONE
) -> tuple[str, ...]:
    """Return what the sentence of a `helps` must say besides.

    Args:
        question: symbol, target and horizon; name: of the forecaster. claim: what helps.
    """
    notes = []
    clocks = beside.clocks if claim == TONE else beside.attention
    if loses_to_delay(clocks, ground, name, question):
        notes.append("more than half of it is gone once everything is known one bar later")
    if claim != TONE:
        return tuple(notes)
    how = {
        "with texts scored by a word list": beside.word_list,
        "without the texts that the scorer learned from": beside.learnt.rows,
    }
    for where, rows in how.items():
        for row in rows:
            asked = (row["symbol"], row["target"], row["horizon_bars"])
            if asked == question and row["forecaster"] == name:
                notes.append(f"{where} the gain is {_gain(row)}")
    return tuple(notes)


def _gain(row: Mapping[str, Any]) -> str:
    low, high = (percent(end, "+") for end in row["interval"])
    within = "" if row["upper"] is None else f", {low} to {high}"
    return f"{percent(row['effect'], '+')}{within}"
