"""What only SQLite has: its lock, its one file, its log and its profile."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from taskwire_core.errors import StoreUnavailable
from taskwire_db import engines
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.group import GroupStatement
from taskwire_db.models import Id, deployment
from taskwire_db.reader import Reader
from taskwire_db.turnstile import Turnstile
from taskwire_db.writer import Writer
from tests.store.steps import ManualClock, new_task, unit, without_a_turn
from tests.support.eventually import eventually
from tests.support.stores import Stores


@pytest.fixture
def stores(sqlite_stores: Stores) -> Stores:
    return sqlite_stores


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    made = Writer(database)
    yield made
    made.close()


def pragma(database: Database, text: str) -> Any:  # whatever the PRAGMA answers
    """Run a PRAGMA on the pooled connection, which the next transaction uses too."""
    with database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        row = raw.execute(f"PRAGMA {text}").fetchone()
        return row and row[0]


def test_what_comes_while_a_group_waits_for_its_turn_belongs_to_it(
    database: Database, url: str, clock: ManualClock
) -> None:
    groups: list[tuple[int, bool]] = []
    writer = Writer(database, committed=lambda items, _s, failed: groups.append((items, failed)))
    other = Database(url, clock=clock)
    with closing(writer), closing(other):
        with other.transaction():
            first = writer.run(ops.submit, unit(new_task()))
            eventually(lambda: writer.pending == 0)
            rest = [writer.run(ops.submit, unit(new_task())) for _ in range(4)]
        assert all(each.result(30).submitted for each in (first, *rest))
    assert groups == [(5, False)]


def test_all_who_wait_for_a_turn_that_does_not_come_are_told_at_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskwire_db.database.BUSY_TIMEOUT_S", 1)
    groups: list[tuple[int, bool]] = []
    opened = Database(url)
    writer = Writer(opened, committed=lambda items, _s, failed: groups.append((items, failed)))
    turn = Turnstile(opened.url.database, patience_s=1).turn()
    with closing(opened), closing(writer), turn:
        first = writer.run(ops.submit, unit(new_task()))
        eventually(lambda: writer.pending == 0)
        rest = [writer.run(ops.submit, unit(new_task())) for _ in range(4)]
        assert all(isinstance(each.exception(30), StoreUnavailable) for each in (first, *rest))
    assert groups == [(5, True)]


def test_a_locked_database_answers_unavailable_and_nothing_is_written(
    writer: Writer, database: Database, reader: Reader, url: str
) -> None:
    path = url.removeprefix("sqlite:///")
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    try:
        pragma(database, "busy_timeout=50")
        with pytest.raises(StoreUnavailable, match="locked"):
            writer.run(ops.submit, unit(new_task())).result(30)
    finally:
        foreign.execute("ROLLBACK")
        foreign.close()
    assert writer.run(ops.submit, unit(new_task())).result(30).submitted[0].created
    assert sum(reader.counts().values()) == 1


def test_nobody_writes_between_what_a_transaction_reads_and_writes(
    database: Database, url: str
) -> None:
    foreign = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=0)
    with closing(foreign), database.transaction() as tx:
        tx.connection.execute(sa.select(deployment.c.pruned_number)).one()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            foreign.execute("UPDATE deployment SET pruned_number = pruned_number + 1")
        ops.submit(tx, [unit(new_task())])


def test_a_writer_waits_for_its_turn_and_not_for_the_lock(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with without_a_turn(url, monkeypatch) as opened:
        opened.execute(ops.submit, unit(new_task()))


def test_a_writer_that_is_stopped_in_its_turn_holds_up_the_others_for_seconds_only(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "taskwire.db")
    first, second = (Turnstile(path, patience_s=0.2) for _ in range(2))
    with ThreadPoolExecutor(1) as thread, first.turn():
        waiting = thread.submit(second.turn().__enter__)
        eventually(waiting.done, what="the second writer is told that it cannot have its turn")
        assert isinstance(waiting.exception(), StoreUnavailable)
    with second.turn():
        pass


def test_a_lock_that_cannot_be_opened_leaves_no_file_open(tmp_path: Path) -> None:
    path = str(tmp_path / "taskwire.db")
    Path(f"{path}-queue").mkdir()
    turnstile = Turnstile(path, patience_s=0.2)
    with pytest.raises(StoreUnavailable, match="cannot open"), turnstile.turn():
        pass
    assert f"{path}-gate" not in [os.path.realpath(f"/dev/fd/{fd}") for fd in os.listdir("/dev/fd")]


def test_a_full_disk_answers_unavailable_and_later_writes_succeed(
    database: Database, reader: Reader
) -> None:
    pages = pragma(database, "page_count")
    pragma(database, f"max_page_count={pages + 4}")
    big = [unit(*[new_task() for _ in range(500)]) for _ in range(10)]
    with pytest.raises(StoreUnavailable, match="full"):
        _ = [database.execute(ops.submit, some) for some in big]
    pragma(database, "max_page_count=1000000")
    before = sum(reader.counts().values())
    database.execute(ops.submit, unit(new_task()))
    assert sum(reader.counts().values()) == before + 1


@pytest.mark.parametrize("replaced", [False, True])
def test_nothing_is_acknowledged_that_went_into_a_deleted_file(
    writer: Writer, database: Database, replaced: bool
) -> None:
    writer.run(ops.submit, unit(new_task())).result(10)
    assert database.url.database is not None
    path = Path(database.url.database)
    kept = path.rename(path.with_suffix(".kept"))
    if replaced:
        path.touch()

    with pytest.raises(StoreUnavailable, match="removed or replaced"):
        writer.run(ops.submit, unit(new_task())).result(10)

    kept.replace(path)
    writer.run(ops.submit, unit(new_task())).result(10)


def test_the_safe_profile_never_checkpoints_by_itself(database: Database) -> None:
    old = sqlite3.sqlite_version_info < engines.FIXED_WAL_RESET
    assert pragma(database, "wal_autocheckpoint") == (0 if old else 1000)
    assert pragma(database, "synchronous") == 2
    assert pragma(database, "journal_mode") == "wal"


def test_every_thread_has_its_own_connection_until_all_are_closed(url: str) -> None:
    reading = Database(url, writable=False)

    def look() -> sa.Connection:
        with reading.glance() as first, reading.glance() as second:
            assert first is second
            return first

    with ThreadPoolExecutor(1) as thread:
        kept = {look(), thread.submit(look).result()}
    assert len(kept) == 2
    reading.close()
    assert all(connection.closed for connection in kept)


def test_an_error_on_the_way_to_a_later_row_says_that_the_database_is_away(
    database: Database, reader: Reader
) -> None:
    made = [new_task(), new_task()]
    for new in made:
        database.execute(ops.submit, unit(new))
    ids = [new.id for new in made]
    met: list[int] = []

    def fail(_id: bytes) -> int:
        met.append(1)
        if len(met) == 2:
            raise ValueError
        return 1

    statement = GroupStatement({"id": Id}, lambda v: sa.select(sa.func.fail(v.c.id)).select_from(v))

    def look() -> None:
        with reader.database.glance() as connection:
            raw = connection.connection.dbapi_connection
            assert raw is not None
            raw.create_function("fail", 1, fail)
            statement.run(connection, [(task_id,) for task_id in ids])

    with pytest.raises(StoreUnavailable):
        look()
    assert reader.get(ids).keys() == set(ids)
