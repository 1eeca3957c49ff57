"""The verdict of a run in one sentence, and the words and signs beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from moodtape.forecaster.report.numbers import percent
from moodtape.forecaster.verdict import CANNOT_TELL, DOES_NOT_HELP, HELPS, HURTS, WORDS

_SUBJECTS = {"sentiment": ("sentiment", False), "onchain": ("on-chain metrics", True)}
_MARKS: dict[str, str] = {HELPS: "▲", HURTS: "▼", DOES_NOT_HELP: "■", CANNOT_TELL: "○"}
_TREATMENTS = {
    "as_is": "as it was",
    "constant": "held constant",
    "shift": "taken from another time",
    "echo": "as past prices alone would have it",
    "planted": "taken from another time, with a known effect planted in it",
    "none": "left out",
    "counts": "without tone: how many texts there were is left",
    "block_shuffle": "with its weeks in another order",
    "other_symbol": "taken from the next asset",
    "counts_shift": "without tone, and the numbers of texts of another time",
    "counts_echo": "without tone, and the numbers of texts that past prices alone would have",
    "counts_planted": "without tone, and the numbers of another time with an effect planted",
}


def subject(question: Mapping[str, Any]) -> str:
    """Return what is under test, in words."""
    return _subject(question)[0]


def _subject(question: Mapping[str, Any]) -> tuple[str, bool]:
    name = str(question["subject"])
    return _SUBJECTS.get(name, (name, False))


MOST_NAMED = 12
"""So many symbols are a line of names; more are a number."""


def named(symbols: Sequence[str]) -> str:
    """Return symbols as a heading has them: a line of names, or how many there are.

    >>> named(["BTC", "ETH"]), named(["S"] * 90)
    ('BTC, ETH', '90 symbols')
    """
    return ", ".join(symbols) if len(symbols) <= MOST_NAMED else f"{len(symbols)} symbols"


def symbols_phrase(symbols: Sequence[str]) -> str:
    """Return a few symbols by name, many by number.

    >>> symbols_phrase(["BTC", "ETH", "SOL"]), symbols_phrase(list("ABCDE"))
    ('BTC, ETH and SOL', '5 symbols')
    """
    if len(symbols) > 4:
        return f"{len(symbols)} symbols"
    if len(symbols) < 2:
        return "".join(symbols) or "no symbol"
    return f"{', '.join(symbols[:-1])} and {symbols[-1]}"


def headline(question: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdict of a run in one sentence.

    Args:
        answers: those that decide; a single one speaks for itself, up to its colon.
    """
    if not answers:
        return "No question was answered."
    if len(answers) == 1:
        lead, rest = parted(str(answers[0]["sentence"] or answers[0]["verdict"]))
        return f"{lead}." if rest else lead
    name, plural = _subject(question)
    tally = Counter(str(answer["verdict"]) for answer in answers)
    of = symbols_phrase(question["symbols"])
    if set(tally) == {CANNOT_TELL}:
        return (
            f"Cannot tell whether {name} {'help' if plural else 'helps'} forecast {of}:"
            f" {'both' if len(answers) == 2 else f'all {len(answers)}'} questions stay open."
        )
    parts = [f"{_verb(word, plural)} in {tally[word]}" for word in WORDS[:3] if tally[word]]
    sides = [f"for {tally[CANNOT_TELL]} nobody can tell"] if tally[CANNOT_TELL] else []
    unsaid = len(answers) - sum(tally[word] for word in WORDS)
    if unsaid:
        sides.append(f"{unsaid} {'has' if unsaid == 1 else 'have'} no verdict")
    said = [f"{name} {_and(parts)}", *sides] if parts else sides
    return f"Of {len(answers)} questions on {of}, {'; '.join(said)}."


def parted(text: str) -> tuple[str, str]:
    """Return what a sentence says and, after its first colon, why.

    >>> parted("cannot tell: too short.")
    ('Cannot tell', 'Too short.')
    """
    lead, _, rest = text.partition(": ")
    return sentence(lead), sentence(rest)


def sentence(text: str) -> str:
    """Return a text with a capital at its start.

    >>> sentence("cannot tell")
    'Cannot tell'
    """
    return text[:1].upper() + text[1:]


def _verb(word: str, plural: bool) -> str:
    if not plural:
        return word
    many: dict[str, str] = {HELPS: "help", HURTS: "hurt", DOES_NOT_HELP: "do not help"}
    return many.get(word, word)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def mark(word: str) -> str:
    """Return the sign that stands before a verdict's word, so that colour is not needed."""
    return _MARKS.get(word, "·")


def word_class(word: str) -> str:
    """Return the style of a verdict's word; any other text gets the plain one.

    >>> word_class("does not help"), word_class("<b>")
    ('does-not-help', 'plain')
    """
    return word.replace(" ", "-") if word in WORDS else "plain"


def treatment(name: str) -> str:
    """Return what an arm does to the subject's inputs, in words."""
    return _TREATMENTS.get(name, name)


def detectable(answer: Mapping[str, Any]) -> str:
    """Return the smallest gain that would have been found, or above which none would have been.

    >>> detectable({"minimum_detectable_effect": None, "detectable": {"above": 0.04}})
    'above 4.0\xa0%'
    """
    size, found = _looked_for(answer)
    return size if found else f"above {size}"


def why(answer: Mapping[str, Any]) -> str:
    """Return why the word is no stronger one, and what would have been found; may be empty.

    >>> above = {"minimum_detectable_effect": None, "detectable": {"above": 0.04}}
    >>> why({**above, "reasons": ["8 blocks; 30 are needed"]})
    '8 blocks; 30 are needed; not even a gain of 4.0\xa0% would have been found'
    >>> why({"minimum_detectable_effect": 0.006, "detectable": {"above": None}, "reasons": []})
    'a gain of 0.60\xa0% would have been found'
    """
    told = list(answer.get("reasons") or ())
    if answer.get("detectable"):
        size, found = _looked_for(answer)
        told.append(f"{'' if found else 'not even '}a gain of {size} would have been found")
    return "; ".join(told)


def _looked_for(answer: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the smallest gain that was found, or the largest that was not, and which it is."""
    above = (answer.get("detectable") or {}).get("above")
    return percent(answer["minimum_detectable_effect"] if above is None else above), above is None
