"""Curves of a fit as TensorBoard reads them, written without TensorFlow or TensorBoard.

A file is a row of records: length, checksum of the length, an `Event` message, its checksum.
Source: tensorflow/core/util/event.proto and lib/io/record_writer.cc.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CRC32C = 0x82F63B78
"""The Castagnoli polynomial, its bits in reverse."""


class EventFile:
    """Appends one point a curve and epoch to a new file in a folder.

    Args:
        folder: made if it is not there. started: seconds since 1970; names the file.
    """

    def __init__(self, folder: Path, started: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"events.out.tfevents.{started:.0f}.moodtape"
        self._path.write_bytes(_record(_double(1, started) + _text(3, b"brain.Event:2")))

    def write(self, step: int, values: Mapping[str, float], at: float) -> None:
        """Append the values of one epoch, at some seconds since 1970."""
        curves = b"".join(
            _text(1, _text(1, name.encode()) + _float(2, value)) for name, value in values.items()
        )
        event = _double(1, at) + _whole(2, step) + _text(5, curves)
        with self._path.open("ab") as file:
            file.write(_record(event))


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C of some bytes."""
    crc = 0xFFFFFFFF
    table = _table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (CRC32C if value & 1 else 0)
        found.append(value)
    return tuple(found)


def _tag(field: int, kind: int) -> bytes:
    return bytes([field << 3 | kind])


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _whole(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _tag(field, 1) + struct.pack("<d", value)


def _text(field: int, value: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(value)) + value


def _float(field: int, value: float) -> bytes:
    return _tag(field, 5) + struct.pack("<f", value)
