"""How the false alarms that are allowed are divided among the monitors; one sum for all.

Inputs are one family under one threshold. Of the forecasts' losses those of volatility alone can
tell in two weeks that a fifth has been lost, so they get half of what is left.
"""

from __future__ import annotations

from collections.abc import Sequence

INPUTS_SHARE = 0.9
WEIGHT = {"volatility": 2.0, "return": 1.0, "direction": 1.0}


def inputs_budget(alarms_per_quarter: float) -> float:
    """Return the false alarms a quarter that all monitors of inputs together may raise."""
    return INPUTS_SHARE * alarms_per_quarter


def skill_budgets(
    alarms_per_quarter: float, monitors: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], float]:
    """Return those of each target and horizon.

    >>> skill_budgets(1.0, [("volatility", 1), ("return", 1)])[("return", 1)]
    0.033333333333333326
    """
    left = (1 - INPUTS_SHARE) * alarms_per_quarter
    weights = {key: WEIGHT[key[0]] for key in monitors}
    return {key: left * weight / sum(weights.values()) for key, weight in weights.items()}
