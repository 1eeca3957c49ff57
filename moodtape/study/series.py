"""What a study leaves to look at over time: prices, tone, losses, every forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from moodtape.clock import to_datetime64
from moodtape.forecaster.ablation import Study
from moodtape.forecaster.arms import NULL, SHIFT
from moodtape.forecaster.calibration import LEVELS
from moodtape.forecaster.evidence import target_losses
from moodtape.forecaster.layers import GATE
from moodtape.forecaster.report.series import ReportSeries, no_gate
from moodtape.study.ablate import Outcome
from moodtape.study.ground import Ground

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

QUANTILES = tuple(f"q{level * 100:02.0f}" for level in LEVELS)
"""Columns of a forecast's quantiles: `q05` to `q95`."""


def report_series(ground: Ground, outcome: Outcome) -> ReportSeries:
    """Return what the page draws over time."""
    return ReportSeries(
        price=_price(ground), tone=_tone(ground), losses=loss_series(ground, outcome),
        gate=gate_series(ground, outcome),
    )  # fmt: skip


def _price(ground: Ground) -> pd.DataFrame:
    import pandas as pd

    dataset, rows = ground.dataset, _span_rows(ground)
    names = np.array(dataset.symbols)[dataset.symbol[rows]]
    times = pd.to_datetime(dataset.cutoff[rows]).tz_localize("UTC")
    table = pd.DataFrame({"symbol": names, "time": times, "close": dataset.close[rows]})
    return table.dropna(subset=["close"])


def _tone(ground: Ground) -> pd.DataFrame:
    """Return the tone of each stream's last hour as every decision saw it."""
    import pandas as pd

    dataset, rows = ground.dataset, _span_rows(ground)
    columns = [c.name for c in dataset.columns]
    parts = []
    for stream in dataset.streams:
        if f"{stream}.tone_last" not in columns:  # how polls ended has no tone
            continue
        tone = dataset.features[rows, columns.index(f"{stream}.tone_last")]
        count = np.expm1(dataset.features[rows, columns.index(f"{stream}.count_last")])
        parts.append(
            pd.DataFrame(
                {
                    "symbol": np.array(dataset.symbols)[dataset.symbol[rows]],
                    "stream": stream,
                    "time": pd.to_datetime(dataset.cutoff[rows]).tz_localize("UTC"),
                    "tone": tone,
                    "n": np.round(count),
                }
            )
        )
    if not parts:
        return pd.DataFrame({c: [] for c in ("symbol", "stream", "time", "tone", "n")})
    return pd.concat(parts, ignore_index=True)


def _span_rows(ground: Ground) -> NDArray[np.int64]:
    dataset = ground.dataset
    low, high = to_datetime64(ground.span.since), to_datetime64(ground.span.until)
    return np.flatnonzero((dataset.cutoff >= low) & (dataset.cutoff <= high))


def loss_series(ground: Ground, outcome: Outcome) -> pd.DataFrame:
    """Return each test row's loss differences, averaged over seeds, for every answer."""
    import pandas as pd

    dataset, parts = ground.dataset, []
    for study in outcome.studies:
        for symbol, name in enumerate(dataset.symbols):
            for key, target in dataset.targets.items():
                losses = target_losses(study, dataset, symbol, key)
                mean = {arm: v.mean(axis=0) for arm, v in losses.by_arm.items()}
                real = mean[study.real]
                parts.append(
                    pd.DataFrame(
                        {
                            "symbol": name,
                            "target": target.name,
                            "horizon_bars": target.horizon_bars,
                            "forecaster": study.forecaster,
                            "time": pd.to_datetime(dataset.cutoff[losses.rows]).tz_localize("UTC"),
                            "fold": losses.fold + 1,
                            "difference_null": mean[NULL] - real,
                            "difference_shift": mean[SHIFT] - real,
                        }
                    )
                )
    return pd.concat(parts, ignore_index=True)


def month_effects(
    losses: pd.DataFrame, answers: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the effect of each answer in each month: its mean gain as a share of null's loss.

    Args:
        losses: from `loss_series`; answers: of the same study.
    """
    keys = ["symbol", "target", "horizon_bars", "forecaster"]
    null = {tuple(answer[k] for k in keys): answer["losses"][NULL] for answer in answers}
    month = losses["time"].dt.strftime("%Y-%m")
    grouped = losses.groupby([*keys, month.rename("month")], sort=False)["difference_null"]
    table = grouped.agg(effect="mean", n="size").reset_index()
    whole = [null[asked] for asked in table[keys].itertuples(index=False, name=None)]
    table["effect"] /= whole
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def gate_series(ground: Ground, outcome: Outcome) -> pd.DataFrame:
    """Return how far the gate of the real arm's network stood open at each test row."""
    import pandas as pd

    dataset = ground.dataset
    parts = [
        pd.DataFrame(
            {
                "symbol": np.array(dataset.symbols)[dataset.symbol[study.rows]],
                "time": pd.to_datetime(dataset.cutoff[study.rows]).tz_localize("UTC"),
                "gate": study.arms[study.real].by_key[GATE].mean(axis=0),
            }
        )
        for study in outcome.studies
        if GATE in study.arms[study.real].by_key
    ]
    return pd.concat(parts, ignore_index=True) if parts else no_gate()


def predictions_table(ground: Ground, studies: Sequence[Study]) -> pd.DataFrame:
    """Return every forecast on the test rows, long: one row a decision, target, arm and seed.

    Columns as in Nixtla's tables (unique_id, ds, cutoff, y), so that their tools read it:

    - unique_id: symbol and target, `BTC/return_1`; ds: when the answer is known, UTC
    - cutoff: the close of the last bar that was known; fold: the test fold, from 1
    - arm: or baseline, whose forecaster is `baseline`; seed: of the fit, or the placebo's draw
    - y: what came, NaN where nothing did; yhat: log return, P(up) or log volatility
    - q05 to q95: calibrated quantiles around the mean over seeds; NaN of a direction, and where
      the rows were too few (19 for one in twenty)
    - gate: how far the network let the branch under test in; NaN where it has no gate
    """
    import pandas as pd

    dataset, parts = ground.dataset, []
    for study in studies:
        rows = study.rows
        base = {
            "symbol": np.array(dataset.symbols)[dataset.symbol[rows]],
            "cutoff": pd.to_datetime(dataset.cutoff[rows]).tz_localize("UTC"),
            "fold": study.fold + 1,
        }
        for key, target in dataset.targets.items():
            known = {
                "unique_id": np.array([f"{name}/{key}" for name in dataset.symbols])[
                    dataset.symbol[rows]
                ],
                "ds": pd.to_datetime(target.known_at[rows]).tz_localize("UTC"),
                **base, "target": key, "y": target.y[rows],
            }  # fmt: skip
            for name, arm in study.arms.items():
                gates = arm.by_key.get(GATE, np.full(arm.by_key[key].shape, np.nan))
                around = _quantiles(study, name, key)
                for seed, values in enumerate(arm.by_key[key]):
                    made_by = {"forecaster": study.forecaster, "arm": name, "seed": seed}
                    forecast = {"yhat": values, **around, "gate": gates[seed]}
                    parts.append(pd.DataFrame({**known, **made_by, **forecast}))
            for name, by_key in study.baselines.items():
                if key in by_key and study is studies[0]:
                    made_by = {"forecaster": "baseline", "arm": name, "seed": 0}
                    around = _quantiles(study, name, key)
                    forecast = {"yhat": by_key[key], **around, "gate": np.nan}
                    parts.append(pd.DataFrame({**known, **made_by, **forecast}))
    return pd.concat(parts, ignore_index=True)


def _quantiles(study: Study, name: str, key: str) -> dict[str, Any]:
    """Return the calibrated quantiles of an arm or baseline by column, each of shape (n,)."""
    found = study.calibrated.get(name, {}).get(key)
    if found is None or found.ndim == 1:  # a direction has P(up) alone
        return dict.fromkeys(QUANTILES, np.nan)
    return dict(zip(QUANTILES, found.T, strict=True))
