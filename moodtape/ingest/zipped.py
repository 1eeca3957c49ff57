"""Reads the one file of a ZIP archive that came from elsewhere; nothing is written to a disk.

1. one member       by the archive's own directory, before a library reads it
2. the right one    the name that was expected; it is compared, never used as a path
3. no bomb          its unpacked size and its ratio are bounded, and no more is ever unpacked
4. whole            its length and its CRC are what the directory says
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from moodtape.errors import CouldNotRead
from moodtape.ingest.text import clean

MOST_RATIO = 100
"""Unpacked bytes for one packed byte; rows of numbers have two to twenty."""

_END, _END_BYTES = b"PK\x05\x06", 22
_LOCATOR_64, _LOCATOR_64_BYTES = b"PK\x06\x07", 20
_MOST_COMMENT, _MOST_DIRECTORY = 2**16, 2**12
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def only_member(body: bytes, name: str, limit: int, place: str) -> bytes:
    """Return the unpacked bytes of an archive's one file.

    Args:
        name: what the file is called.
        limit: most bytes, unpacked.
        place: where the archive came from, for messages.
    Raises:
        CouldNotRead: it is no such archive, or a bomb.
    """
    _require_one_member(body, place)
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            (member,) = archive.infolist()
            _require_safe(member, name, limit, place)
            with archive.open(member) as file:
                # The library checks the CRC where it meets the end, one byte further on.
                unpacked = file.read(member.file_size + 1)
    except (
        zipfile.BadZipFile, zlib.error, EOFError, ValueError, OverflowError, RuntimeError,
        struct.error,
    ) as exc:  # fmt: skip
        why = clean(str(exc), 100) or "it ends early"
        raise CouldNotRead(f"{place} sent a ZIP archive that is damaged: {why}.") from exc
    if len(unpacked) != member.file_size:
        raise CouldNotRead(f"{place} sent a ZIP archive whose file is cut short.")
    return unpacked


def _require_one_member(body: bytes, place: str) -> None:
    """Refuse an archive of many members, or none, before a list of them is made."""
    end = body.rfind(_END, max(len(body) - _END_BYTES - _MOST_COMMENT, 0))
    if not body.startswith(b"PK") or end < 0 or len(body) < end + _END_BYTES:
        raise CouldNotRead(f"{place} sent {len(body):,} bytes that are no whole ZIP archive.")
    members, directory_bytes = struct.unpack_from("<HL", body, end + 10)
    before = max(end - _LOCATOR_64_BYTES, 0)
    if members != 1 or directory_bytes > _MOST_DIRECTORY or body[before:].startswith(_LOCATOR_64):
        raise CouldNotRead(f"{place} sent a ZIP archive that does not hold one file; one is due.")


def _require_safe(member: zipfile.ZipInfo, name: str, limit: int, place: str) -> None:
    if member.filename != name:
        raise CouldNotRead(f"{place} sent {clean(member.filename, 60)!r} where {name} is due.")
    if member.flag_bits & 1 or member.compress_type not in _METHODS:
        raise CouldNotRead(f"{place} sent a ZIP archive packed in a way that is not read here.")
    if member.file_size > limit:
        raise CouldNotRead(
            f"{place} sent a file of {member.file_size / 2**20:,.4g} MiB, unpacked; the most is"
            f" {limit / 2**20:.3g} (dumps.file_limit_mib)."
        )
    if member.file_size > MOST_RATIO * max(member.compress_size, 1):
        raise CouldNotRead(
            f"{place} sent a file that unpacks to over {MOST_RATIO} times its size: a ZIP bomb."
        )
