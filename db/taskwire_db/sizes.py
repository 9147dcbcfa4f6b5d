"""Reading the store's sizes: cheap enough for every scrape of a monitoring system."""

from __future__ import annotations

import os
from contextlib import suppress

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_core.sizes import StoreSizes
from taskwire_db.database import Database
from taskwire_db.models import task_counters, tasks

_counts = sa.select(task_counters.c.state, sa.func.sum(task_counters.c.count)).group_by(
    task_counters.c.state
)
_oldest = sa.select(sa.func.min(tasks.c.delete_time)).where(tasks.c.delete_time.is_not(None))
_database_bytes = sa.text("SELECT pg_database_size(current_database())")


def read_sizes(database: Database, connection: sa.Connection, *, now_us: int) -> StoreSizes:
    """The sizes as `connection` sees them; what is overdue is so at `now_us`."""
    counts = {State(row[0]): int(row[1]) for row in connection.execute(_counts)}
    oldest_us = connection.execute(_oldest).scalar_one()
    return StoreSizes(
        database_bytes=_bytes_of(database, connection),
        tasks={state: counts.get(state, 0) for state in State},
        overdue_since_us=oldest_us if oldest_us is not None and oldest_us <= now_us else None,
    )


def _bytes_of(database: Database, connection: sa.Connection) -> int:
    if not database.is_sqlite:
        return int(connection.execute(_database_bytes).scalar_one())
    total = 0
    for suffix in ("", "-wal"):
        with suppress(OSError):  # The log is gone when nobody writes.
            total += os.stat(f"{database.url.database}{suffix}").st_size
    return total
