"""A backup comes back: checked file by file first, and never without a whole warehouse in place.

1. verify    every file of the backup is the one that was made
2. open      a copy of its warehouse, beside the present one, is brought to today's schema
3. change    the present one steps aside, and the copy takes its name
4. models    that are gone come back, each whole
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from moodtape.backup import WAREHOUSE, backups_of, digest, list_backups, require_room, verify
from moodtape.errors import DataMissing, MoodtapeError, UnreadableFile, did_you_mean
from moodtape.settings import PROJECT_FILE, Settings
from moodtape.storage.db import Warehouse


def find_backup(settings: Settings, name: str | None) -> Path:
    """Return the folder of a backup by its name; the newest whole one's without.

    Raises:
        DataMissing: there is none.
    """
    backups = list_backups(settings)
    names = [backup.name for backup in backups]
    whole = [backup.name for backup in backups if backup.damage is None]
    if not (names if name else whole):
        raise DataMissing(f"There is no backup in {backups_of(settings)}. Run: moodtape backup")
    if name is not None and name not in names:
        raise DataMissing(
            f"There is no backup {name!r} in {backups_of(settings)}.{did_you_mean(name, names)}"
        )
    return backups_of(settings) / (name or whole[0])


def restore(settings: Settings, warehouse: Warehouse, name: str | None, now: datetime) -> Path:
    """Put a backup's warehouse in the place of the present one, which is kept beside it.

    The model comes back where it is gone; settings stay as they are, those of the backup lie
    in it. A backup of an older schema is brought up to date. Killed anywhere, there is a whole
    warehouse in place, and the same command does it again. Returns where the warehouse that was
    there is now, or would be.

    Raises:
        DataMissing: there is no such backup.
        UnreadableFile: it is damaged; nothing was changed.
        WarehouseLocked: a process uses the present warehouse.
    """
    folder = find_backup(settings, name)
    manifest = verify(folder)
    aside = warehouse.path.with_name(f"{warehouse.path.name}.before-{now:%Y%m%dT%H%M%SZ}")
    fresh = warehouse.path.with_name(f"{warehouse.path.name}.restoring")
    warehouse.path.parent.mkdir(parents=True, exist_ok=True)
    require_room(folder / WAREHOUSE, warehouse.path.parent)
    fresh.with_name(f"{fresh.name}.wal").unlink(missing_ok=True)  # of one that was killed
    shutil.copyfile(folder / WAREHOUSE, fresh)
    if digest(fresh) != manifest["files"][WAREHOUSE]["sha256"]:
        raise UnreadableFile(f"{fresh} is not what was copied. Check the disk.")
    with replace(warehouse, path=fresh).write():
        pass  # it can be opened, and has today's schema
    if warehouse.path.exists():
        _step_aside(warehouse, aside)
    fresh.replace(warehouse.path)
    _bring_models_back(settings, folder)
    if not (settings.folder / PROJECT_FILE).exists():
        for path in sorted(folder.glob("*.toml")):
            shutil.copyfile(path, settings.folder / path.name)
    return aside


def _step_aside(warehouse: Warehouse, aside: Path) -> None:
    """Close the present warehouse and give it another name; a damaged one goes as it is.

    It keeps its own name, too, until another takes that, so that there is always a warehouse
    for whoever comes next: without one, a run that starts by itself would begin an empty one.
    """
    from moodtape.errors import WarehouseLocked

    try:
        with warehouse.write():
            pass
    except WarehouseLocked:
        raise
    except MoodtapeError:
        pass  # it cannot be opened: that may be why it is being replaced
    log = warehouse.path.with_name(f"{warehouse.path.name}.wal")
    if log.exists():
        log.rename(aside.with_name(f"{aside.name}.wal"))
    try:
        os.link(warehouse.path, aside)
    except OSError:  # a file system without links
        warehouse.path.rename(aside)


def _bring_models_back(settings: Settings, folder: Path) -> None:
    """Copy models that are gone; each comes into use whole."""
    scratch = settings.runs / "restoring"
    for run in sorted((folder / "runs").glob("*")):
        if not (settings.runs / run.name).exists():
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.copytree(run, scratch / run.name)
            (scratch / run.name).rename(settings.runs / run.name)
    shutil.rmtree(scratch, ignore_errors=True)
