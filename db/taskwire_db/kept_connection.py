"""SQLite's writing connection, kept open between a process's transactions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from taskwire_db.group import run_by_driver


class KeptConnection:
    """For one transaction after the other; the turnstile sees to that.

    To check a connection out of SQLAlchemy's pool, to begin on it and to give it back costs more
    than the statements of a small transaction. So SQLAlchemy sees one transaction that never
    ends, and the driver is told of each. One that fails ends with its connection.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._kept: sa.Connection | None = None
        self._closed = False

    @contextlib.contextmanager
    def begun(self) -> Iterator[sa.Connection]:
        """A connection in a transaction, which the block has to commit by `commit`."""
        connection, self._kept = self._kept, None
        begins = connection is None
        if connection is None:
            connection = self._engine.connect()
        try:
            if begins:
                connection.begin()  # The engine says BEGIN IMMEDIATE.
            else:
                run_by_driver(connection, "BEGIN IMMEDIATE", ())
            yield connection
        except BaseException:
            connection.close()  # It rolls back what was not committed.
            raise
        if self._closed:
            connection.close()
        else:
            self._kept = connection

    def close(self) -> None:
        """Close it, at the end of its transaction if it is in one."""
        self._closed = True
        connection, self._kept = self._kept, None
        if connection is not None:
            connection.close()


def commit(connection: sa.Connection) -> None:
    """Commit what was written since BEGIN."""
    run_by_driver(connection, "COMMIT", ())
