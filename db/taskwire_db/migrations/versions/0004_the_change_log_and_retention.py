"""The change log, and what retention needs: an index on delete_time, and when options were used.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ENDED = sa.text("delete_time IS NOT NULL")
_DELETION = sa.text("deleted = 1")


def upgrade() -> None:
    op.create_table(
        "task_changes",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("deleted", sa.SmallInteger(), nullable=False),
        sa.Column("change_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", "task_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_task_changes_deleted",
        "task_changes",
        ["task_id"],
        sqlite_where=_DELETION,
        postgresql_where=_DELETION,
    )
    op.create_index(
        "ix_tasks_delete_time",
        "tasks",
        ["delete_time"],
        sqlite_where=_ENDED,
        postgresql_where=_ENDED,
    )
    op.add_column("deployment", _count("change_number"))
    op.add_column("deployment", _count("pruned_number"))
    op.add_column("option_sets", _count("used_time"))


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def downgrade() -> None:
    op.drop_column("option_sets", "used_time")
    op.drop_column("deployment", "pruned_number")
    op.drop_column("deployment", "change_number")
    op.drop_index("ix_tasks_delete_time", "tasks")
    op.drop_table("task_changes")
