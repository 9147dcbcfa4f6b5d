"""The tables behind what operators do: paused queues, and how fast queues move.

The rules of `models.py` hold here too.
"""

from __future__ import annotations

import sqlalchemy as sa

from taskwire_db.models import Micros, metadata

__all__ = ["metadata", "queue_activity", "queue_pauses"]

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
