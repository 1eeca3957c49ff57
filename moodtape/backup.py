"""Copies of a project that can be believed: made whole, opened, compared, rotated.

1. copy      the warehouse while nobody writes, the settings, the model in use
2. verify    the copy is opened and every table compared by count and checksum
3. name      only then does it get its name; a copy that was cut short has none
4. rotate    the newest of each day, week and month stay, as many as the config says; the others
             lose their name first, then their files
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from moodtape import __version__
from moodtape.config import BackupSection
from moodtape.errors import MoodtapeError, UnreadableFile
from moodtape.settings import Settings
from moodtape.storage.db import Warehouse
from moodtape.storage.sums import Sums, differing, table_sums

NAME = re.compile(r"^\d{8}T\d{6}Z$")
MANIFEST = "manifest.json"
WAREHOUSE = "warehouse.duckdb"
UNFINISHED, REMOVED = ".new-", ".old-"
SPARE = 1.05


@dataclass(frozen=True)
class Backup:
    """A backup as its manifest describes it.

    rows: of all tables; size: bytes. damage: why the manifest tells nothing, where it does not.
    """

    folder: Path
    made_at: str = ""
    rows: int = 0
    size: int = 0
    damage: str | None = None

    @property
    def name(self) -> str:
        """Return what `restore` calls it."""
        return self.folder.name


def backups_of(settings: Settings) -> Path:
    """Return the folder of backups; a path in the config may lie outside the project."""
    return settings.folder / settings.config.backup.folder


def make_backup(settings: Settings, warehouse: Warehouse, now: datetime) -> Backup:
    """Copy the project's warehouse, settings and model in use; verify the copy; rotate.

    Raises:
        DataMissing: there is no warehouse.
        WarehouseLocked: another process is writing.
        MoodtapeError: there is no room, or the copy is not what was copied.
    """
    import duckdb

    parent = backups_of(settings)
    parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(parent)
    name = f"{now:%Y%m%dT%H%M%SZ}"
    scratch = parent / f"{UNFINISHED}{name}"
    with warehouse.read() as connection:
        require_room(warehouse.path, parent)
        sums = table_sums(connection)
        scratch.mkdir()
        for suffix in ("", ".wal"):
            source = warehouse.path.with_name(warehouse.path.name + suffix)
            if source.exists():
                shutil.copyfile(source, scratch / f"{WAREHOUSE}{suffix}")
    _require_same(replace(warehouse, path=scratch / WAREHOUSE), sums)
    _copy_beside(settings, scratch)
    _write_manifest(scratch, sums, duckdb.__version__, now)
    folder = parent / name
    if folder.exists():
        _take_name(folder)
    scratch.rename(folder)
    whole = [b.name for b in list_backups(settings) if b.damage is None]
    for old in to_remove(whole, settings.config.backup):
        _take_name(parent / old)
    _remove_unfinished(parent)
    return _described(folder)


def require_room(source: Path, parent: Path) -> None:
    """Make sure that the copy fits before it is begun."""
    need, free = source.stat().st_size * SPARE, shutil.disk_usage(parent).free
    if need > free:
        raise MoodtapeError(
            f"A backup needs {need / 2**20:,.0f} MiB and {parent} has {free / 2**20:,.0f} MiB left."
            " Make room, keep fewer ([backup] keep_days), or set backup.folder to another disk."
        )


def _require_same(copy: Warehouse, sums: Sums) -> None:
    """Open a copy and make sure that it holds what was copied.

    Raises:
        MoodtapeError: it does not.
    """
    with copy.write():
        pass  # takes a write-ahead log in
    with copy.read() as connection:
        wrong = differing(sums, table_sums(connection))
    if wrong:
        raise MoodtapeError(
            f"The copy in {copy.path.parent} differs from the warehouse in {', '.join(wrong)};"
            " it was not kept. Check the disk, and run: moodtape backup"
        )


def _copy_beside(settings: Settings, scratch: Path) -> None:
    """Copy settings and the model in use; keys (`.env`) stay where they are."""
    for path in sorted(settings.folder.glob("*.toml")):
        shutil.copyfile(path, scratch / path.name)
    served = sorted(settings.runs.glob("*/served.json")) if settings.runs.is_dir() else []
    if served:
        champion = served[-1].parent
        shutil.copytree(champion, scratch / "runs" / champion.name)


def _write_manifest(folder: Path, sums: Sums, duckdb_version: str, now: datetime) -> None:
    from moodtape.forecaster.runs import write_json

    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": digest(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    write_json(
        folder / MANIFEST,
        {"schema_version": 1, "version": __version__, "duckdb": duckdb_version, "made_at": now,
         "tables": sums, "files": files},
    )  # fmt: skip


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def list_backups(settings: Settings) -> list[Backup]:
    """Return every backup, the newest first; one that is damaged hides no other."""
    found = []
    for folder in sorted(backups_of(settings).glob("*"), reverse=True):
        if NAME.match(folder.name):
            try:
                found.append(_described(folder))
            except UnreadableFile as exc:
                found.append(Backup(folder, damage=str(exc)))
    return found


def _described(folder: Path) -> Backup:
    manifest = _manifest(folder)
    rows = sum(int(table["rows"]) for table in manifest["tables"].values())
    size = sum(int(file["bytes"]) for file in manifest["files"].values())
    return Backup(folder, str(manifest["made_at"]), rows, size)


def _manifest(folder: Path) -> dict[str, Any]:
    from moodtape.forecaster.runs import read_json

    try:
        found = read_json(folder / MANIFEST)
    except UnreadableFile as exc:
        raise UnreadableFile(f"{exc} Take another backup: moodtape backup list") from exc
    known = isinstance(found, dict) and found.get("schema_version") == 1
    if not known or not {"tables", "files", "made_at"} <= set(found):
        raise UnreadableFile(f"{folder / MANIFEST} is of another version of Moodtape.")
    try:
        datetime.fromisoformat(found["made_at"])
        for parts, keys in (("tables", ("rows",)), ("files", ("bytes", "sha256"))):
            for name, facts in found[parts].items():
                int(facts[keys[0]]), [facts[key] for key in keys], name.encode()
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise UnreadableFile(f"{folder / MANIFEST} is damaged ({type(exc).__name__}).") from exc
    return found


def _is_plain_file(path: Path) -> bool:
    try:
        return path.is_file() and not path.is_symlink()
    except OSError:  # a name that is too long is nobody's
        return False


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of a backup whose files are all as they were when it was made.

    Raises:
        UnreadableFile: a file is gone, changed, foreign, or lies outside the backup.
    """
    manifest = _manifest(folder)
    for name, facts in manifest["files"].items():
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            raise UnreadableFile(f"{folder / MANIFEST} names {name!r}, outside the backup.")
        path = folder / place
        if not _is_plain_file(path):
            raise UnreadableFile(f"{path} is gone. Take another backup: moodtape backup list")
        if digest(path) != facts["sha256"]:
            raise UnreadableFile(f"{path} has changed. Take another backup: moodtape backup list")
    if WAREHOUSE not in manifest["files"]:
        raise UnreadableFile(f"{folder / MANIFEST} names no {WAREHOUSE}.")
    listed = {folder / name for name in (MANIFEST, *manifest["files"])}
    for path in sorted(folder.rglob("*")):
        if path not in listed and not path.is_dir():
            raise UnreadableFile(f"{path} is none of the backup's files. Remove it, and try again.")
    return manifest


def to_remove(names: Sequence[str], keep: BackupSection) -> list[str]:
    """Return the backups that rotation does away with.

    Kept are the newest one, and the newest of each of the last days, weeks and months that
    have one.
    """
    newest_first = sorted(names, reverse=True)
    kept = set(newest_first[:1])
    periods = (
        (keep.keep_days, "%Y-%m-%d"),
        (keep.keep_weeks, "%G-%V"),
        (keep.keep_months, "%Y-%m"),
    )
    for count, pattern in periods:
        newest: dict[str, str] = {}
        for name in newest_first:
            newest.setdefault(datetime.strptime(name, "%Y%m%dT%H%M%S%z").strftime(pattern), name)
        kept |= set(list(newest.values())[:count])
    return [name for name in newest_first if name not in kept]


def _take_name(folder: Path) -> None:
    """Take a backup's name before its files: killed between them, half a one would keep it."""
    folder.rename(folder.with_name(f"{REMOVED}{folder.name}"))


def _remove_unfinished(parent: Path) -> None:
    """Remove what was given up and what a killed process began; the callers are alone here."""
    for prefix in (UNFINISHED, REMOVED):
        for begun in parent.glob(f"{prefix}*"):
            shutil.rmtree(begun)
