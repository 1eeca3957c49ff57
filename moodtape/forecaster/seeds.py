"""One root seed, named children: what is called the same draws the same."""

from __future__ import annotations

import hashlib

import numpy as np


def child_seed(root: int, *names: object) -> int:
    """Return a 32-bit seed that depends on the root and the names alone.

    >>> child_seed(7, "fold", 0) == child_seed(7, "fold", 0) != child_seed(7, "fold", 1)
    True
    """
    text = "\x00".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator(root: int, *names: object) -> np.random.Generator:
    """Return a generator of its own for the named use."""
    return np.random.default_rng(child_seed(root, *names))
