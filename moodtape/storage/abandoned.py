"""Files that a killed process began beside a warehouse and nobody will end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from moodtape.clock import utc_now

ABANDONED_AFTER = timedelta(hours=1)
"""Far more than anything that is begun beside a warehouse takes."""


def remove_abandoned(path: Path, mark: str) -> None:
    """Remove what killed processes began: files named as `path`, then `mark`, then anything."""
    long_ago = (utc_now() - ABANDONED_AFTER).timestamp()
    for begun in path.parent.glob(f"{path.name}{mark}*"):
        try:
            if begun.stat().st_mtime < long_ago:
                begun.unlink()
        except FileNotFoundError:
            continue  # its process has just ended, or another one removed it
