"""A backup is whole or has no name, is proved by opening it, and brings everything back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from moodtape import backup as module
from moodtape.backup import list_backups, make_backup, to_remove, verify
from moodtape.config import BackupSection
from moodtape.errors import DataMissing, MoodtapeError, UnreadableFile, UsageError
from moodtape.nightly.lock import only_one
from moodtape.nightly.turns import between_steps
from moodtape.restore import find_backup, restore
from moodtape.settings import Settings, load_settings
from moodtape.storage import migrate
from moodtape.storage.db import Warehouse
from moodtape.storage.parquet import export_tables, import_tables
from moodtape.storage.sums import differing, table_sums

if TYPE_CHECKING:
    from tests.nightly.conftest import World

NOW = datetime(2026, 3, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def settings(ready: World) -> Settings:
    return load_settings(ready.folder, environ={})


def sums(warehouse: Warehouse) -> Any:
    with warehouse.read() as connection:
        return table_sums(connection)


def test_a_backup_brings_back_every_row_and_the_model(ready: World, settings: Settings) -> None:
    before = sums(ready.warehouse)
    (ready.folder / ".env").write_text("REDDIT_CLIENT_SECRET=secret\n")
    made = make_backup(settings, ready.warehouse, NOW)
    assert made.rows == sum(facts["rows"] for facts in before.values()) > 150
    assert [b.name for b in list_backups(settings)] == ["20260301T050000Z"]
    held = {p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file()}
    run = "runs/20260101T000000Z-aaaaaa"
    assert held == {
        "manifest.json", "warehouse.duckdb", "moodtape.toml", "feeds.toml",
        f"{run}/served.json", f"{run}/model.onnx",
    }  # fmt: skip
    ready.run("tick")
    shutil.rmtree(ready.folder / "runs")
    changed = sums(ready.warehouse)
    assert differing(before, changed)
    aside = restore(settings, ready.warehouse, None, NOW + DAY)
    assert sums(ready.warehouse) == before
    assert sums(Warehouse(aside)) == changed, "what was there is kept"
    assert (ready.folder / run / "model.onnx").is_file()
    assert ready.run("tick").exit_code == 0, "and the line goes on from there"


def test_what_a_killed_writer_left_in_the_log_is_in_the_backup(
    tmp_path: Path, ready: World, settings: Settings
) -> None:
    import duckdb

    path = ready.warehouse.path
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "SET checkpoint_threshold = '1TB'; PRAGMA disable_checkpoint_on_shutdown"
        )
        connection.execute("INSERT INTO meta VALUES ('in the log', 'yes')")
    assert path.with_name(path.name + ".wal").exists()
    made = make_backup(settings, ready.warehouse, NOW)
    with Warehouse(made.folder / "warehouse.duckdb").read() as connection:
        found = connection.execute("SELECT value FROM meta WHERE name = 'in the log'").fetchall()
    assert found == [("yes",)]


def test_a_copy_that_differs_or_does_not_fit_is_not_kept(
    ready: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def cut(source: Path, target: Path) -> None:
        copy(source, target)
        if target.name == "warehouse.duckdb":
            import duckdb

            with duckdb.connect(str(target)) as connection:
                connection.execute(
                    "DELETE FROM bar WHERE open_time = (SELECT max(open_time) FROM bar)"
                )

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfile", cut)
        with pytest.raises(MoodtapeError, match="differs from the warehouse in bar; it was not"):
            make_backup(settings, ready.warehouse, NOW)
    assert list_backups(settings) == []
    full = shutil.disk_usage(ready.folder)._replace(free=10)
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda path: full)
        with pytest.raises(MoodtapeError, match=r"needs .* MiB .* has 0 MiB left\. Make room"):
            make_backup(settings, ready.warehouse, NOW)
    make_backup(settings, ready.warehouse, NOW)
    assert [p.name for p in (ready.folder / "backups").iterdir()] == ["20260301T050000Z"]


def test_a_damaged_backup_changes_nothing(ready: World, settings: Settings) -> None:
    made = make_backup(settings, ready.warehouse, NOW)
    before = sums(ready.warehouse)
    with (made.folder / "feeds.toml").open("a") as handle:
        handle.write("# one more line\n")
    with pytest.raises(UnreadableFile, match=r"feeds\.toml has changed\. Take another backup"):
        restore(settings, ready.warehouse, made.name, NOW)
    assert sums(ready.warehouse) == before
    manifest = json.loads((made.folder / "manifest.json").read_text())
    manifest["files"] = {"../../.env": {"bytes": 1, "sha256": ""}}
    (made.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UnreadableFile, match="outside the backup"):
        verify(made.folder)
    (made.folder / "manifest.json").write_text("{}")
    with pytest.raises(UnreadableFile, match="of another version"):
        verify(made.folder)


def test_a_damaged_backup_bars_no_other(
    ready: World, settings: Settings, run: Callable[..., Any]
) -> None:
    good = make_backup(settings, ready.warehouse, NOW)
    cut = make_backup(settings, ready.warehouse, NOW + DAY)
    manifest = cut.folder / "manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    assert find_backup(settings, None) == good.folder, "the newest whole one"
    with pytest.raises(UnreadableFile, match=r"cannot be read.* Take another backup"):
        restore(settings, ready.warehouse, cut.name, NOW)
    restore(settings, ready.warehouse, good.name, NOW)
    keep = load_settings(ready.folder, (), {"backup.keep_days": 2, "backup.keep_weeks": 0}, {})
    newest = make_backup(keep, ready.warehouse, NOW + 2 * DAY)
    kept = [newest.name, cut.name, good.name]
    assert [b.name for b in list_backups(settings)] == kept, "it takes the place of no whole one"
    done = run("backup", "list", "--project", ready.folder)
    assert [line[:16] for line in done.out.splitlines()[2:]] == [newest.name, good.name]
    assert f"{cut.name} is damaged: " in done.err


def test_a_file_that_was_put_into_a_backup_is_refused(ready: World, settings: Settings) -> None:
    made = make_backup(settings, ready.warehouse, NOW)
    foreign = made.folder / "runs" / "20990101T000000Z-ffffff" / "served.json"
    foreign.parent.mkdir()
    foreign.write_text("{}")
    with pytest.raises(UnreadableFile, match=r"ffffff/served\.json is none of the backup's files"):
        restore(settings, ready.warehouse, made.name, NOW)
    assert len(list(settings.runs.iterdir())) == 1


def test_a_wrong_name_is_told(settings: Settings, ready: World) -> None:
    with pytest.raises(DataMissing, match=r"There is no backup in .* Run: moodtape backup"):
        find_backup(settings, None)
    make_backup(settings, ready.warehouse, NOW)
    with pytest.raises(DataMissing, match="Did you mean 20260301T050000Z"):
        find_backup(settings, "20260301T050001Z")


def test_a_warehouse_that_cannot_be_opened_is_replaced_and_kept(
    ready: World, settings: Settings
) -> None:
    before = sums(ready.warehouse)
    make_backup(settings, ready.warehouse, NOW)
    ready.warehouse.path.write_bytes(b"not a warehouse" * 1000)
    aside = restore(settings, ready.warehouse, None, NOW)
    assert sums(ready.warehouse) == before
    assert aside.read_bytes().startswith(b"not a warehouse")


def test_a_backup_of_an_older_schema_comes_back_and_is_brought_up_to_date(
    ready: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sums(ready.warehouse)
    make_backup(settings, ready.warehouse, NOW)
    shipped = migrate.migrations()
    later = ("9999_later.sql", "ALTER TABLE bar ADD COLUMN later INTEGER")
    monkeypatch.setattr(migrate, "migrations", lambda: [*shipped, later])
    restore(settings, ready.warehouse, None, NOW)
    assert differing(before, sums(ready.warehouse)) == ["bar", "migration"]
    with ready.warehouse.read() as connection:
        assert connection.execute("SELECT count(*) FROM bar").fetchall() == [
            (before["bar"]["rows"],)
        ]


def test_a_restore_that_is_killed_leaves_a_warehouse_and_whole_models(
    ready: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sums(ready.warehouse)
    make_backup(settings, ready.warehouse, NOW)
    shutil.rmtree(settings.runs)

    class Killed(BaseException):
        pass

    def killed(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            restore(settings, ready.warehouse, None, NOW)
    assert sums(ready.warehouse) == before, "no run that starts by itself finds an empty place"
    copy = shutil.copyfile

    def cut(source: Any, target: Any, **how: Any) -> Any:
        target = str(target)
        return killed() if target.endswith("served.json") else copy(source, target, **how)

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfile", cut)
        with pytest.raises(Killed):
            restore(settings, ready.warehouse, None, NOW + DAY)
    run = settings.runs / "20260101T000000Z-aaaaaa"
    assert not run.exists()
    restore(settings, ready.warehouse, None, NOW + 2 * DAY)
    assert sorted(p.name for p in run.iterdir()) == ["model.onnx", "served.json"]
    assert [p.name for p in settings.runs.iterdir()] == [run.name]


def test_rotation_keeps_days_weeks_and_months() -> None:
    names = [f"{NOW - n * DAY:%Y%m%dT%H%M%SZ}" for n in range(200)]
    keep = BackupSection(keep_days=3, keep_weeks=2, keep_months=3)
    left = sorted(set(names) - set(to_remove(names, keep)), reverse=True)
    # 1 March 2026 is a Sunday; the week before it ended on 22 February.
    assert [name[:8] for name in left] == ["20260301", "20260228", "20260227", "20260222",
                                           "20260131"]  # fmt: skip
    assert to_remove(names[:1], BackupSection(keep_weeks=0, keep_months=0)) == []
    assert to_remove([], keep) == []


def test_a_rotation_that_is_killed_leaves_no_half_of_a_backup(
    ready: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = load_settings(ready.folder, (), {"backup.keep_days": 1, "backup.keep_weeks": 0}, {})
    first = make_backup(keep, ready.warehouse, NOW)
    parent, second = first.folder.parent, f"{NOW + DAY:%Y%m%dT%H%M%SZ}"

    class Killed(BaseException):
        pass

    remove = shutil.rmtree

    def killed(doomed: str, folder: Path) -> None:
        if not folder.name.endswith(doomed):
            return remove(folder)
        (folder / "manifest.json").unlink()
        raise Killed

    for doomed in (first.name, second):  # rotated away, and made again in the same second
        with monkeypatch.context() as patch:
            patch.setattr(module.shutil, "rmtree", partial(killed, doomed))
            with pytest.raises(Killed):
                make_backup(keep, ready.warehouse, NOW + DAY)
        assert [backup.name for backup in list_backups(settings)] == [second]
        assert verify(parent / second)
    newest = make_backup(keep, ready.warehouse, NOW + 2 * DAY)
    assert [path.name for path in parent.iterdir()] == [newest.name]


def test_an_export_comes_back_identical(ready: World, tmp_path: Path) -> None:
    address = str(tmp_path / "out's")
    with ready.warehouse.read() as connection:
        told = export_tables(connection, address)
        with pytest.raises(UsageError, match="is not empty"):
            export_tables(connection, address)
    assert sorted(p.name for p in (tmp_path / "out's" / "bar").iterdir()) == [
        "month=2026-02", "month=2026-03",
    ]  # fmt: skip
    fresh = Warehouse(tmp_path / "fresh.duckdb")
    with fresh.write() as connection:
        assert import_tables(connection, address) == told
    mine, theirs = sums(ready.warehouse), sums(fresh)
    assert differing(mine, theirs) == ["migration"], "each has its own times of being made"
    with pytest.raises(UsageError, match="this one holds rows"), fresh.write() as connection:
        import_tables(connection, address)


def test_an_export_goes_where_fsspec_reaches(ready: World, tmp_path: Path) -> None:
    with ready.warehouse.read() as connection:
        told = export_tables(connection, "memory://exports/one")
        with pytest.raises(UsageError, match="nowhere://x"):
            export_tables(connection, "nowhere://x")
    with Warehouse(tmp_path / "fresh.duckdb").write() as connection:
        assert import_tables(connection, "memory://exports/one") == told


def test_a_damaged_export_leaves_nothing(ready: World, tmp_path: Path) -> None:
    address = str(tmp_path / "out")
    with ready.warehouse.read() as connection:
        export_tables(connection, address)
    fresh = Warehouse(tmp_path / "fresh.duckdb")
    (cut,) = (tmp_path / "out" / "bar" / "month=2026-03").iterdir()
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(UnreadableFile, match="bar cannot be read"), fresh.write() as connection:
        import_tables(connection, address)
    cut.unlink()
    with pytest.raises(UnreadableFile, match="bar did not come back"), fresh.write() as connection:
        import_tables(connection, address)
    assert not any(f["rows"] for t, f in sums(fresh).items() if t != "migration")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    manifest["migrations"].popitem()
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UnreadableFile, match="another schema"), fresh.write() as connection:
        import_tables(connection, address)
    with pytest.raises(UnreadableFile, match="holds no export"), fresh.write() as connection:
        import_tables(connection, str(tmp_path))


def test_by_hand_it_waits_for_the_rhythms(
    ready: World, settings: Settings, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOODTAPE__STORAGE__LOCK_WAIT_S", "0.1")
    make_backup(settings, ready.warehouse, NOW)
    begun = ready.folder / "backups" / ".new-20260302T002500Z"
    begun.mkdir()
    where = ("--project", ready.folder)
    with between_steps(settings):  # as the nightly run does
        done = run("backup", *where)
        assert (done.code, begun.exists()) == (6, True), "a backup that is being made stays"
        assert "A step of tick or nightly is being done by process" in done.err
        assert run("backup", "restore", *where).code == 6
    with only_one(ready.folder / ".moodtape" / "nightly.lock", "nightly", 0):  # it trains
        assert run("backup", "restore", *where).code == 6
        assert run("backup", *where).code == 0
    assert not begun.exists()
    assert run("backup", "restore", *where).code == 0


def test_the_verbs(ready: World, tmp_path: Path, run: Callable[..., Any]) -> None:
    where = ("--project", ready.folder)
    assert run("backup", "list", *where).out == ""
    done = run("backup", *where)
    assert (done.code, done.out.endswith("opened and compared\n")) == (0, True)
    (listed,) = json.loads(run("backup", "list", *where, "--json").out)["results"]
    assert listed["rows"] > 150
    done = run("backup", "restore", listed["name"], *where)
    assert done.code == 0
    assert f"is as it was at {listed['name']}." in done.out
    assert ".before-" in done.err
    assert run("export", tmp_path / "out", *where).code == 0
    done = run("import", "export", tmp_path / "out", "--project", tmp_path / "new", "--json")
    assert done.code == 0, done.err
    assert {r["table"] for r in json.loads(done.out)["results"]} >= {"bar", "forecast", "step"}
