"""The verbs of forecasting as library calls; each may be run twice.

Every function takes `Settings` (config and folder), does one thing whole, and returns
what there is to print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import utc_now
from moodtape.cluster import ALONE, Workers
from moodtape.pipeline import score_texts
from moodtape.settings import Settings
from moodtape.storage.write import new_run_id
from moodtape.study.project import Steps, ground_of, hour_rules, note_run, warehouse_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from moodtape.forecaster.cells import CellStore
    from moodtape.study.ablate import Outcome
    from moodtape.study.ground import Ground, Question


def train(
    settings: Settings,
    question: Question,
    command: str,
    progress: Steps | None = None,
    now: datetime | None = None,
    parent: Path | None = None,
) -> dict[str, Any]:
    """Fit the model that is served on everything known, and return what its fitting measured.

    A run of the same model that was interrupted goes on in its folder.

    parent: where the run folder is made; one that is not in `runs` is not served.
    """
    from moodtape.forecaster.arms import real_arm
    from moodtape.forecaster.checkpoint import held, interrupted
    from moodtape.forecaster.runs import make_run_folder
    from moodtape.study.training import served_key, train_served

    tell = progress or (lambda done, total, what: None)
    began = now or utc_now()
    tell(0, 0, "reading the warehouse")
    ground = ground_of(settings, replace(question, whole=True))
    arm, parent = real_arm(ground.arms), parent or settings.runs
    begun = interrupted(parent, served_key(ground, arm))
    if begun is not None:
        tell(0, 0, f"going on with {begun.name}")
    folder = begun or make_run_folder(parent, new_run_id(began))
    with held(folder):
        result = train_served(ground, folder, arm, command, tell)
    note_run(settings, folder.name, "train", command, {"epochs": result["epochs"]}, began)
    return result


def evaluate(
    settings: Settings,
    question: Question,
    command: str,
    progress: Steps | None = None,
    workers: Workers = ALONE,
) -> dict[str, Any]:
    """Forecast every test fold with the network, the linear forecaster and all baselines.

    It shows losses with and without the group under test, so it is a look at these data. One
    that was interrupted goes on in its run folder: cells that it finished are not fitted again.

    Args:
        workers: who fits cells at once.
    """
    from moodtape.forecaster.arms import PLACEBOS, PLANTS
    from moodtape.study.unfinished import run_of_study

    tell = progress or (lambda done, total, what: None)
    now = utc_now()
    tell(0, 0, "reading the warehouse")
    ground = ground_of(settings, question)
    models = tuple(a for a in ground.arms if a.treatment not in (*PLACEBOS, *PLANTS))
    ground = replace(ground, arms=models)
    with run_of_study(settings.runs, ground, "evaluate", now, tell) as (folder, kept):
        return _evaluate(settings, ground, folder, kept, command, now, tell, workers)


def _evaluate(
    settings: Settings,
    ground: Ground,
    folder: Path,
    kept: CellStore,
    command: str,
    now: datetime,
    tell: Steps,
    workers: Workers,
) -> dict[str, Any]:
    """Fill a run folder that is held with the losses of every model."""
    from moodtape.forecaster.runs import plain, write_json, write_table
    from moodtape.storage.ledger import EVALUATED
    from moodtape.study.ablate import fit_studies, trials_of
    from moodtape.study.evaluation import metric_rows
    from moodtape.study.results import outcome_provenance
    from moodtape.study.rivals import rival_results
    from moodtape.study.series import predictions_table

    outcome = fit_studies(ground, tell, kept, workers)
    rows: list[dict[str, Any]] = []
    for study in outcome.studies:
        for row in metric_rows(
            study, ground.dataset, settings.config.seed, ground.dataset.interval
        ):
            if row not in rows:
                rows.append(row)
    rests_on = _importance_metrics(ground, outcome)
    results = {
        "schema_version": 1,
        "command": "evaluate",
        "warnings": [],
        "run": folder.name,
        "results": rows + rests_on,
        "rivals": rival_results(ground, outcome),
        "provenance": outcome_provenance(ground, outcome, command),
    }
    looked = [{**trial, "verdict": EVALUATED} for trial in trials_of(ground)]
    note_run(settings, folder.name, "evaluate", command, {"rows": len(rows)}, now, looked)
    write_json(folder / "config.json", ground.config.model_dump(mode="json"))
    write_json(folder / "results.json", results)
    write_table(folder / "predictions.parquet", predictions_table(ground, outcome.studies))
    found: dict[str, Any] = plain(results)
    return found


def _importance_metrics(ground: Ground, outcome: Outcome) -> list[dict[str, Any]]:
    """Return what forecasts rest on, as rows of the table of metrics."""
    from moodtape.study.evaluation import importance_rows

    if outcome.importance is None:
        return []
    dataset = ground.dataset
    return [
        {
            **{k: v for k, v in row.items() if k not in ("forecaster", "group")},
            "model": f"{row['forecaster']} {row['model']}",
            "metric": f"importance of {row['group']}",
            "regime": "all",
        }
        for row in importance_rows(
            outcome.importance, dataset, ground.config.seed, dataset.interval
        )
    ]


def predict(
    settings: Settings, run: str | None, as_of: datetime | None, explain: bool = False
) -> dict[str, Any]:
    """Score what is unscored, then forecast from the newest bar known at `as_of`.

    Args:
        explain: say of each forecast what its texts added, hour by hour.
    """
    from moodtape.forecaster.runs import SERVED, find_run, plain
    from moodtape.storage.ledger import store_forecasts
    from moodtape.study.forecasting import catch_newest

    made_at = utc_now()
    folder = find_run(settings.runs, run, SERVED, "train")
    score_texts(settings)
    caught = catch_newest(
        warehouse_of(settings), settings.config, folder, as_of or made_at,
        hour_rules(settings) if explain else None,
    )  # fmt: skip
    forecasts = caught.forecasts
    for item in forecasts:
        item["late"] = item["late"] or as_of is not None
    with warehouse_of(settings).write() as connection:
        store_forecasts(
            connection, forecasts, settings.config.market.interval, folder.name, made_at
        )
    found: dict[str, Any] = plain(
        {"schema_version": 1, "command": "predict", "warnings": caught.held, "run": folder.name,
         "results": forecasts}
    )  # fmt: skip
    return found


def settle(settings: Settings, now: datetime | None = None) -> Mapping[str, int]:
    """Settle every forecast whose horizon has passed; return how many settled, void and waiting."""
    from moodtape.study.settling import settle_due

    moment = now or utc_now()
    return settle_due(warehouse_of(settings), settings.config, new_run_id(moment), moment)


def skill_so_far(connection: Connection, as_of: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return how many forecasts came to what, and how good those made in time were."""
    from moodtape.storage.settlements import live_forecasts, settlement_counts

    counts = settlement_counts(connection)
    found: dict[str, list[dict[str, Any]]] = {
        "forecasts": [{"state": state, "forecasts": n} for state, n in counts],
        "skill": [],
    }
    if any(state == "live" for state, _ in counts):
        from moodtape.forecaster.skill import live_skill

        found["skill"] = live_skill(live_forecasts(connection, as_of))
    return found
