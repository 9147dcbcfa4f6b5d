"""Paused queues, and how fast queues move.

Revision: 0005
Follows: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queue_pauses",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("pause_time", sa.BigInteger(), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("queue"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "queue_activity",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("submitted", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("succeeded", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "bucket", "shard"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_tasks_oldest",
        "tasks",
        ["queue", "not_before"],
        sqlite_where=sa.text("state = 2"),
        postgresql_where=sa.text("state = 2"),
    )


def downgrade() -> None:
    op.drop_index("ix_tasks_oldest", "tasks")
    op.drop_table("queue_activity")
    op.drop_table("queue_pauses")
