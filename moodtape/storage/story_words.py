"""A text's words, and the facts that two tellings of one story share: numbers, names, direction.

'Bitcoin rises 5 %' and 'Bitcoin falls 5 %' are alike in nearly every word. So words that tell
stories apart are facts: two texts with other facts are never near.
"""

from __future__ import annotations

import re
import tomllib
from fractions import Fraction
from functools import lru_cache
from importlib import resources

RULE = "1"
"""Version of this module's rules; the word list has a version of its own, made from its bytes."""

_LINK = re.compile(r"!\[[^\]]*\]\([^)]*\)|https?://\S+|www\.\S+")
"""Pictures in Markdown and links; of lower-case text."""

_SCALE = r"(?:k|thousand|mn|mln|m|million|bn|b|billion|t|trillion)(?![^\W_])"
_NUMBER = r"[0-9]+(?:/[0-9]+)+|[0-9][0-9,]*(?:\.[0-9]+)?"
_TOKEN = re.compile(rf"(?:{_NUMBER})(?:\s?{_SCALE}|[^\W_]*)|[^\W_]+(?:'[^\W_]+)*")
"""Numbers with their scale or unit, and words."""

_PARTS = re.compile(rf"({_NUMBER})(?:\s?({_SCALE})|(.*))")
_SCALES = {"k": 3, "t": 12, "m": 6, "b": 9}  # by first letter; "thousand" is the other one with t
_COUNTED = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTS = {word: str(count) for count, word in enumerate(_COUNTED, 2)}


def word_list() -> bytes:
    """Return the list of fillers, facts and names as shipped."""
    return (resources.files("moodtape.storage") / "data" / "story_words.toml").read_bytes()


@lru_cache(maxsize=1)
def _listed() -> tuple[frozenset[str], dict[str, str], dict[str, str]]:
    """Return fillers, the fact of each word that is one, and the one spelling of each name."""
    told = tomllib.loads(word_list().decode())
    facts = {word: fact for fact, words in told["fact"].items() for word in words}
    names = {word: name for name, words in told["name"].items() for word in words}
    return frozenset(told["filler"]["words"]), facts, names


def story_words(text: str) -> tuple[list[str], list[str]]:
    """Return the words of a text without fillers, in order, and its facts, sorted.

    Case, punctuation, links, pictures, plurals and the way to write a number do not count.

    >>> story_words("Bitcoin soars 5% to $1.2M") == story_words("BTC soars: 5 % to $1,200,000!")
    True
    >>> story_words("Bitcoin soars to $1.2M")[1]
    ['#1200000', '>up', '@btc']
    """
    lowered = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if "://" in lowered or "www." in lowered or "![" in lowered:
        lowered = _LINK.sub(" ", lowered)
    told = [_meaning(token) for token in _TOKEN.findall(lowered)]
    words = [word for meant, _ in told for word in meant]
    return words, sorted({fact for _, fact in told if fact})


def _value(number: str, scale: str) -> str:
    """Return a number in one spelling: `109K` and `109,000` are 109000, `2.5` is 5/2.

    A date like 5/2 is no fraction, and written with other signs.
    """
    if "/" in number:
        return number.replace("/", "-")
    power = 3 if scale == "thousand" else _SCALES.get(scale[:1], 0)
    return str(Fraction(number.replace(",", "")) * 10**power)


@lru_cache(maxsize=1 << 16)
def _meaning(token: str) -> tuple[tuple[str, ...], str]:
    """Return the words of a token as they are compared, and the fact that it tells or ''."""
    if parts := _PARTS.fullmatch(token):
        number = _value(parts[1], parts[2] or "")
        return (number, parts[3]) if parts[3] else (number,), f"#{number}"
    fillers, facts, names = _listed()
    word = token.removesuffix("'s").replace("'", "")
    if word in _COUNTS:
        return (_COUNTS[word],), f"#{_COUNTS[word]}"
    if word in names:
        return (names[word],), f"@{names[word]}"
    fact = f">{facts[word]}" if word in facts else ""
    if word in fillers:
        return (), fact
    if any(char.isdigit() for char in word):
        return (word,), f"#{word}"
    plural = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return (word[:-1] if plural else word,), fact
