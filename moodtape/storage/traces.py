"""Finds a text again in payloads that are kept as they came: feeds, JSON, refused rows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from moodtape.markup import unescape

SHORTEST_TEXT = 20
"""Shorter words are no trace of one text: others say them, too."""

_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([/\"\\])|[nrt])")
_SPACE = re.compile(r"\s+")


def fold(text: str) -> str:
    """Return text as it is compared: escapes of JSON and HTML read, blanks and case folded.

    >>> fold('A \\\\u0026 B\\\\n&amp;amp; C')
    'a & b & c'
    """
    text = _ESCAPED.sub(_read_escape, text)
    text = unescape(unescape(text))
    return _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip().casefold()


def _read_escape(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else found[2] or " "


@dataclass(frozen=True)
class Traces:
    """What gives a text away.

    identities: at the source, without what we put before them.
    links: without scheme and query, as they are told in a payload.
    texts: titles and bodies.
    authors: names, which count only where they are a whole value.
    """

    identities: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    authors: frozenset[str] = frozenset()
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts = {t for t in self.texts if len(t) >= SHORTEST_TEXT}
        loose = _any_of({*self.identities, *self.links, *texts})
        whole = _any_of(self.authors)
        parts = []
        if loose:
            parts.append(rf"(?<![\w/]){loose}(?![\w/-])|(?<=//){loose}(?![\w/-])")
        if whole:
            parts.append(rf"[>\"'\[(/]\s*{whole}\s*[<\"'\])]")
        pattern = re.compile("|".join(parts)) if parts else None
        object.__setattr__(self, "_pattern", pattern)

    def are_in(self, payload: str) -> bool:
        """Say whether a payload gives one of the texts away."""
        return self._pattern is not None and self._pattern.search(fold(payload)) is not None


def _any_of(words: Iterable[str]) -> str:
    folded = sorted({fold(w) for w in words} - {""}, key=lambda w: (-len(w), w))
    return f"(?:{'|'.join(map(re.escape, folded))})" if folded else ""
