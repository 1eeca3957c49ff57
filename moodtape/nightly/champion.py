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


def champion(settings: Settings, at: datetime) -> dict[str, Any] | None:
    """Return the newest model trained by then: its run, until when it was trained, its age."""
    for folder in models_in_use(settings):
        until = datetime.fromisoformat(read_json(folder / SERVED)["trained_until"])
        if until <= at:
            days = round((at - until) / DAY, 1)
            return {"run": folder.name, "trained_until": until, "age_days": days}
    return None
