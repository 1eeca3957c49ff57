"""Word-list scorer: no download, no training; the floor every model must beat.

1. A text is cut into lower-case words, numbers (folded to `0k`, `0%`, ...) and pictures.
2. From left to right, the longest phrase of `data/lexicon.tsv` wins and gives its weight.
3. A booster right before a term multiplies it; a negation up to three words before turns it.
4. After "but" what stood before counts half; "despite" halves what follows to the next comma.
5. A question counts half. The sum, divided by the root of the number of terms, is the tone.
6. A fixed softmax of the tone gives the three probabilities.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodtape.nlp.base import Probabilities

RULES_VERSION = 1
"""Raised with every change of the rules below, so that old scores are not mistaken for new."""

WRITTEN = datetime(2026, 11, 24, tzinfo=UTC)
"""A word list knows what its author knew on the day of writing."""

NEGATION_REACH = 3
STEEPNESS = 0.9
NEUTRAL_LOGIT = 1.1
"""Softmax of (-STEEPNESS * tone, NEUTRAL_LOGIT, STEEPNESS * tone), fitted once on own labels."""
STRONGEST = 100.0
"""A tone beyond it is as sure as numbers can say."""

_PICTURES = "\u2600-\u27bf\u2b00-\u2bff\U0001f170-\U0001faff"
_TOKEN = re.compile(
    r"https?://\S+"
    r"|[$@][a-z]\w*"
    r"|[a-z]+(?:'[a-z]+)*"
    r"|(?:(?<![\w.])[+-])?\$?\d[\d,.]*(?:%|[kmbtx]\b)?"
    rf"|[,;:.?!\u2013\u2014|{_PICTURES}]"
)
_BREAKS = frozenset(",;:.?!\u2013\u2014|")


@dataclass(frozen=True)
class Entry:
    """One phrase of the word list: what it does and how strongly."""

    words: tuple[str, ...]
    role: str
    weight: float


def tokenize(text: str) -> list[str]:
    """Return words, folded numbers, pictures and clause marks, in order.

    >>> tokenize("BTC isn't down -3.5%, it's at $105,000!")
    ['btc', "isn't", 'down', '-0%', ',', "it's", 'at', '0k', '!']
    """
    found = _TOKEN.findall(text.lower().replace("\u2019", "'"))
    return [token if token[0].isalpha() else _fold_number(token) for token in found]


def _fold_number(token: str) -> str:
    """Return the class of a number token; any other token as it is."""
    if not any(character.isdigit() for character in token[:3]) or token[0] == "@":
        return token
    sign = token[0] if token[0] in "+-" and token[-1] == "%" else ""
    suffix = token[-1]
    if suffix == "%":
        return f"{sign}0%"
    if suffix in "mbt":
        return "0m"
    if suffix == "x":
        return "0x"
    whole = token.strip("+-$.,").split(".")[0]
    return "0k" if suffix == "k" or len(whole.replace(",", "")) >= 4 else "0"


def read_entries(table: str) -> dict[str, tuple[Entry, ...]]:
    """Return the entries of a word list by first word, longest phrase first."""
    by_first: dict[str, list[Entry]] = {}
    for line in table.splitlines():
        if not line or line.startswith("#"):
            continue
        role, weight, forms = line.split("\t")
        for form in forms.split("|"):
            words = tuple(form.split())
            by_first.setdefault(words[0], []).append(Entry(words, role, float(weight)))
    return {
        first: tuple(sorted(entries, key=lambda entry: -len(entry.words)))
        for first, entries in by_first.items()
    }


@cache
def _table() -> str:
    return resources.files("moodtape.nlp").joinpath("data", "lexicon.tsv").read_text("utf-8")


@cache
def _entries() -> dict[str, tuple[Entry, ...]]:
    return read_entries(_table())


def tone(text: str, entries: dict[str, tuple[Entry, ...]] | None = None) -> float:
    """Return how a text sounds, about -4 to 4; 0 when no term of the list is in it.

    >>> tone("Bitcoin soars"), tone("Bitcoin does not soar"), tone("Bitcoin")
    (2.2, -1.32, 0.0)
    """
    entries = _entries() if entries is None else entries
    tokens = tokenize(text)
    total, terms, position = 0.0, 0, 0
    boost, concession, negation, reach = 1.0, 1.0, 0.0, 0
    while position < len(tokens):
        entry = _longest(tokens, position, entries)
        if entry is None:
            if tokens[position] in _BREAKS:
                concession, reach = 1.0, 0
            position, reach, boost = position + 1, reach - 1, 1.0
            continue
        position += len(entry.words)
        if entry.role == "term":
            if entry.weight:
                turned = -negation if reach > 0 else 1.0
                total += entry.weight * boost * concession * turned
                terms += 1
            reach, boost = reach - len(entry.words), 1.0
        elif entry.role == "negation":
            negation, reach = entry.weight, NEGATION_REACH
        elif entry.role == "booster":
            boost, reach = boost * entry.weight, reach - len(entry.words)
        elif entry.role == "turn":
            total, boost, reach = total * entry.weight, 1.0, 0
        else:
            concession = entry.weight
    if tokens and tokens[-1] == "?":
        total *= 0.5
    return total / math.sqrt(terms) if terms else 0.0


def _longest(
    tokens: list[str], position: int, entries: dict[str, tuple[Entry, ...]]
) -> Entry | None:
    for entry in entries.get(tokens[position], ()):
        length = len(entry.words)
        if length == 1 or tuple(tokens[position : position + length]) == entry.words:
            return entry
    return None


def probabilities(value: float) -> tuple[float, float, float]:
    """Return P(negative), P(neutral), P(positive) of a tone; they sum to 1.

    >>> [round(p, 3) for p in probabilities(0.0)]
    [0.2, 0.6, 0.2]
    """
    value = max(-STRONGEST, min(value, STRONGEST))  # beyond it exp has no number
    # math.exp one by one: numpy's vector exp may differ in the last bit by position.
    negative, neutral = math.exp(-STEEPNESS * value), math.exp(NEUTRAL_LOGIT)
    positive = math.exp(STEEPNESS * value)
    total = negative + neutral + positive
    return negative / total, neutral / total, positive / total


class LexiconScorer:
    """Scores by the word list; deterministic and a function of the text alone."""

    name = "lexicon"
    trained_until: datetime | None = WRITTEN

    @property
    def revision(self) -> str:
        """Hash of the word list and the version of the rules."""
        digest = hashlib.sha256(_table().encode("utf-8")).hexdigest()
        return f"{digest[:12]}-rules{RULES_VERSION}"

    def score(self, texts: Sequence[str]) -> Probabilities:
        """Return P(negative), P(neutral), P(positive); (n, 3) float32, rows sum to 1."""
        import numpy as np

        rows = [probabilities(tone(text)) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), 3)


def lexicon(threads: int) -> LexiconScorer:
    """Return the word-list scorer; it uses one thread, however many there are."""
    return LexiconScorer()
