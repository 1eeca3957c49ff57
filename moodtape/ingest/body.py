"""Reads an answer's body with a bound on its unpacked size, whatever it claims to be."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from moodtape.errors import CouldNotRead

CHUNK = 16 * 1024
ACCEPT_ENCODING = "gzip, deflate"
_PACKED = ("gzip", "x-gzip", "deflate")


class CutShort(Exception):
    """The body ended before it was whole; asking again may help."""


def read_body(chunks: Iterable[bytes], encoding: str, limit: int, place: str) -> bytes:
    """Return the unpacked body.

    Args:
        chunks: the body as it came over the wire.
        encoding: the `Content-Encoding` header; anything but gzip and deflate is refused,
            since nothing else was asked for.
        limit: most bytes, unpacked; no more than that is ever held.
        place: where it came from, for messages.
    Raises:
        CouldNotRead: over the limit, or not packed as it says.
        CutShort: a packed body without its end.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", *_PACKED):
        raise CouldNotRead(
            f"{place} sent a body packed by {encoding[:40]!r}, which was not asked for."
        )
    parts = _unpacked(chunks, encoding, limit) if encoding in _PACKED else chunks
    body = bytearray()
    try:
        for part in parts:
            body += part
            if len(body) > limit:
                raise CouldNotRead(
                    f"{place} sent more than {limit / 2**20:g} MiB (http.body_limit_mib)."
                )
    except zlib.error as exc:
        raise CouldNotRead(f"{place} sent a body that is not {encoding}: {exc}.") from exc
    return bytes(body)


def _unpacked(chunks: Iterable[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    """Yield the unpacked bytes in parts of at most `limit + 1`, so that no bomb goes off."""
    unpack, whole, begun = zlib.decompressobj(zlib.MAX_WBITS | 32), True, False
    for chunk in chunks:
        rest = chunk
        while rest:
            if whole and begun and not rest.strip(b"\0"):
                break  # padding behind the last member
            if whole and begun:
                unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
            try:
                part = unpack.decompress(rest, limit + 1)
            except zlib.error:
                if begun or encoding != "deflate":
                    raise
                # Some servers send deflate without the zlib header that the name stands for.
                unpack = zlib.decompressobj(-zlib.MAX_WBITS)
                part = unpack.decompress(rest, limit + 1)
            begun, whole = True, unpack.eof
            yield part
            rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
    if not whole:
        raise CutShort("a packed body ended early")
