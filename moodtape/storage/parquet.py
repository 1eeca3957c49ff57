"""The warehouse as partitioned Parquet, on this disk or anywhere fsspec reaches, and back.

Every table is a folder; tables with a time of their own are cut by its month
(`bar/month=2025-06/...`), as Spark, Ray Data and DuckDB read them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moodtape import __version__
from moodtape.errors import UnreadableFile, UsageError
from moodtape.storage.migrate import applied
from moodtape.storage.sums import Sums, differing, table_names, table_sums

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

MANIFEST = "manifest.json"
LEDGER = "migration"
"""The new warehouse has its own."""

MONTH_OF = {
    "bar": "open_time",
    "metric": "period_end",
    "document": "known_at",
    "mention": "known_at",
    "sentiment_hourly": "hour",
    "poll": "polled_at",
    "forecast": "cutoff",
    "settlement": "cutoff",
}


def export_tables(connection: Connection, address: str) -> Sums:
    """Write every table below a folder that is empty or absent; return counts and checksums.

    Raises:
        UsageError: the folder holds something, or its protocol needs a package.
    """
    files = _files(connection, address)
    if files.exists(address) and files.ls(address):
        raise UsageError(f"{address} is not empty. Name a new folder, so that nothing is mixed.")
    files.makedirs(address, exist_ok=True)
    sums = table_sums(connection, leave_out=(LEDGER,))
    for name, facts in sums.items():
        if not facts["rows"]:
            continue
        place = f"{address}/{name}"
        if name in MONTH_OF:
            time = MONTH_OF[name]
            rows = f'SELECT *, strftime("{time}", \'%Y-%m\') AS month FROM "{name}"'  # noqa: S608
            how = "FORMAT parquet, COMPRESSION zstd, PARTITION_BY (month)"
        else:
            files.makedirs(place, exist_ok=True)
            rows, how = f'SELECT * FROM "{name}"', "FORMAT parquet, COMPRESSION zstd"  # noqa: S608
            place = f"{place}/rows.parquet"
        connection.execute(f"COPY ({rows}) TO ? ({how})", [place])
    manifest = {
        "schema_version": 1,
        "version": __version__,
        "migrations": applied(connection),
        "tables": sums,
    }
    with files.open(f"{address}/{MANIFEST}", "w") as handle:
        json.dump(manifest, handle, indent=1)
    return sums


def import_tables(connection: Connection, address: str) -> Sums:
    """Fill a new warehouse from an export, within the caller's transaction.

    Raises:
        UsageError: the warehouse holds rows.
        UnreadableFile: it is no export, one of another schema, or not all of it is there.
    """
    import duckdb

    present = table_sums(connection, leave_out=(LEDGER,))
    full = [name for name, facts in present.items() if facts["rows"]]
    if full:
        raise UsageError(
            f"An export goes into a new project, and this one holds rows ({', '.join(full[:3])})."
            " Run: moodtape init FOLDER, and import there."
        )
    files = _files(connection, address)
    manifest = _manifest(files, address)
    if manifest["migrations"] != applied(connection):
        raise UnreadableFile(
            f"{address} was written by Moodtape {manifest['version']} with another schema."
            " Import it with that version, then upgrade: the warehouse follows by itself."
        )
    known = set(table_names(connection))
    for name, facts in manifest["tables"].items():
        if name not in known:
            raise UnreadableFile(f"{address}/{MANIFEST} names a table {name!r} that is none.")
        if not facts["rows"]:
            continue
        pattern, without = f"{address}/{name}/*.parquet", ""
        if name in MONTH_OF:
            pattern, without = f"{address}/{name}/*/*.parquet", "EXCLUDE (month)"
        try:
            connection.execute(
                f'INSERT INTO "{name}" BY NAME SELECT * {without} FROM read_parquet(?,'  # noqa: S608
                f" hive_partitioning = {bool(without)}, hive_types_autocast = false)",
                [pattern],
            )
        except duckdb.Error as exc:
            raise UnreadableFile(
                f"{address} is damaged: {name} cannot be read ({str(exc).splitlines()[0]})."
                " Nothing was kept. Export again."
            ) from exc
    sums = table_sums(connection, leave_out=(LEDGER,))
    wrong = differing(manifest["tables"], sums)
    if wrong:
        raise UnreadableFile(
            f"{address} is damaged: {', '.join(wrong)} did not come back as they were."
            " Nothing was kept. Export again."
        )
    return sums


def _manifest(files: Any, address: str) -> dict[str, Any]:
    try:
        with files.open(f"{address}/{MANIFEST}") as handle:
            found: dict[str, Any] = json.load(handle)
    except (OSError, ValueError, RecursionError) as exc:
        raise UnreadableFile(f"{address} holds no export: {MANIFEST} cannot be read.") from exc
    if (
        not isinstance(found, dict)
        or found.get("schema_version") != 1
        or not {"migrations", "tables", "version"} <= set(found)
    ):
        raise UnreadableFile(f"{address}/{MANIFEST} is of another version of Moodtape.")
    tables = found["tables"]
    if not isinstance(tables, dict) or not all(
        isinstance(facts, dict) and "rows" in facts for facts in tables.values()
    ):
        raise UnreadableFile(f"{address}/{MANIFEST} is damaged: it does not say how many rows.")
    return found


def _files(connection: Connection, address: str) -> Any:
    """Return the file system of an address, known to DuckDB where it is not this disk's."""
    import fsspec

    protocol = address.partition("://")[0] if "://" in address else "file"
    try:
        files = fsspec.filesystem(protocol)
    except ImportError as exc:
        raise UsageError(f"{address}: {exc}. For S3: pip install s3fs") from exc
    except ValueError as exc:
        raise UsageError(f"{address}: {exc}") from exc
    if protocol != "file":
        connection.register_filesystem(files)
    return files
