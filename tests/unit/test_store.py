from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine import store as stored
from engine.errors import Code, EngineError
from engine.store import Store, meta


def test_it_is_durable_private_and_keeps_foreign_keys(tmp_path: Path) -> None:
    """slug: store-durable"""
    store = Store(tmp_path / "store.sqlite")
    with store.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "user_version")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "user_version": 1}
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    store.close()


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")

    def fail() -> None:
        with store.write() as connection:
            connection.execute(sa.insert(meta).values(key="a", value="1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.get_meta("a") is None
    store.close()


def test_a_read_sees_one_picture_while_another_thread_writes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.set_meta("a", "1")
    with store.read() as connection:
        query = sa.select(meta.c.value).where(meta.c.key == "a")
        assert connection.scalar(query) == "1"
        writer = threading.Thread(target=store.set_meta, args=("a", "2"))
        writer.start()
        writer.join()
        assert connection.scalar(query) == "1"
    assert store.get_meta("a") == "2"
    store.close()


def test_what_is_made_once_is_made_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    values: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: values.append(store.meta_once("id", lambda: f"made by {n}")))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(values)) == 1
    store.close()


def test_a_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """slug: store-versions"""
    Store(tmp_path / "store.sqlite").close()
    with sqlite3.connect(tmp_path / "store.sqlite") as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(EngineError, match="newer release") as caught:
        Store(tmp_path / "store.sqlite")
    assert caught.value.code is Code.STORE_UNAVAILABLE


def test_a_migration_runs_once_and_a_failing_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """slug: store-versions"""
    path = tmp_path / "store.sqlite"
    Store(path).close()

    def second(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE more (a INTEGER)")
        if failing:
            connection.exec_driver_sql("CREATE TABLE more (a INTEGER)")

    failing = True
    monkeypatch.setattr(stored, "MIGRATIONS", [*stored.MIGRATIONS, second])
    with pytest.raises(EngineError):
        Store(path)
    failing = False
    for _ in range(2):
        store = Store(path)
        with store.read() as connection:
            assert connection.exec_driver_sql("PRAGMA user_version").scalar_one() == 2
        store.close()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_damaged_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        Store(path)
    assert caught.value.code is Code.STORE_UNAVAILABLE
    assert caught.value.details["path"] == str(path)


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    """slug: store-full"""
    store = Store(tmp_path / "store.sqlite")

    def fill() -> None:
        with store.write() as connection:
            # What SQLite says at its own limit is what it says at the disk's.
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.execute(sa.insert(meta).values(key="big", value="x" * 1_000_000))

    with pytest.raises(EngineError) as caught:
        fill()
    assert caught.value.code is Code.STORE_UNAVAILABLE
    assert "full" in caught.value.message
    assert "xxx" not in str(caught.value.details)
    store.close()
