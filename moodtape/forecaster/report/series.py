"""What a page draws over time, beside the numbers of `results.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def no_gate() -> pd.DataFrame:
    """Return the gate's table without a row."""
    import pandas as pd

    return pd.DataFrame({column: [] for column in ("symbol", "time", "gate")})


@dataclass(frozen=True)
class ReportSeries:
    """Series of one run; all times are UTC, rows in any order.

    price: columns symbol, time (the bar's close), close.
    tone: columns symbol, stream, time (when it was known), tone (mean of P(positive) less
        P(negative), -1 to 1), n (texts).
    losses: columns symbol, target, horizon_bars, forecaster, time (cut-off), fold,
        difference_null, difference_shift: the control's loss less that of the real arm,
        averaged over seeds; positive where the subject helped.
    gate: columns symbol, time (cut-off of a test row), gate (how far the real arm's network
        let the branch under test in, 0 shut to 1 open, averaged over seeds). No rows where
        no network with a gate was fitted, and in runs that did not keep it yet.
    """

    price: pd.DataFrame
    tone: pd.DataFrame
    losses: pd.DataFrame
    gate: pd.DataFrame = field(default_factory=no_gate)
