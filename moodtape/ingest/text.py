"""Clean text, canonical links and the keys by which texts are told apart.

Everything that comes from outside is hostile until it has been through here.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

from moodtape.markup import unescape

TEXT_VERSION = "1"
"""Version of `scored_text`: a change gives every text a new hash, and so a new score."""

POST_CHARS = 600
"""Posts are scored on this many characters: about the 128 tokens that a scorer reads."""

_SCRIPT_EDGE = re.compile(r"<(/?)(script|style)\b[^<>]{0,2000}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,2000}>")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W_]+")
_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_DELETED = {"[removed]", "[deleted]", "[deleted by user]", "[ removed by reddit ]"}
_TRACKING = re.compile(r"^(utm_|fbclid|gclid|ref$|ref_|source$|cmpid|mc_)", re.IGNORECASE)


def clean(text: str, max_chars: int) -> str:
    """Return plain text: markup out, entities read, Unicode composed, blanks folded, cut.

    Control and bidirectional characters are dropped, since they can hide or reorder
    what a reader sees.

    >>> clean("<b>BTC</b> &amp; ETH\\u202e up", 100)
    'BTC & ETH up'
    """
    text = text[: max_chars * 20]
    if "&" in text:
        text = unescape(text)
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", text).translate(_SHOWN)
    if "<" in text:
        text = _TAG.sub(" ", _without_scripts(text))
    return _SPACE.sub(" ", text).strip()[:max_chars].rstrip()


def _without_scripts(text: str) -> str:
    """Cut out scripts and styles with what is in them, in one pass however many are opened."""
    kept, start, inside = [], 0, ""
    for edge in _SCRIPT_EDGE.finditer(text):
        name = edge[2].lower()
        if not inside and not edge[1]:
            kept.append(text[start : edge.start()])
            start, inside = edge.start(), name
        elif inside == name and edge[1]:
            start, inside = edge.end(), ""
    return " ".join((*kept, text[start:]))


class _Shown(dict[int, "int | str | None"]):
    """What becomes of a character: control, format, surrogate and private ones go, blanks stay.

    The zero-width joiner stays, because emoji are built with it.
    """

    def __missing__(self, code: int) -> int | str | None:
        char = chr(code)
        hidden = unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"}
        self[code] = code if not hidden or char == "\u200d" else " " if char.isspace() else None
        return self[code]


_SHOWN = _Shown()


def is_deleted(text: str) -> bool:
    """Say whether a post's text is only the mark that it was deleted."""
    return text.strip().lower() in _DELETED


def scored_text(source: str, title: str, body: str) -> str:
    """Return the exact string that scorers read: a news title, or a post's title and body.

    >>> scored_text("news", "ETF approved", "Long story")
    'ETF approved'
    >>> scored_text("reddit", "Sold", "all of it")
    'Sold | all of it'
    """
    if source == "news":
        return title or body[:300]
    return (f"{title} | {body}" if title and body else title or body)[:POST_CHARS].rstrip()


def content_hash(text: str) -> str:
    """Return 32 hex digits that stand for the scored string under this text version."""
    return hashlib.sha256(f"{TEXT_VERSION}\x00{text}".encode()).hexdigest()[:32]


def repeat_key(text: str, min_words: int) -> str | None:
    """Return a key equal for texts of the same words, or None for a short remark.

    Case, punctuation, links and emoji do not count.

    >>> repeat_key("BTC hits 100K! https://a.b", 3) == repeat_key("btc hits: 100k", 3)
    True
    >>> repeat_key("To the moon", 5) is None
    True
    """
    words = _WORD.findall(_LINK.sub(" ", text).lower())
    if len(words) < min_words:
        return None
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def canonical_url(url: str) -> str | None:
    """Return an http(s) link without user, fragment and tracking, or None for anything else.

    >>> canonical_url("HTTPS://News.example/a?utm_source=x&id=3#top")
    'https://news.example/a?id=3'
    >>> canonical_url("javascript:alert(1)") is None
    True
    """
    try:
        url = url.strip()[:2000]
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme.lower() not in {"http", "https"} or not host or not url.isprintable():
        return None
    place = parts.netloc.rpartition("@")[2].lower()
    kept = [p for p in parts.query.split("&") if p and not _TRACKING.match(p.partition("=")[0])]
    return urlunsplit((parts.scheme.lower(), place, parts.path, "&".join(kept), ""))


def author_hash(source: str, author: str) -> str:
    """Return 16 hex digits for an author, so that names are not kept."""
    return hashlib.sha256(f"{source}\x00{author}".encode("utf-8", "replace")).hexdigest()[:16]


def document_id(source: str, outlet: str, url: str, title: str, published: str) -> str:
    """Return an identity for a text whose source gives none: its link, else what it says."""
    basis = url or "\x00".join((outlet, title, published))
    return hashlib.sha256(f"{source}\x00{basis}".encode()).hexdigest()[:24]
