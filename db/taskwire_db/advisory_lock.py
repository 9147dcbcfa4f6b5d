"""A lock of PostgreSQL's that one process of all hosts holds, as long as its connection lives."""

from __future__ import annotations

import contextlib
import hashlib
import threading

import sqlalchemy as sa

from taskwire_db.database import Database
from taskwire_db.problems import translated


class AdvisoryLock:
    """The lock called `name`, on a connection of its own.

    The server ends a connection over which nothing was said for `silence_s`: a holder that is
    frozen, or whose host has vanished, loses the lock like one that was killed. So call `hold`
    more often than that, also to go on holding it.
    """

    def __init__(self, database: Database, name: str, *, silence_s: float) -> None:
        self._database = database
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        self._silence_ms = round(silence_s * 1000)
        self._connection: sa.Connection | None = None
        self._held = False
        self._using = threading.Lock()

    def hold(self) -> bool:
        """Whether this process holds the lock now; it takes it when it is free.

        Raises:
            StoreUnavailable: the database does not answer; the lock is held no more.
        """
        with self._using, translated():
            try:
                return self._hold()
            except BaseException:
                self._close()
                raise

    def release(self) -> None:
        """Let another process have it, at once."""
        with self._using:
            if self._connection is not None and self._held:
                # The end of the connection would do that too, when the server notices it.
                with contextlib.suppress(sa.exc.DBAPIError):
                    self._connection.execute(sa.select(sa.func.pg_advisory_unlock(self._key)))
            self._close()

    def _hold(self) -> bool:
        connection = self._connection or self._open()
        if self._held:
            # A connection that answers is still the one that took it.
            connection.execute(sa.select(sa.literal_column("1")))
        else:
            self._held = connection.execute(
                sa.select(sa.func.pg_try_advisory_lock(self._key))
            ).scalar_one()
        return self._held

    def _open(self) -> sa.Connection:
        connection = self._database.engine.connect()
        self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        # It is never given back to the pool.
        connection.detach()
        connection.execute(sa.text(f"SET idle_session_timeout = {self._silence_ms}"))
        return connection

    def _close(self) -> None:
        connection, self._connection, self._held = self._connection, None, False
        if connection is not None:
            with contextlib.suppress(sa.exc.DBAPIError):
                connection.close()
