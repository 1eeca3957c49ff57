"""Opens text files that may be compressed, and says plainly when one is cut short."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, TYPE_CHECKING

from moodtape.errors import UnreadableFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
STRANGERS = {
    b"PK\x03\x04": "a zip archive or a spreadsheet; unpack it or save it as CSV",
    b"BZh": "bzip2; pack it as gzip or zstd, or unpack it",
    b"\xfd7zX": "xz; pack it as gzip or zstd, or unpack it",
    b"\xff\xfe": "UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as UTF-8",
}
_READ_BYTES = 2**16


def open_text(raw: IO[bytes], magic: bytes, path: Path) -> IO[bytes]:
    """Return the plain bytes of a text file, whatever it is packed with.

    Raises:
        UnreadableFile: it is packed in a way that is not read here.
    """
    for start, what in STRANGERS.items():
        if magic.startswith(start):
            raise UnreadableFile(f"{path} is {what}.")
    if magic.startswith(GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), _READ_BYTES)
    if magic == ZSTD:
        return io.BufferedReader(ZstdReader(raw), _READ_BYTES)
    return raw


class ZstdReader(io.RawIOBase):
    """Reads one or more zstd frames; unlike the library's own reader it refuses a cut one."""

    def __init__(self, raw: IO[bytes]) -> None:
        import zstandard

        # The window of public archives is up to 2 GiB; this is the reader's cap, not its use.
        self._opener = zstandard.ZstdDecompressor(max_window_size=2**31)
        self._raw = raw
        self._frame = self._opener.decompressobj()
        self._begun = False
        self._ready = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer with plain bytes; 0 at the end of the last whole frame."""
        target = memoryview(buffer).cast("B")
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame, self._begun = self._opener.decompressobj(), False
            packed = packed or self._raw.read(_READ_BYTES)
            if not packed:
                if self._begun:
                    raise EOFError("the last zstd frame has no end")
                return 0
            self._begun = True
            self._ready = self._frame.decompress(packed)
        count = min(len(target), len(self._ready))
        target[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
