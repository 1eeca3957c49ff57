"""Which model is in use; light, since `status` asks."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from moodtape.forecaster.runs import SERVED, read_json
from moodtape.settings import Settings

DAY = timedelta(days=1)


def models_in_use(settings: Settings) -> list[Path]:
    """Return the folders of models that may be served, the champion first."""
    if not settings.runs.is_dir():
        return []
    return sorted((p.parent for p in settings.runs.glob(f"*/{SERVED}")), reverse=True)


def champion(settings: Settings, now: datetime) -> dict[str, Any] | None:
    """Return the run of the model in use, until when it was trained, and its age; or None."""
    folders = models_in_use(settings)
    if not folders:
        return None
    until = datetime.fromisoformat(read_json(folders[0] / SERVED)["trained_until"])
    return {
        "run": folders[0].name,
        "trained_until": until,
        "age_days": round((now - until) / DAY, 1),
    }
