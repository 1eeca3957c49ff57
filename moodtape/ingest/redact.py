"""Takes forgotten texts out of answers that are kept as they came.

    1. look      does a kept answer give one of the texts away, in any of its encodings?
    2. cut out   the items that do, so that a replay still brings the others
    3. withhold  the whole answer, where what is left of it still does

A tape is written beside the old one and takes its place at once: a crash leaves either.
"""

from __future__ import annotations

import base64
import codecs
import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moodtape.storage.traces import Traces

WITHHELD = "What came here was forgotten on request."
PAGE_MARKS = ("after", "before", "newest_id", "oldest_id")
"""Where an answer names its first or last item; without a mark the next page is not asked for."""

_DECLARED = re.compile(rb"""(?:encoding|charset)\s*=\s*["']?([A-Za-z0-9._-]{2,30})""")
_ITEM = re.compile(r"<(?:\w+:)?(item|entry)\b.*?</(?:\w+:)?\1\s*>", re.DOTALL | re.IGNORECASE)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)  # fmt: skip


def redact_answers(folder: Path, traces: Traces, dry_run: bool = False) -> int:
    """Take what gives a text away out of every tape; return how many answers held some.

    folder: of all runs' answers; it need not exist.
    dry_run: only count.
    """
    return sum(redact_tape(path, traces, dry_run) for path in sorted(folder.glob("*/*.jsonl")))


def redact_tape(path: Path, traces: Traces, dry_run: bool = False) -> int:
    """Write one tape again without the texts; a tape that grew meanwhile is read once more."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        while True:
            size = path.stat().st_size
            changed, cut_short = 0, False
            with path.open("rb") as old, beside.open("wb") as new:
                for line in old:
                    kept = redact_line(line, traces)
                    changed += kept not in (line, b"")
                    cut_short = cut_short or not kept
                    new.write(kept)
                new.flush()
                os.fsync(new.fileno())
            if dry_run or not (changed or cut_short):
                return changed
            if path.stat().st_size == size:
                beside.replace(path)
                return changed
    finally:
        beside.unlink(missing_ok=True)


def redact_line(line: bytes, traces: Traces) -> bytes:
    """Return a line of a tape without the texts; the very line if it gives none away.

    A line that a crash cut short is kept nowhere: nobody reads it, and it may hold anything.
    """
    try:
        told = json.loads(line)
    except ValueError:
        return b""
    if "body" not in told:
        said = json.dumps([told.get("cursor"), told.get("failure", {}).get("message")])
        return _withheld(told) if traces.are_in(said) else line
    try:
        body = gzip.decompress(base64.b64decode(told["body"]))
    except (ValueError, OSError, EOFError):
        return _withheld(told)
    about = json.dumps([told.get("place"), told.get("headers")])
    if traces.are_in(about):
        return _withheld(told)
    if not _gives_away(body, traces):
        return line
    left, told["withheld"] = without_items(body, traces), b'"after"' in body
    if left is None or _gives_away(left, traces):
        return _withheld(told)
    told["sha256"] = hashlib.sha256(left).hexdigest()
    told["body"] = base64.b64encode(gzip.compress(left, 6, mtime=0)).decode()
    return json.dumps(told).encode() + b"\n"


def _withheld(told: dict[str, Any]) -> bytes:
    """Return a line that says that there was an answer, and that it is gone."""
    if "asked" not in told:  # the head of a tape: its cursor
        return json.dumps({**told, "cursor": None}).encode() + b"\n"
    failure = {"kind": "CouldNotRead", "message": WITHHELD}
    line = {"asked": told["asked"], "at": told["at"], "failure": failure, "withheld": True}
    return json.dumps(line).encode() + b"\n"


def without_items(body: bytes, traces: Traces) -> bytes | None:
    """Return a payload without the items that give a text away; None if it has no items.

    Items are the members of the outermost list of JSON, or the entries of a feed.

    >>> without_items(b'{"data": [{"id": "1234"}, {"id": "5678"}]}',
    ...     Traces(identities=frozenset({"1234"})))
    b'{"data": [{"id": "5678"}]}'
    """
    encoding = _encoding(body)
    try:
        text = body.decode(encoding)
    except (UnicodeError, LookupError):
        return None
    try:
        told = json.loads(text)
    except RecursionError:
        return None
    except ValueError:
        left, count = _ITEM.subn(lambda m: "" if traces.are_in(m[0]) else m[0], text)
        return left.encode(encoding) if count else None
    return json.dumps(_pruned(told, traces)).encode(encoding)


def _pruned(told: Any, traces: Traces) -> Any:
    if isinstance(told, list):
        return [one for one in told if not traces.are_in(json.dumps(one))]
    if isinstance(told, dict):
        return {
            key: None if key in PAGE_MARKS and traces.are_in(json.dumps(value))
            else _pruned(value, traces) for key, value in told.items()
        }  # fmt: skip
    return told


def _gives_away(body: bytes, traces: Traces) -> bool:
    return any(traces.are_in(text) for text in _readings(body))


def _readings(body: bytes) -> Iterator[str]:
    """Yield a payload as text, in every encoding that it could well be in."""
    encodings = {"utf-8": None, _encoding(body): None, "cp1252": None}
    if b"\x00" in body:
        encodings |= {"utf-16-le": None, "utf-16-be": None}
    for encoding in encodings:
        try:
            yield body.decode(encoding, "replace")
        except LookupError:
            continue  # no such encoding: the other readings stand


def _encoding(body: bytes) -> str:
    for mark, name in _MARKS:
        if body.startswith(mark):
            return name
    declared = _DECLARED.search(body[:300])
    return declared[1].decode().lower() if declared else "utf-8"
