"""Connections that reader threads keep, so that reading one task costs one statement."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import sqlalchemy as sa


class Glances:
    """A connection for each thread, opened when it first reads. Only for SQLite, and for threads
    that stay: the connection of one that ends is kept until `close`.

    There a SELECT outside of a transaction sees one state, and leaves nothing behind that the
    next one would have to begin or to end: no BEGIN, no COMMIT and no visit to the pool, of
    which each hands the interpreter to whoever else wants it.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._own = threading.local()
        self._lock = threading.Lock()
        self._opened: set[sa.Connection] = set()

    @contextlib.contextmanager
    def one(self) -> Iterator[sa.Connection]:
        """This thread's connection, for one statement that the driver itself runs.

        SQLAlchemy would begin a transaction for a statement of its own, and nobody would end it.
        """
        connection: sa.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._engine.connect()
            with self._lock:
                self._opened.add(connection)
        try:
            yield connection
        except BaseException:
            # Whatever has become of it, the next read has another.
            self._own.connection = None
            with self._lock:
                self._opened.discard(connection)
            connection.invalidate()
            connection.close()
            raise

    def close(self) -> None:
        """Close them all; no thread may read any more."""
        with self._lock:
            opened, self._opened = self._opened, set()
        for connection in opened:
            connection.close()
        self._own = threading.local()
