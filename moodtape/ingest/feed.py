"""The bytes of a feed become items: RSS, RDF and Atom, well formed or not, never trusted."""

from __future__ import annotations

import calendar
import codecs
import io
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moodtape.clock import EPOCH, FUTURE_TOLERANCE
from moodtape.errors import CouldNotRead
from moodtape.ingest.documents import EARLIEST

_PROLOG = re.compile(rb"^\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_ROOT_ENDS = re.compile(rb"</(?:\w+:)?(?:rss|feed|rdf)\s*>\s*(?:<!--.*?-->\s*)*$", re.I | re.DOTALL)
_ITEM_ENDS = re.compile(rb"</(?:\w+:)?(?:item|entry)\s*>", re.IGNORECASE)
_ZONED = re.compile(r"(?:[zZ]|[+-]\d{2}:?\d{2}|[A-Z]{2,5})\)?$")
_REFERENCE = re.compile(rb"&#([0-9]+|[xX][0-9a-fA-F]+);?")
LOST = b"&#65533;"
_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "cp037")
_MARKS = (
    *(codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    codecs.BOM_UTF8,
    *(codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
)
_LONGEST_DECLARATION = 256
_WIDEST_OFFSET = timedelta(hours=14)


@dataclass(frozen=True)
class Item:
    """What a feed says about one text, as it came.

    published: its own words; published_at: the instant, where they can be read.
    naive: whether those words name no time zone, so that they were read as UTC.
    """

    guid: str
    title: str
    body: str
    link: str
    author: str
    categories: str
    published: str
    published_at: datetime | None
    naive: bool

    def published_by(self, fetched_at: datetime) -> datetime | None:
        """Return when it was published, or None where the feed's time cannot be true.

        A time without a zone may lie ahead of ours by as much as zones differ.
        """
        at = self.published_at
        if at is None or at < EARLIEST:
            return None
        slack = _WIDEST_OFFSET if self.naive else FUTURE_TOLERANCE
        return min(at, fetched_at) if at <= fetched_at + slack else None


@dataclass(frozen=True)
class Feed:
    """The whole items of a feed, newest first as a rule; `cut` where it broke off."""

    items: tuple[Item, ...]
    cut: bool = False


def read_feed(body: bytes, content_type: str, place: str) -> Feed:
    """Return the items of a feed.

    Raises:
        CouldNotRead: it is no feed, or it brings a document type, which can hide any text
            and any file behind an entity.
    """
    import feedparser

    _refuse_web_page_and_dtd(body, place)
    whole = _without_no_characters(_on_its_own_line(body, place))
    # Given bytes, feedparser takes them for a file's name first. Told an address, it would make
    # guids into addresses, and a text would be another one at a mirror.
    told = {"content-type": content_type} if content_type else {}
    try:
        found = feedparser.parse(
            io.BytesIO(whole), response_headers=told, sanitize_html=False,
            resolve_relative_uris=False,
        )  # fmt: skip
    except Exception as exc:  # what it stumbles over differs from version to version
        raise CouldNotRead(
            f"{place} sent a feed that feedparser cannot read ({type(exc).__name__})."
        ) from exc
    if not found.get("version"):
        kind = content_type[:60] or "no type"
        raise CouldNotRead(f"{place} sent {len(body):,} bytes ({kind}) that are no feed.")
    entries = list(found.entries)
    plain = body.replace(b"\0", b"")
    cut = bool(found.bozo) and not _ROOT_ENDS.search(plain[-2000:].rstrip())
    if cut:
        entries = entries[: len(_ITEM_ENDS.findall(plain))]
    return Feed(tuple(_item(entry) for entry in entries), cut)


def _on_its_own_line(body: bytes, place: str) -> bytes:
    """End the line behind an XML declaration, in any encoding that feedparser knows.

    It looks there for the name of the encoding, by an expression that takes the cube of the
    line's length where it finds none.

    Raises:
        CouldNotRead: the declaration is longer than any.
    """
    mark = next((mark for mark in _MARKS if body.startswith(mark)), b"")
    for encoding in _ENCODINGS:
        begin, line = "<?".encode(encoding), "\n".encode(encoding)
        if not body.startswith(begin, len(mark)):
            continue
        limit = len(mark) + _LONGEST_DECLARATION * len(line)
        for end in ("?>".encode(encoding), ">".encode(encoding)):
            at = body.find(end, 0, limit)
            if at >= 0 and (at - len(mark)) % len(line) == 0:
                behind = at + len(end)
                return body[:behind] + line + body[behind:]
        raise CouldNotRead(f"{place} sent a feed whose XML declaration does not end.")
    return body


def _without_no_characters(body: bytes) -> bytes:
    """Put the mark of a lost character in place of references to what is none.

    feedparser breaks at them, and one item would cost all the others.
    """
    return _REFERENCE.sub(lambda found: found[0] if _is_character(found[1]) else LOST, body)


def _is_character(digits: bytes) -> bool:
    if len(digits) > 9:
        return False
    number = int(digits[1:], 16) if digits[:1] in b"xX" else int(digits)
    return 0 < number < 0xD800 or 0xDFFF < number < 0x110000


def _refuse_web_page_and_dtd(body: bytes, place: str) -> None:
    plain = body.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    start = _PROLOG.sub(b"", plain, count=1)[:15].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise CouldNotRead(f"{place} sent a web page instead of a feed; it may want a person.")
    if start.startswith((b"<!doctype", b"<!entity")):
        raise CouldNotRead(f"{place} sent a document type (DTD), which a feed does not need.")


def _item(entry: Any) -> Item:
    stamp = next((k for k in ("published", "updated", "created") if k in entry), None)
    words = str(entry[stamp] or "") if stamp else ""
    parsed = entry[f"{stamp}_parsed"] if stamp and f"{stamp}_parsed" in entry else None
    return Item(
        guid=str(entry.get("id") or ""),
        title=str(entry.get("title") or ""),
        body=str(entry.get("summary") or ""),
        link=str(entry.get("link") or ""),
        author=str(entry.get("author") or ""),
        categories="|".join(str(tag.get("term") or "") for tag in entry.get("tags") or ()),
        published=words,
        published_at=_instant(parsed),
        naive=not _ZONED.search(words.strip()),
    )


def _instant(parsed: Any) -> datetime | None:
    """Return the instant of feedparser's `struct_time`, which is in UTC."""
    if parsed is None:
        return None
    try:
        return EPOCH + timedelta(seconds=calendar.timegm(parsed))
    except (OverflowError, ValueError):
        return None
