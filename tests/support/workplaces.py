"""A worker's store behind one face, for tests of SQLite, of PostgreSQL and of the fake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import psycopg
import sqlalchemy as sa

from taskwire_core.ids import new_id
from taskwire_core.task import Dispatch, NewTask, Task, View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from taskwire_db.writer import Writer
from taskwire_worker.ports import Ledger, WorkerBook, WorkerRow
from taskwire_worker.spool import Spool
from taskwire_worker.store_ledger import StoreLedger, StoreWorkerBook
from tests.store.steps import TTL_US, ManualClock, unit
from tests.support.memory_store import MemoryBook, MemoryLedger, MemoryStore
from tests.support.stores import sync_nothing


class Workplace(Protocol):
    """What workers write into, and what others do to it meanwhile."""

    clock: ManualClock
    book: WorkerBook

    def ledger(self, worker_id: bytes) -> Ledger:
        """What that worker writes with."""

    def submit(self, new: NewTask) -> None:
        """Have a task, as if a caller had submitted it."""

    def cancel(self, task_id: bytes) -> None:
        """Do what a caller's cancel does."""

    def make_due(self) -> None:
        """Queue what has waited long enough."""

    def read(self, task_id: bytes) -> Task:
        """A task with its outcome and its progress, once all that was written before is there."""

    def count(self) -> int:
        """How many tasks there are."""

    def away(self) -> AbstractContextManager[None]:
        """A time in which nothing answers."""


def dispatch_of(task: Task | NewTask, number: int = 1) -> Dispatch:
    """The message of a task's dispatch."""
    return Dispatch(task.id, task.type, task.options.queue, number)


def at_work(workplace: Workplace) -> tuple[bytes, Ledger]:
    """A new worker: its id, and its ledger."""
    row = WorkerRow(new_id(), "host", 1, 8, ("acme.v1.Images/Shrink",), ("images",))
    workplace.book.register(row)
    return row.id, workplace.ledger(row.id)


class MemoryWorkplace:
    """The fake."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock.now_us)
        self.book: WorkerBook = MemoryBook(self.store, ttl_us=TTL_US)

    def ledger(self, worker_id: bytes) -> Ledger:
        return MemoryLedger(self.store, worker_id)

    def submit(self, new: NewTask) -> None:
        assert self.store.submit(new) == new.id

    def cancel(self, task_id: bytes) -> None:
        self.store.cancel(task_id, "enough")

    def make_due(self) -> None:
        self.store.make_due()

    def read(self, task_id: bytes) -> Task:
        return self.store.read(task_id)

    def count(self) -> int:
        return len(self.store.tasks)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.store.away = True
        yield
        self.store.away = False


class StoreWorkplace:
    """A database; its ledgers share a writer, as those of a process do."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock()
        self._database = Database(url, clock=self.clock)
        sync_nothing(self._database)
        self._reader = Reader(url, clock=self.clock)
        self._writer = Writer(self._database)
        nothing_spooled = Spool(Path("no-such-folder"))
        self.book: WorkerBook = StoreWorkerBook(self._writer, nothing_spooled, ttl_us=TTL_US)

    def close(self) -> None:
        self._writer.close()
        self._reader.close()
        self._database.close()

    def ledger(self, worker_id: bytes) -> Ledger:
        return StoreLedger(self._writer, worker_id)

    def submit(self, new: NewTask) -> None:
        (made,) = self._writer.run(ops.submit, unit(new)).result(10).submitted
        assert made.created

    def cancel(self, task_id: bytes) -> None:
        request = ops.CancelRequest(task_id, "dev", "enough", "dev")
        self._writer.run(ops.cancel, request).result(10)

    def make_due(self) -> None:
        self._writer.run(ops.sweep_due, ops.Sweep()).result(10)

    def read(self, task_id: bytes) -> Task:
        # Whatever nobody waits for was given to the writer before this.
        self._writer.run(_nothing, None).result(10)
        return self._reader.get([task_id], View.OUTCOME)[task_id]

    def count(self) -> int:
        return sum(self._reader.counts().values())

    def away(self) -> AbstractContextManager[None]:
        url = self._database.url
        return _file_away(Path(url.database or "")) if self._database.is_sqlite else _shut(url)


def _nothing(tx: object, items: object) -> list[None]:
    return [None]


@contextlib.contextmanager
def _file_away(file: Path) -> Iterator[None]:
    """Somebody has moved the database's file."""
    aside = file.with_suffix(".aside")
    file.rename(aside)
    yield
    file.unlink(missing_ok=True)
    aside.rename(file)


@contextlib.contextmanager
def _shut(url: sa.URL) -> Iterator[None]:
    """The database lets nobody in, and ends the connections that taskwire has."""
    name = f'"{url.database}"'
    with psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=str(url.password),
        dbname="postgres",
        autocommit=True,
    ) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = %s AND application_name = 'taskwire'",
            [url.database],
        )
        yield
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
