"""The run folder: everything a study or a model was made of, in files that any tool reads.

config.json        every setting
provenance.json    versions, seed, device, hash of the data, command
results.json       answers (ablate) or metrics (evaluate, train)
predictions.parquet, *.csv, report.html, model.keras, model.onnx, served.json
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodtape import __version__
from moodtape.config import WITH_BASE_URL, Config
from moodtape.errors import DataMissing, UnreadableFile, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

PACKAGES = (
    *("tensorflow", "keras", "numpy", "pandas", "duckdb", "onnxruntime", "scipy", "scikit-learn"),
    *("arch", "statsmodels"),
)
NETWORK = ("ingest", "http", *WITH_BASE_URL)
"""Sections that say how rows are fetched; what a study finds in them is in its rows."""
BESIDE = ("project", "storage", "trading", "nightly", "backup", *NETWORK)
"""Sections that change no study."""

RESULTS, SERVED, REPORT = "results.json", "served.json", "report.html"


def make_run_folder(runs: Path, run_id: str) -> Path:
    """Return a new folder for a run."""
    folder = runs / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


CAME_LATER = (("training", "warm_start"), ("walk_forward", "refit_bars"))
"""Settings that change nothing while they are off: a study without them is the trial it was."""


def config_hash(config: Config) -> str:
    """Return a hash of every setting but the seed; two runs that share it are one trial."""
    looks_on = {
        "training": {"tensorboard"},
        # A claim is a trial of its own beside that of the tone, which stays what it was.
        "ablation": {"importance_draws", "clock_delays_min", "claims"},
    }
    values = config.model_dump(
        mode="json", exclude={**dict.fromkeys(("seed", *BESIDE), True), **looks_on}
    )
    for section, name in CAME_LATER:
        if not values[section][name]:
            del values[section][name]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def provenance(config: Config, **facts: Any) -> dict[str, Any]:
    """Return what a reader needs to make the run again."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "config_hash": config_hash(config),
        "seed": config.seed,
        **facts,
    }


def write_json(path: Path, values: Any) -> None:
    """Write JSON so that the file is either the old one or the whole new one; NaN is null."""
    text = json.dumps(plain(values), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is either the old one or the whole new one."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def plain(values: Any) -> Any:
    """Return values that JSON knows: numbers without NaN, text, lists and tables."""
    if isinstance(values, Mapping):
        return {str(k): plain(v) for k, v in values.items()}
    if isinstance(values, list | tuple | set | frozenset):
        return [plain(v) for v in values]
    if isinstance(values, bool | str | int) or values is None:
        return values
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if hasattr(values, "tolist"):
        return plain(values.tolist())
    return values.isoformat() if hasattr(values, "isoformat") else str(values)


def read_json(path: Path) -> dict[str, Any]:
    """Return what `write_json` wrote.

    Raises:
        UnreadableFile: the file is absent or damaged.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise UnreadableFile(f"{path} cannot be read: {exc}.") from exc
    return values


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet file so that it is either absent or whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    table.to_parquet(scratch, index=False)
    scratch.replace(path)


def find_run(runs: Path, name: str | None, holding: str, command: str) -> Path:
    """Return the folder of a run by its name, or the newest that holds a certain file.

    Raises:
        DataMissing: there is none, with the command that makes one.
    """
    found = sorted(p.parent for p in runs.glob(f"*/{holding}")) if runs.is_dir() else []
    if name is None:
        if not found:
            raise DataMissing(f"No run in {runs} holds {holding}. Run: moodtape {command}")
        return found[-1]
    names = [p.name for p in found]
    if name not in names:
        raise DataMissing(
            f"{name!r} is no run in {runs} that holds {holding}.{did_you_mean(name, names)}"
            f" Run: moodtape {command}"
        )
    return runs / name
