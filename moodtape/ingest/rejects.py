"""Keeps, row by row, the first reason for which a row cannot be used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moodtape.ingest.files import PAYLOAD_CHARS, Rejected

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Rejected", "Verdicts", "split_rows"]


class Verdicts:
    """One reason per row, or none; the first one given stays."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.reasons: NDArray[np.object_] = np.full(count, None, dtype=object)

    def refuse(self, wrong: NDArray[np.bool_], reason: str) -> None:
        """Refuse the rows marked wrong, unless something was wrong with them before."""
        import numpy as np

        self.reasons[wrong & np.equal(self.reasons, None)] = reason

    def refuse_each(self, reasons: NDArray[np.object_]) -> None:
        """Refuse each row that has a reason of its own."""
        import numpy as np

        fresh = np.not_equal(reasons, None) & np.equal(self.reasons, None)
        self.reasons[fresh] = reasons[fresh]

    @property
    def good(self) -> NDArray[np.bool_]:
        """Rows that nothing speaks against."""
        import numpy as np

        result: NDArray[np.bool_] = np.equal(self.reasons, None)
        return result


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
