"""The tables behind what operators do: paused queues, how fast queues move, bulk operations.

The rules of `models.py` hold here too.
"""

from __future__ import annotations

import sqlalchemy as sa

from taskwire_db.models import Id, Micros, metadata

__all__ = ["bulk_operations", "metadata", "queue_activity", "queue_pauses"]

queue_pauses = sa.Table(
    "queue_pauses",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("pause_time", Micros, nullable=False),
    sa.Column("paused_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

queue_activity = sa.Table(
    "queue_activity",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    # A number of ten seconds since 1970.
    sa.Column("bucket", sa.BigInteger, primary_key=True, autoincrement=False),
    # As in task_counters.
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("submitted", sa.BigInteger, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("succeeded", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

bulk_operations = sa.Table(
    "bulk_operations",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("filter", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    # Means nothing any more: its tasks are those that there were, or had ended, by create_time.
    sa.Column("last_id", Id, nullable=False),
    # Every task up to here has had its turn.
    sa.Column("cursor", Id, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    # The first failures, as JSON.
    sa.Column("failures", sa.Text, nullable=False),
    sa.Column("create_time", Micros, nullable=False),
    sa.Column("update_time", Micros, nullable=False),
    sa.Column("end_time", Micros),
    sa.Column("cancelled", sa.SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

_named = bulk_operations.c.request_id.is_not(None)
_running = bulk_operations.c.end_time.is_(None)

sa.Index(
    "ix_bulk_operations_request",
    bulk_operations.c.owner,
    bulk_operations.c.request_id,
    unique=True,
    sqlite_where=_named,
    postgresql_where=_named,
)
sa.Index(
    "ix_bulk_operations_running",
    bulk_operations.c.id,
    sqlite_where=_running,
    postgresql_where=_running,
)
sa.Index("ix_bulk_operations_owner", bulk_operations.c.owner, bulk_operations.c.id)
