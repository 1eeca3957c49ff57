"""Arrays and what is told beside them, in one file that is absent, or whole."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLD = "told"
DAMAGED = (
    EOFError, BadZipFile, LookupError, ValueError, AttributeError, TypeError, RuntimeError,
    ArithmeticError, MemoryError, zlib.error, struct.error, RecursionError, SyntaxError, TokenError,
)  # fmt: skip
"""What numpy and zipfile stumble with over a damaged file."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], told: Any) -> None:
    """Write arrays by name so that the file is either the old one or the whole new one.

    Args:
        told: numbers, lists and tables that JSON knows.
    """
    text = np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)
    all_arrays: dict[str, Any] = {TOLD: text, **arrays}
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        np.savez(file, **all_arrays)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], Any] | None:
    """Return what was written; None where there is nothing, or a damaged file."""
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        stored = np.load(io.BytesIO(body), allow_pickle=False)
        arrays = {name: stored[name] for name in stored.files}
        told = json.loads(arrays.pop(TOLD).tobytes())
    except DAMAGED:
        return None
    return arrays, told
