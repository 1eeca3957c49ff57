"""Texts from any table: cleaned, identified, stamped with when they were known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moodtape.clock import FUTURE_TOLERANCE, document_known_at, to_datetime64
from moodtape.config import ClockSection, ImportsSection, SentimentSection
from moodtape.ingest.cells import cell_text
from moodtape.ingest.columns import BLANK, is_symbol, read_names, split_pair
from moodtape.ingest.rejects import Rejected, Verdicts, row_payload
from moodtape.ingest.symbols import Aliases
from moodtape.ingest.text import (
    author_hash,
    canonical_url,
    clean,
    content_hash,
    document_id,
    is_deleted,
    repeat_key,
    scored_text,
)
from moodtape.ingest.times import MISSING, is_none, no_times, read_times
from moodtape.storage.sketches import sketch_texts
from moodtape.storage.staging import Stage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

REQUIRED = ("published_at",)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
SOURCES = {"news": "news", "reddit": "reddit", "x": "x", "twitter": "x", "tweets": "x"}
MAX_ID_CHARS = 256


@dataclass(frozen=True)
class DocumentContext:
    """What a file of texts does not say itself, and the rules that texts meet."""

    source: str | None
    collection: str
    symbol: str | None
    aliases: Aliases
    clock: ClockSection
    imports: ImportsSection
    sentiment: SentimentSection
    assume_utc: bool = False


def read_documents(
    table: pd.DataFrame, columns: Mapping[str, str], context: DocumentContext, now: datetime
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """Return one record per usable text, with its mentions and engagement, and the rest.

    Refused: an unreadable, absurd or future time, a field over the size limit, a text
    that is empty or was deleted, an unknown source, a symbol that is no asset's name.
    """
    import numpy as np

    verdicts = Verdicts(len(table))
    sources = _sources(table, columns, context, verdicts)
    published, unreadable = read_times(table[columns["published_at"]], context.assume_utc)
    verdicts.refuse_each(unreadable)
    collected = no_times(len(table))
    if "collected_at" in columns:
        collected, wrong = read_times(table[columns["collected_at"]], context.assume_utc)
        wrong[np.equal(wrong, MISSING)] = None
        verdicts.refuse_each(wrong)
    latest = to_datetime64(now + FUTURE_TOLERANCE)
    with np.errstate(invalid="ignore"):
        verdicts.refuse(published > latest, "published in the future")
        verdicts.refuse(collected > latest, "collected in the future")
        verdicts.refuse(published < to_datetime64(EARLIEST), "published before 1990")
    known, assumed, date_only = _known(published, collected, sources, context.clock)
    cells = {name: table[theirs].tolist() for name, theirs in columns.items()}
    records, rejected = [], []
    for i, line in enumerate(table.index):
        reason = verdicts.reasons[i]
        if reason is None:
            row = {name: values[i] for name, values in cells.items()}
            record = _record(row, str(sources[i]), str(published[i]), context)
            if isinstance(record, dict):
                stamps = {"published": published[i], "known": known[i], "assumed": bool(assumed[i])}
                records.append({"line": line, **stamps, "date_only": bool(date_only[i]), **record})
                continue
            reason = record
        rejected.append(Rejected(f"line {line}", reason, row_payload(table.iloc[i])))
    _add_sketches(records)
    return records, rejected


def _add_sketches(records: list[dict[str, Any]]) -> None:
    """Add what tells whether a text repeats another, to texts long enough to be repeated."""
    long = [record for record in records if record["repeat_key"] is not None]
    for record, sketch in zip(long, sketch_texts([r["text"] for r in long]), strict=True):
        record |= sketch


def _known(
    published: NDArray[np.datetime64],
    collected: NDArray[np.datetime64],
    sources: NDArray[np.object_],
    clock: ClockSection,
) -> tuple[NDArray[np.datetime64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return known_at, whether it is assumed, and whether publication is a bare date."""
    import numpy as np

    news = np.equal(sources, "news")
    date_only = news & (published == published.astype("datetime64[D]"))
    delays = {
        True: timedelta(minutes=clock.news_delay_min),
        False: timedelta(minutes=clock.post_delay_min),
    }
    known = published.copy()
    assumed = np.zeros(len(published), dtype=bool)
    for is_news, delay in delays.items():
        part = news == is_news
        known[part], assumed[part] = document_known_at(
            published[part], collected[part], delay, date_only[part]
        )
    return known, assumed, date_only


def _sources(
    table: pd.DataFrame, columns: Mapping[str, str], context: DocumentContext, verdicts: Verdicts
) -> NDArray[np.object_]:
    import numpy as np

    if context.source is not None or "source" not in columns:
        return np.full(len(table), context.source or "news", dtype=object)
    stated = read_names(table[columns["source"]], "news", str.lower)
    sources = np.array([SOURCES.get(s) for s in stated], dtype=object)
    verdicts.refuse(is_none(sources), "source is none of news, reddit, x; say --source")
    return sources


def _record(
    row: Mapping[str, Any], source: str, published: str, context: DocumentContext
) -> dict[str, Any] | str:
    """Return the stored form of one text, or the reason why there is none."""
    texts = {name: cell_text(row.get(name)) for name in _TEXT_FIELDS}
    for name, text in texts.items():
        limit = context.imports.max_field_kib
        if len(text) * 4 > limit << 10 and (size := len(text.encode("utf-8"))) > limit << 10:
            return f"{name} is {size >> 10} KiB, the limit is {limit} (imports.max_field_kib)"
    author = "" if is_deleted(texts["author"]) else texts["author"]
    title = "" if is_deleted(texts["title"]) else texts["title"]
    body = "" if is_deleted(texts["body"]) else texts["body"]
    title = clean(title, context.imports.max_title_chars)
    body = clean(body, context.imports.max_body_chars)
    scored = scored_text(source, title, body)
    if not scored:
        return "no text, or only the mark that it was deleted"
    symbols = _declared(texts["symbol"], context)
    if symbols is None:
        return "symbol is not an asset's name"
    outlet = clean(texts["outlet"], 100)
    url = canonical_url(texts["url"]) if texts["url"] else None
    identity = clean(texts["document_id"], MAX_ID_CHARS) or document_id(
        source, outlet, url or "", title or body, published
    )
    by_alias = {} if symbols else context.aliases.mentions(scored, outlet)
    return {
        "source": source,
        "collection": clean(texts["collection"], 100) or context.collection,
        "document_id": identity,
        "outlet": outlet or None,
        "form": _form(source, texts["form"], title),
        "author_hash": author_hash(source, author) if author else None,
        "url": url,
        "title": title or None,
        "body": body or None,
        "categories": clean(texts["categories"], 300) or None,
        "content_hash": content_hash(scored),
        "text": scored,
        "repeat_key": repeat_key(scored, context.sentiment.repost_min_words),
        "mentions": by_alias or dict.fromkeys(symbols, "declared"),
        "engagement": _engagement(row),
    }


_TEXT_FIELDS = (
    *("document_id", "title", "body", "outlet", "url", "author"),
    *("collection", "form", "categories", "symbol"),
)


def _declared(text: str, context: DocumentContext) -> list[str] | None:
    """Return the assets that the row or the user names; None if one is no asset's name."""
    stated = context.symbol or "" if text.strip().lower() in BLANK else text
    parts = [p for p in re.split(r"[|;,]", stated) if p.strip().lower() not in BLANK]
    symbols = [split_pair(p, context.aliases.symbols)[0].removeprefix("$") for p in parts]
    return symbols if all(is_symbol(s) for s in symbols) else None


def _form(source: str, stated: str, title: str) -> str:
    if source == "reddit":
        return stated if stated in {"post", "comment"} else "post" if title else "comment"
    return "tweet" if source == "x" else "article"


def _engagement(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the reactions a file reports; their time of reading is not known."""
    values = {name: _whole(row.get(name)) for name in ("likes", "comments", "reposts")}
    removed = cell_text(row.get("removed")).strip().lower()
    flag = None if removed in BLANK else removed in {"true", "1", "1.0", "yes"}
    if all(v is None for v in values.values()) and flag is None:
        return None
    return {**values, "removed": flag}


def _whole(value: Any) -> int | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if abs(number) < 2**53 else None


def stage_records(stage: Stage, records: list[dict[str, Any]]) -> None:
    """Add texts, their mentions and their engagement to the staged tables."""
    from moodtape.clock import from_datetime64

    rows, mentions, reactions = [], [], []
    for record in records:
        row = {k: v for k, v in record.items() if k not in {"mentions", "engagement"}}
        row["published_at"] = from_datetime64(row.pop("published"))
        row["known_at"] = from_datetime64(row.pop("known"))
        rows.append(row)
        line = record["line"]
        mentions += [
            {"line": line, "symbol": s, "how": how} for s, how in record["mentions"].items()
        ]
        if record["engagement"] is not None:
            key = {k: record[k] for k in ("source", "collection", "document_id")}
            reactions.append({**key, **record["engagement"]})
    stage.append("document", rows)
    stage.append("mention", mentions)
    stage.append("engagement", reactions)
