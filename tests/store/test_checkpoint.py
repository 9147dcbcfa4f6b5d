"""SQLite's checkpoint: what it moves, whom it waits for, and what becomes of the log."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from taskwire_core.errors import StoreUnavailable
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.orm import User, session
from taskwire_db.reader import Reader
from tests.store.steps import cancel, new_task, unit, without_a_turn
from tests.support.eventually import eventually
from tests.support.stores import Stores


@pytest.fixture
def stores(sqlite_stores: Stores) -> Stores:
    return sqlite_stores


def test_after_a_checkpoint_the_log_is_written_over(database: Database, url: str) -> None:
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    made = [new_task() for _ in range(102)]
    database.execute(ops.submit, unit(*made[:100]))
    size = log.stat().st_size
    database.checkpoint()
    assert in_the_file_alone(url) == 100
    for new in made[100:]:
        database.execute(ops.submit, unit(new))
    assert log.stat().st_size == size


def test_a_checkpoint_waits_for_its_turn(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who resets the log while another process checkpoints may corrupt it: SQLite before 3.51.3."""
    with without_a_turn(url, monkeypatch) as opened:
        opened.checkpoint()


def test_a_checkpoint_waits_for_those_who_write_without_a_turn(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's shell, or a migration: SQLite before 3.51.3 may lose what either has moved."""
    monkeypatch.setattr("taskwire_db.engines.BUSY_TIMEOUT_S", 0.1)
    database.execute(ops.submit, unit(new_task()))
    opened = Database(url)
    with closing(opened), session(url) as shell:
        shell.add(User(username="ada", email="ada@example.com"))
        shell.flush()
        with pytest.raises(StoreUnavailable, match="locked"):
            opened.checkpoint()
    database.checkpoint()
    assert in_the_file_alone(url) == 1


def test_a_large_log_is_begun_anew_although_somebody_always_reads(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskwire_db.checkpoint.KEPT_LOG_BYTES", 1)
    monkeypatch.setattr("taskwire_db.checkpoint.PATIENCE_MS", 10_000)
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    made = [new_task() for _ in range(102)]
    database.execute(ops.submit, unit(*made[:100]))
    size = log.stat().st_size
    reading = sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)
    reading.execute("BEGIN")
    reading.execute("SELECT count(*) FROM tasks").fetchone()
    with ThreadPoolExecutor(1) as threads, closing(reading):
        # It ends when the checkpoint has moved all and still holds up the writers.
        ended = threads.submit(
            lambda: eventually(lambda: in_the_file_alone(url) == 100 and is_locked(url))
        )
        ended.add_done_callback(lambda _: reading.rollback())
        database.checkpoint()
        for new in made[100:]:
            database.execute(ops.submit, unit(new))
    assert ended.result()
    assert log.stat().st_size == size


def test_a_thread_that_has_read_holds_up_no_checkpoint(
    database: Database, reader: Reader, url: str
) -> None:
    new = new_task()
    database.execute(ops.submit, unit(new))
    for _ in range(2):
        assert reader.get([new.id])
    cancel(database, new.id)
    database.checkpoint()
    assert in_the_file_alone(url) == 1


def is_locked(url: str) -> bool:
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def in_the_file_alone(url: str) -> int:
    """How many tasks the database has without its log."""
    path = Path(url.removeprefix("sqlite:///"))
    alone = path.with_suffix(".alone")
    alone.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(alone)) as connection, suppress(sqlite3.DatabaseError):
        return connection.execute("SELECT count(*) FROM tasks").fetchone()[0]  # type: ignore[no-any-return]
    return -1  # It was copied while pages moved, and has half of them.
