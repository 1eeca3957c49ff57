"""Which model is in use, which one is pinned; light, since `status` asks.

A model in use is a folder in `runs` that can be served; the newest one is the champion. A new
one is trained in `runs/challengers` and moves to `runs`, at once and whole, when it may follow.
One that is taken back moves to `runs/retired`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from moodtape.errors import DataMissing, UnreadableFile
from moodtape.forecaster.runs import SERVED, find_run, read_json, write_json
from moodtape.settings import Settings

CHALLENGERS, RETIRED, PIN = "challengers", "retired", "pinned.json"
DAY = timedelta(days=1)


def models_in_use(settings: Settings) -> list[Path]:
    """Return the folders of models that may be served, the champion first."""
    if not settings.runs.is_dir():
        return []
    return sorted((p.parent for p in settings.runs.glob(f"*/{SERVED}")), reverse=True)


def champion(settings: Settings, at: datetime) -> dict[str, Any] | None:
    """Return the newest model trained by then: its run, until when it was trained, its age."""
    for folder in models_in_use(settings):
        until = trained_until(folder)
        if until <= at:
            days = round((at - until) / DAY, 1)
            return {"run": folder.name, "trained_until": until, "age_days": days}
    return None


def trained_until(folder: Path) -> datetime:
    """Return the last answer that a model in use has seen.

    Raises:
        UnreadableFile: its file is damaged.
    """
    path = folder / SERVED
    try:
        return datetime.fromisoformat(read_json(path)["trained_until"])
    except (KeyError, TypeError, ValueError) as exc:
        raise UnreadableFile(
            f"{path} does not say until when the model was trained. Take it out of use:"
            " moodtape models back"
        ) from exc


def described_models(settings: Settings, at: datetime) -> list[dict[str, Any]]:
    """Return every model in use, the newest first: run, trained_until, age_days, what it is."""
    folders = models_in_use(settings)
    reference = pinned(settings)
    found = []
    for folder in folders:
        until = trained_until(folder)
        words = ["champion"] if folder == folders[0] else []
        words += ["pinned"] if folder == reference else []
        found.append(
            {"run": folder.name, "trained_until": until,
             "age_days": round((at - until) / DAY, 1), "is": ", ".join(words)}
        )  # fmt: skip
    return found


def pinned(settings: Settings) -> Path | None:
    """Return the model that no successor may be worse than: the pinned one, else the oldest.

    Raises:
        DataMissing: the pinned one is gone.
    """
    folders = models_in_use(settings)
    path = settings.runs / PIN
    if path.exists():
        return find_run(settings.runs, read_json(path)["run"], SERVED, "train")
    return folders[-1] if folders else None


def pin(settings: Settings, run: str) -> Path:
    """Let a model be the one that no successor may be worse than.

    Raises:
        DataMissing: there is no such model.
    """
    folder = find_run(settings.runs, run, SERVED, "train")
    write_json(settings.runs / PIN, {"run": folder.name})
    return folder


def take_back(settings: Settings) -> tuple[Path, Path]:
    """Put the newest model out of use; return where it is now, and the one in use again.

    Raises:
        DataMissing: there is none before it.
    """
    folders = models_in_use(settings)
    if len(folders) < 2:
        raise DataMissing(
            f"There is no earlier model in {settings.runs} to go back to. Run: moodtape train"
        )
    retired = settings.runs / RETIRED / folders[0].name
    retired.parent.mkdir(exist_ok=True)
    folders[0].rename(retired)
    return retired, folders[1]
