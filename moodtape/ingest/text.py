"""Clean text, canonical links and the keys by which texts are told apart.

Everything that comes from outside is hostile until it has been through here.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

TEXT_VERSION = "1"
"""Version of `scored_text`: a change gives every text a new hash, and so a new score."""

POST_CHARS = 600
"""Posts are scored on this many characters: about the 128 tokens that a scorer reads."""

_SCRIPT = re.compile(r"<(script|style)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,2000}>")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[a-z0-9]+")
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
    if "<" in text:
        text = _TAG.sub(" ", _SCRIPT.sub(" ", text))
    if "&" in text:
        text = html.unescape(text)
        text = _TAG.sub(" ", text) if "<" in text else text
    text = unicodedata.normalize("NFC", text)
    if not text.isascii() or not text.isprintable():
        text = "".join(c if _is_shown(c) else " " if c.isspace() else "" for c in text)
    return _SPACE.sub(" ", text).strip()[:max_chars].rstrip()


def _is_shown(char: str) -> bool:
    """Say whether a character may stay: no control, format, surrogate or private ones.

    The zero-width joiner stays, because emoji are built with it.
    """
    return char == "\u200d" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


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
    """Return an http(s) link without fragment and tracking, or None for anything else.

    >>> canonical_url("HTTPS://News.example/a?utm_source=x&id=3#top")
    'https://news.example/a?id=3'
    >>> canonical_url("javascript:alert(1)") is None
    True
    """
    try:
        parts = urlsplit(url.strip()[:2000])
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme.lower() not in {"http", "https"} or not host:
        return None
    kept = [p for p in parts.query.split("&") if p and not _TRACKING.match(p.partition("=")[0])]
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path, "&".join(kept), ""))


def author_hash(source: str, author: str) -> str:
    """Return 16 hex digits for an author, so that names are not kept."""
    return hashlib.sha256(f"{source}\x00{author}".encode()).hexdigest()[:16]


def document_id(source: str, outlet: str, url: str, title: str, published: str) -> str:
    """Return an identity for a text whose source gives none: its link, else what it says."""
    basis = url or "\x00".join((outlet, title, published))
    return hashlib.sha256(f"{source}\x00{basis}".encode()).hexdigest()[:24]
