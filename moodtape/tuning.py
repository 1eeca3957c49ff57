"""Tuning as a library call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape.clock import utc_now
from moodtape.settings import Settings
from moodtape.storage.write import new_run_id
from moodtape.study.project import Steps, ground_of, note_run, warehouse_of

if TYPE_CHECKING:
    from moodtape.study.ground import Question


def tune(
    settings: Settings,
    question: Question,
    command: str,
    trials: int,
    progress: Steps | None = None,
) -> dict[str, Any]:
    """Choose one setting of the network for all arms on what was known before the first test.

    The same search asked again goes on where it was, up to the number of trials.

    Raises:
        DataMissing: too few decisions come before the first test.
        UsageError: the `tune` extra is not installed.
    """
    from dataclasses import asdict

    from moodtape.clock import from_datetime64
    from moodtape.forecaster.checkpoint import held
    from moodtape.forecaster.forecasters import FORECASTERS, NETWORK
    from moodtape.forecaster.runs import make_run_folder, plain, provenance, write_json, write_text
    from moodtape.study import tuning

    tell = progress or (lambda done, total, what: None)
    now, in_use = utc_now(), settings.config
    tell(0, 0, "reading the warehouse")
    ground = ground_of(replace(settings, config=tuning.with_longest_lookback(in_use)), question)
    fold = tuning.past_fold(ground.dataset, ground.config)
    key = tuning.tuning_key(ground, in_use)
    run_id = new_run_id(now)  # of this command; an earlier one's search goes on in its folder
    folder = _search_of(settings, key) or make_run_folder(settings.runs, run_id)
    write_json(folder / "tuning.json", {"key": key})

    def keep(tried: tuning.Tried) -> None:
        _enter_tuned(settings, tuning.ledger_rows(ground, in_use, fold, tried), run_id, now)

    with held(folder):
        tried = tuning.search(
            ground, in_use, fold, folder, trials, FORECASTERS[NETWORK].open, keep, tell
        )
    best = min(tried, key=lambda t: t.loss)
    text = tuning.as_toml(best.setting)
    results = {
        "schema_version": 1,
        "command": "tune",
        "warnings": [],
        "run": folder.name,
        "best": asdict(best),
        "in_use": asdict(next(t for t in tried if t.setting == tuning.setting_of(in_use))),
        "results": [asdict(t) for t in tried],
        "rows": {k: len(getattr(fold, k)) for k in ("train", "stop", "test")},
        "validated": [from_datetime64(fold.test_from), from_datetime64(fold.test_until)],
        "toml": text,
        "file": str(folder / "tuned.toml"),
        "provenance": provenance(
            in_use, dataset=ground.dataset.fingerprint(), command=command, key=key
        ),
    }
    write_text(folder / "tuned.toml", text)
    write_json(folder / "config.json", in_use.model_dump(mode="json"))
    write_json(folder / "results.json", results)
    counts = {"trials": len(tried), "folder": folder.name}
    note_run(settings, run_id, "tune", command, counts, now)
    found: dict[str, Any] = plain(results)
    return found


def _search_of(settings: Settings, key: str) -> Path | None:
    """Return the folder of the newest search of the same kind, finished or not."""
    from moodtape.forecaster.runs import read_json

    for path in sorted(settings.runs.glob("*/tuning.json"), reverse=True):
        if read_json(path)["key"] == key:
            return path.parent
    return None


def _enter_tuned(
    settings: Settings, rows: Sequence[Mapping[str, Any]], run_id: str, now: datetime
) -> None:
    from moodtape.storage.ledger import record_trials

    with warehouse_of(settings).write() as connection:
        record_trials(connection, rows, run_id, now)
