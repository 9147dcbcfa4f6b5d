"""Chains of tasks: who submitted a task, how many stand above it, and what follows its end.

Revision: 0007
Follows: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("parent", sa.LargeBinary(length=16), nullable=True))
    op.add_column(
        "tasks", sa.Column("generation", sa.SmallInteger(), server_default="0", nullable=False)
    )
    op.add_column(
        "tasks", sa.Column("follow_up_count", sa.SmallInteger(), server_default="0", nullable=False)
    )
    op.create_table(
        "task_follow_ups",
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("condition", sa.SmallInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("made_id", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("task_id", "position"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("task_follow_ups")
    op.drop_column("tasks", "follow_up_count")
    op.drop_column("tasks", "generation")
    op.drop_column("tasks", "parent")
