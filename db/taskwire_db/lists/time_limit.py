"""A limit on how long one statement may look at rows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.listing import TooManyToCount
from taskwire_db.database import Database

_STEPS = 20_000
"""SQLite asks after so many steps of its machine, about a millisecond, whether to go on."""

_CANCELLED = "57014"
"""PostgreSQL's code for a statement that met its time-out."""


@contextlib.contextmanager
def time_limit(database: Database, connection: sa.Connection, limit_s: float) -> Iterator[None]:
    """End the block's statement when it has taken `limit_s`.

    Raises:
        TooManyToCount: it had.
    """
    bound = _on_sqlite if database.is_sqlite else _on_postgresql
    try:
        with bound(connection, limit_s):
            yield
    except exc.OperationalError as error:
        if _was_ended(error):
            raise TooManyToCount from error
        raise


@contextlib.contextmanager
def _on_sqlite(connection: sa.Connection, limit_s: float) -> Iterator[None]:
    deadline = time.monotonic() + limit_s
    raw = connection.connection.dbapi_connection
    assert raw is not None
    raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


@contextlib.contextmanager
def _on_postgresql(connection: sa.Connection, limit_s: float) -> Iterator[None]:
    # For the transaction: it ends with the block, or with the error.
    limit = sa.select(
        sa.func.set_config("statement_timeout", f"{max(1, round(limit_s * 1000))}ms", True)
    )
    connection.execute(limit)
    yield


def _was_ended(error: exc.OperationalError) -> bool:
    original = error.orig
    return getattr(original, "sqlstate", None) == _CANCELLED or str(original) == "interrupted"
