"""Filling a network's matrix without holding a second one; the one place that knows the backend.

Imports keras at the top, so import it only where a network is trained.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

ROWS = 8_192
"""How many are copied at once."""


def fill(variable: Any, values: Any) -> None:
    """Copy values into a variable: part by part on TensorFlow, as a whole on other backends.

    Not by `variable[a:b].assign`, which reads the slice first: what was read keeps the whole
    alive, so that the next write copies it.

    Args:
        variable: a keras variable; values: of its shape, any array of numbers.
    """
    if keras.backend.backend() != "tensorflow":
        variable.assign(np.asarray(values, dtype=variable.dtype))
        return
    import tensorflow

    for start in range(0, len(values), ROWS):
        part = np.asarray(values[start : start + ROWS], dtype=variable.dtype)
        tensorflow.raw_ops.ResourceStridedSliceAssign(
            ref=variable.value.handle, begin=[start], end=[start + len(part)], strides=[1],
            value=part,
        )  # fmt: skip
