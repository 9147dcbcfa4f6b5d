"""Engines: how a connection to SQLite or to PostgreSQL is opened.

SQLite is opened in WAL mode with `synchronous=FULL` (an acknowledged task survives a power
loss). Versions before 3.51.3 have a bug when one connection resets the WAL while another
checkpoints, so nothing checkpoints by itself there: the keeper does, while nobody can write.

PostgreSQL is asked for READ COMMITTED writes and REPEATABLE READ, READ ONLY reads. No statement,
wait for a lock or silent connection may hold a process up for longer than SESSION says.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry as PoolRecord

from taskwire_core.errors import ConfigurationError

BUSY_TIMEOUT_S = 5.0
KEPT_LOG_BYTES = 64 * 1024 * 1024
"""A write-ahead log that has grown beyond this, behind a long reader, is cut as it begins anew."""
FIXED_WAL_RESET = (3, 51, 3)

SESSION = {
    "lock_timeout": "3s",
    "statement_timeout": "30s",
    # A process that is stopped in its transaction must not keep its rows from all others.
    "idle_in_transaction_session_timeout": "15s",
    # A plan that was made while a table was empty must not outlive that: it would read all of it.
    "plan_cache_mode": "force_custom_plan",
}
"""PostgreSQL's settings for every session."""

_CONNECT = {
    "application_name": "taskwire",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    # A host that vanished says nothing any more: these notice it.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""libpq's parameters; those in the URL go before them."""

_FILE = "file"
"""Under this name a connection's `info` holds which file it has opened."""


def engine_for(url: sa.URL, *, writable: bool) -> sa.Engine:
    """An engine for one process; nothing is opened yet.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite(url, writable)
    return _postgresql(url, writable)


def engine_for_people(url: sa.URL) -> sa.Engine:
    """An engine for somebody's shell, where a transaction stays open while they think.

    On SQLite reading holds no lock, and the first write takes the writers' lock.

    Raises:
        ConfigurationError: the driver is not installed.
    """
    if url.get_backend_name() != "sqlite":
        engine = _postgresql(url, writable=True)
        sa.event.listen(engine, "connect", _be_patient)
        return engine
    engine = _sqlite_file(url, writable=True)
    sa.event.listen(engine, "connect", _begin_with_the_first_write)
    return engine


def _be_patient(connection: Any, _record: object) -> None:  # psycopg's
    connection.execute("SET idle_in_transaction_session_timeout = '10min'")
    connection.commit()


def _begin_with_the_first_write(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = "IMMEDIATE"


def _postgresql(url: sa.URL, writable: bool) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url,
            connect_args={k: v for k, v in _CONNECT.items() if k not in url.query},
            isolation_level="READ COMMITTED" if writable else "REPEATABLE READ",
            pool_pre_ping=True,
            # Errors are logged, and the parameters are what callers entrusted to us.
            hide_parameters=True,
        )
    except ImportError as error:
        raise ConfigurationError(
            "the driver for PostgreSQL cannot be loaded; install it with:"
            " pip install 'psycopg[binary]'"
        ) from error
    sa.event.listen(engine, "connect", _prepare_postgresql(writable))
    return engine


def _prepare_postgresql(writable: bool) -> Callable[[Any, object], None]:
    # Imported here, so that the driver is no need of those who use SQLite.
    from taskwire_db.psycopg_types import adapt

    settings = "; ".join(f"SET {name} = '{value}'" for name, value in SESSION.items())

    def prepare(connection: Any, _record: object) -> None:  # psycopg's
        connection.execute(settings)
        connection.commit()
        connection.read_only = not writable
        adapt(connection)

    return prepare


def _sqlite(url: sa.URL, writable: bool) -> sa.Engine:
    engine = _sqlite_file(url, writable)
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"
    sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql(begin) and None)
    return engine


def _sqlite_file(url: sa.URL, writable: bool) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={
            "timeout": BUSY_TIMEOUT_S,
            "check_same_thread": False,
            # Statements of groups have a text for each power of two.
            "cached_statements": 512,
        },
        pool_reset_on_return=None,
        hide_parameters=True,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite(writable))
    sa.event.listen(engine, "connect", _remember_file(url.database))
    return engine


def _prepare_sqlite(writable: bool) -> Callable[[sqlite3.Connection, object], None]:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # SQLAlchemy's "begin" event issues BEGIN IMMEDIATE; the driver must not begin by itself.
        connection.isolation_level = None
        pragmas = [
            "synchronous=FULL",
            "mmap_size=0",
            "temp_store=MEMORY",
            "cache_size=-16384",
            f"journal_size_limit={KEPT_LOG_BYTES}",
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


def is_replaced(connection: sa.Connection, url: sa.URL) -> bool:
    """Whether the file that a SQLite connection writes into is not the one at its path now.

    SQLite goes on writing into a file that was deleted: nobody would ever see that again.
    """
    opened = connection.info.get(_FILE)
    return opened is not None and opened != _file_of(url.database)


def _file_of(path: str | None) -> tuple[int, int] | None:
    """Which file `path` names now, None when there is none."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
