"""Reads CSV line by line, so that one broken record costs no others.

A quote that is never closed makes a CSV reader swallow everything after it. Here a
record that spans several lines and does not fit the header is given back: its first
line is refused and reading goes on with the second.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from moodtape.errors import UnreadableFile

MAX_LINE_BYTES = 32 * 2**20
PAYLOAD_CHARS = 4_096

Line = tuple[int, "dict[str, Any] | str", str]
"""A line's number, then its row or the reason why it has none, then what it said."""


def numbered_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield lines with their numbers; None for one over the cap, whose rest is skipped."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                continue
            yield number, None
        else:
            yield number, line


class _Source:
    """Text lines for `csv.reader`, which remember the record under way and can be given back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines = numbered_lines(stream)
        self._again: deque[tuple[int, str]] = deque()
        self.record: list[tuple[int, str]] = []
        self.overlong: list[int] = []
        self.ended = False

    def __iter__(self) -> _Source:
        return self

    def __next__(self) -> str:
        if self._again:
            self.record.append(self._again.popleft())
            return self.record[-1][1]
        for number, line in self._lines:
            if line is None:
                self.overlong.append(number)
                continue
            encoding = "utf-8-sig" if number == 1 else "utf-8"
            self.record.append((number, line.decode(encoding, "surrogateescape")))
            return self.record[-1][1]
        self.ended = True
        raise StopIteration

    def give_back(self) -> None:
        """Let every line of the record but its first be read again."""
        self._again.extendleft(reversed(self.record[1:]))


def csv_rows(stream: IO[bytes], path: Path) -> Iterator[Line]:
    """Yield the records of a CSV file below its header.

    Raises:
        UnreadableFile: there is no header that can be read, or it names a column twice.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    source = _Source(stream)
    header, delimiter = _header(source, path)
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        source.record = []
        try:
            values = next(reader)
            reason = _misfit(values, header, source, delimiter)
        except StopIteration:
            break
        except csv.Error as exc:
            reason = f"not CSV: {exc}"
        if not source.record or (reason is None and not values):
            continue
        number, first = source.record[0]
        if reason is None:
            yield number, dict(zip(header, values, strict=True)), ""
        else:
            source.give_back()
            yield number, reason, _payload(first)
    for number in source.overlong:
        yield number, f"longer than {MAX_LINE_BYTES >> 20} MiB", ""


def _header(source: _Source, path: Path) -> tuple[list[str], str]:
    first = next(source, "")
    if not first.strip():
        raise UnreadableFile(f"{path} has no header line. The first line must name the columns.")
    delimiter = max(",;\t|", key=first.count)
    try:
        first.encode("utf-8")
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    except (UnicodeEncodeError, csv.Error) as exc:
        why = "not UTF-8" if isinstance(exc, UnicodeEncodeError) else f"not CSV: {exc}"
        raise UnreadableFile(f"{path}: its first line, which names the columns, is {why}.") from exc
    if len(set(header)) < len(header):
        raise UnreadableFile(
            f"{path} names a column twice in its header: {first.strip()[:200]}. Rename one."
        )
    return header, delimiter


def _misfit(values: list[str], header: list[str], source: _Source, delimiter: str) -> str | None:
    """Return why a record cannot be used, or None."""
    several = len(source.record) > 1
    if (several or source.ended) and _is_open(source, delimiter, several):
        return "a quote is never closed"
    if values and len(values) != len(header):
        return f"has {len(values)} columns, the header {len(header)}"
    try:
        for value in values:
            value.encode("utf-8")
    except UnicodeEncodeError:
        return "invalid UTF-8"
    return None


def _is_open(source: _Source, delimiter: str, several: bool) -> bool:
    """Say whether quotes were still open where the record ended, or where another began."""
    texts = [text for _, text in source.record]
    try:
        next(csv.reader(texts, delimiter=delimiter, strict=True))
    except csv.Error as exc:
        return several or "unexpected end" in str(exc)
    return False


def _payload(line: str) -> str:
    return json.dumps(line.rstrip("\r\n")[:PAYLOAD_CHARS], ensure_ascii=True)[:PAYLOAD_CHARS]
