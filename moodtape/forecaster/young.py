"""What texts say that the scorer cannot have read: those that are younger than all it learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from moodtape.config import Config
from moodtape.forecaster.arms import NULL
from moodtape.forecaster.detectable import Detectable
from moodtape.forecaster.evidence import Case, case_of, effects_of
from moodtape.forecaster.verdict import Evidence, Young

if TYPE_CHECKING:
    import numpy as np

    from moodtape.forecaster.dataset import Dataset


def young_of(
    case: Case,
    evidence: Evidence,
    dataset: Dataset,
    config: Config,
    since: np.datetime64 | None,
    detectable: Detectable | None,
) -> Young | None:
    """Return what the decisions after an instant say alone; None where no text is at stake.

    They are enough where the effect detectable on so few rows is at most twice the estimate,
    and where all are younger: then there is nothing else that the gain could rest on.

    Args:
        since: cut-off from which on every text is younger than the scorer.
        detectable: the smallest effect that would have been found on all rows.
    """
    if since is None:
        return None
    rows = case.losses.rows
    young = dataset.cutoff[rows] >= since
    if len(rows) and young.all():
        return Young(True, evidence.p_suffered)
    smallest = detectable.smallest if detectable else None
    if not young.any() or smallest is None:
        return Young(False, 1.0)
    effect = effects_of(case, case.losses.by_arm[case.study.real])[NULL]
    enough = smallest * (len(rows) / young.sum()) ** 0.5 <= 2 * effect
    alone = case_of(case.study, dataset, config, case.symbol, case.key, since)
    results, _ = alone.results(alone.losses.by_arm[case.study.real])
    return Young(enough, replace(evidence, against=results).p_suffered)
