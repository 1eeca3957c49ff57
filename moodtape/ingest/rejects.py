"""Keeps, row by row, the first reason for which a row cannot be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moodtape.ingest.columns import is_symbol
from moodtape.ingest.delimited import PAYLOAD_CHARS
from moodtape.ingest.files import Rejected
from moodtape.ingest.times import is_none

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Rejected", "Verdicts", "refuse_symbols", "row_payload", "split_rows"]


class Verdicts:
    """One reason per row, or none; the first one given stays."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.reasons: NDArray[np.object_] = np.full(count, None, dtype=object)

    def refuse(self, wrong: NDArray[np.bool_], reason: str) -> None:
        """Refuse the rows marked wrong, unless something was wrong with them before."""
        if wrong.any():
            self.reasons[wrong & is_none(self.reasons)] = reason

    def refuse_each(self, reasons: NDArray[np.object_]) -> None:
        """Refuse each row that has a reason of its own."""
        fresh = ~is_none(reasons) & is_none(self.reasons)
        self.reasons[fresh] = reasons[fresh]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Rows that nothing speaks against."""
        return is_none(self.reasons)


def refuse_symbols(symbols: NDArray[np.object_], verdicts: Verdicts) -> None:
    """Refuse the rows that name no asset, or name one as no asset is named."""
    import numpy as np

    verdicts.refuse(np.equal(symbols, ""), "symbol is missing")
    wrong = np.array([not is_symbol(text) for text in symbols], dtype=bool)
    verdicts.refuse(wrong, "symbol is not an asset's name")


def split_rows(
    stored: pd.DataFrame, original: pd.DataFrame, verdicts: Verdicts
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Return the good rows as they will be stored and the bad ones as they came."""
    good = verdicts.good
    bad = original[~good]
    reasons = verdicts.reasons[~good]
    rejected = [
        Rejected(f"line {line}", str(reason), row_payload(row))
        for (line, row), reason in zip(bad.iterrows(), reasons, strict=True)
    ]
    return stored[good], rejected


def row_payload(row: Any) -> str:
    """Return a row as JSON for the quarantine, with long fields cut."""
    cells = {str(k): (v[:500] if isinstance(v, str) else v) for k, v in row.items()}
    return json.dumps(cells, ensure_ascii=True, default=str)[:PAYLOAD_CHARS]
