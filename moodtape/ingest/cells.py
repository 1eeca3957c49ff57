"""The text of a cell of a table that others wrote: a Parquet file may hold anything there."""

from __future__ import annotations


def cell_text(value: object) -> str:
    """Return a cell's text; that of None, NaN and NaT is empty.

    >>> cell_text(None), cell_text(float("nan")), cell_text(7), cell_text(["a"])
    ('', '', '7', "['a']")
    """
    if value is None:
        return ""
    if not hasattr(value, "__len__") and value != value:  # NaN and NaT differ from themselves
        return ""
    return value if isinstance(value, str) else str(value)
