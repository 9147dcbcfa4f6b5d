"""The database: an engine with its clock, its turnstile, and transactions that count.

SQLite is opened in WAL mode with `synchronous=FULL` (an acknowledged task survives a power
loss); every write is a BEGIN IMMEDIATE behind a turnstile of two file locks, because SQLite's
own busy handler starves a writer for seconds. Versions before 3.51.3 have a WAL-reset bug with
several writers, so nothing checkpoints by itself there: the keeper does, with TRUNCATE.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.pool import ConnectionPoolEntry as PoolRecord

from taskwire_core.errors import ConfigurationError, StoreUnavailable
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.clock import Clock, HostClock
from taskwire_db.group import RowInsert, insert_for
from taskwire_db.models import deployment, option_sets, task_counters
from taskwire_db.turnstile import Turnstile

Item = TypeVar("Item")
Result = TypeVar("Result")
Operation = Callable[["Transaction", Sequence[Item]], "Sequence[Result | BaseException]"]
"""A group operation: it does the same to every item, in order, inside one transaction.

A result that is an exception is raised to the one who asked for that item; the others stand.
"""

BUSY_TIMEOUT_S = 5.0
FIXED_WAL_RESET = (3, 51, 3)

_FILE = "file"
"""Under this name a connection's `info` holds which file it has opened."""

_insert_options = RowInsert(option_sets, conflict=lambda i: i.on_conflict_do_nothing())


class Database:
    """One database, opened. `writable=False` refuses every write (SQLite: query_only)."""

    def __init__(self, url: str, *, clock: Clock | None = None, writable: bool = True) -> None:
        """Open `url` (`sqlite:///path`, or `postgresql+psycopg://…`), without reading it yet.

        Raises:
            ConfigurationError: the URL is not one of these.
        """
        self.url = _parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.clock: Clock = clock or HostClock()
        self.options: dict[int, TaskOptions] = {}
        """Option sets by id. An id names its content, so that none of them is ever wrong."""
        self.stored_options: set[int] = set()
        """The ids of those that are known to be committed."""
        self.engine = self._engine(writable)
        self._turnstile = (
            Turnstile(self.url.database, patience_s=BUSY_TIMEOUT_S) if self.is_sqlite else None
        )
        self._deployment_id: bytes | None = None

    @property
    def deployment_id(self) -> bytes:
        """The 16 bytes that name this database; a broker's message carries them.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        if self._deployment_id is None:
            with self.connect() as connection:
                self._deployment_id = bytes(
                    connection.execute(sa.select(deployment.c.id)).scalar_one()
                )
        return self._deployment_id

    @contextlib.contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """A connection for reading.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with translated(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection for reading whose statements all see the same state.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with self.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A write transaction, committed at the end of the block and rolled back on an error.

        Raises:
            StoreUnavailable: the database does not answer, or somebody holds it for too long, or
                its file is gone.
        """
        with self._turn(), translated(), self.engine.begin() as connection:
            transaction = Transaction(self, connection)
            yield transaction
            transaction.finish()
            self._require_file(connection)
        self.stored_options |= transaction.new_options

    def execute(self, operation: Operation[Item, Result], item: Item) -> Result:
        """One item of a group operation, in a transaction of its own.

        Raises:
            StoreUnavailable: nothing was written.
        """
        with self.transaction() as transaction:
            result = operation(transaction, [item])[0]
        if isinstance(result, BaseException):
            raise result
        return result

    def checkpoint(self, *, above_bytes: int = 0) -> None:
        """Move the write-ahead log into the database file, if it is larger than `above_bytes`.

        Only one process may call this (the keeper's): see the top of this file. Readers that
        are in the way leave the rest for the next time.
        """
        if not self.is_sqlite or self.url.database is None:
            return
        log = Path(self.url.database + "-wal")
        if not log.exists() or log.stat().st_size <= above_bytes:
            return
        with translated(), self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def _require_file(self, connection: sa.Connection) -> None:
        # SQLite goes on writing into a file that was deleted or replaced: nobody would ever
        # see again what is committed there.
        opened = connection.info.get(_FILE)
        if opened is not None and opened != _file_of(self.url.database):
            raise StoreUnavailable("the database's file was removed or replaced; restart taskwire")

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        return self._turnstile.turn() if self._turnstile else contextlib.nullcontext()

    def _engine(self, writable: bool) -> sa.Engine:
        if not self.is_sqlite:
            return sa.create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        engine = sa.create_engine(
            self.url,
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
            pool_reset_on_return=None,
            # Errors are logged, and the parameters are what callers entrusted to us.
            hide_parameters=True,
        )
        sa.event.listen(engine, "connect", _prepare_sqlite(writable))
        sa.event.listen(engine, "connect", _remember_file(self.url.database))
        begin = "BEGIN IMMEDIATE" if writable else "BEGIN"
        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql(begin) and None)
        return engine


class Transaction:
    """One write transaction: its connection, its times, what it changed, and its counts."""

    def __init__(self, database: Database, connection: sa.Connection) -> None:
        self.database = database
        self.connection = connection
        self.clock = database.clock
        self.now_us = self.clock.now_us()
        self.lease_us = self.clock.lease_us()
        self.changed: list[Task] = []
        self.new_options: set[int] = set()
        self._counts: Counter[tuple[str, str, str, int]] = Counter()

    def moved(self, task: Task, source: State | None) -> None:
        """Record that `task` came into its state from `source`: for doorbells and counters.

        A new task (no source) rings nobody: nothing can wait for it before it is there.
        """
        if source is not None:
            self.changed.append(task)
            self._counts[task.type, task.queue, task.owner, source] -= 1
        self._counts[task.type, task.queue, task.owner, task.state] += 1

    def options_id(self, options: TaskOptions) -> int:
        """The id of an option set, which is stored when it is new."""
        key, body = codec.encode_options(options)
        if key not in self.database.stored_options and key not in self.new_options:
            _insert_options.run(self.connection, [(key, body)])
            self.new_options.add(key)
            self.database.options[key] = options
        return key

    def finish(self) -> None:
        """Write the counters' deltas; called once, before the commit."""
        rows = [(*key, 0, count) for key, count in sorted(self._counts.items()) if count]
        _add_counts.run(self.connection, rows)


def _add(insert: Any) -> Any:  # a dialect's Insert
    return insert.on_conflict_do_update(
        index_elements=["type", "queue", "owner", "state", "shard"],
        set_={"count": task_counters.c.count + insert.excluded.count},
    )


_add_counts = RowInsert(task_counters, conflict=_add)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors that say "the database is away" into StoreUnavailable."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise StoreUnavailable(_first_line(error)) from error
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable(_first_line(error)) from error
        if "file is not a database" in str(error.orig):
            raise ConfigurationError(
                "the file that TASKWIRE_DATABASE_URL names is no SQLite database"
            ) from error
        raise


def _first_line(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return str(original).splitlines()[0] if str(original) else type(original).__name__


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigurationError(
            "TASKWIRE_DATABASE_URL is not a database URL that taskwire knows;"
            " use sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/database"
        )
    if parsed.get_backend_name() == "postgresql":
        # Leases would be read on each host's own clock: hosts would take one another for dead.
        raise ConfigurationError(
            "TASKWIRE_DATABASE_URL names a PostgreSQL database, which this version does not"
            " support yet; use sqlite:///path/to/file.db"
        )
    if not parsed.database:
        raise ConfigurationError(
            "TASKWIRE_DATABASE_URL names no file; use sqlite:///path/to/file.db"
        )
    return parsed


def _prepare_sqlite(writable: bool) -> Callable[[sqlite3.Connection, object], None]:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy's "begin" event issues BEGIN IMMEDIATE; the driver must not begin by itself.
        connection.isolation_level = None
        pragmas = [
            "synchronous=FULL",
            "mmap_size=0",
            "temp_store=MEMORY",
            "cache_size=-16384",
        ]
        if sqlite3.sqlite_version_info < FIXED_WAL_RESET:
            pragmas.append("wal_autocheckpoint=0")
        pragmas.insert(0, "journal_mode=WAL") if writable else pragmas.append("query_only=ON")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    return prepare


def _remember_file(path: str | None) -> Callable[[object, PoolRecord], None]:
    def remember(_connection: object, record: PoolRecord) -> None:
        record.info[_FILE] = _file_of(path)

    return remember


def _file_of(path: str | None) -> tuple[int, int] | None:
    """Which file `path` names now, None when there is none."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def new_deployment(connection: sa.Connection, now_us: int) -> None:
    """Give a new database its name; an existing one keeps its own."""
    if connection.execute(sa.select(deployment.c.id)).first() is None:
        insert = insert_for(connection.dialect, deployment)
        connection.execute(insert.values(id=new_id(), create_time=now_us))
