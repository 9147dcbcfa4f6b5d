"""On SQLite the tables that hold payloads are ordinary ones, with rowids.

In a table without them the whole row is part of the key's tree: whoever looks for a task's input
reads that of every task that it is compared with, megabytes on the way to one row.

Revision: 0011
Follows: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _copy_all(rowids=True)


def downgrade() -> None:
    _copy_all(rowids=False)


def _copy_all(*, rowids: bool) -> None:
    """Make the three tables anew, with what they hold."""
    if op.get_bind().dialect.name != "sqlite":
        return
    # Somebody's view of a table stays one of that name, and does not follow the old table.
    op.execute("PRAGMA legacy_alter_table=ON")
    for name, columns in _tables().items():
        op.rename_table(name, f"{name}_before")
        op.create_table(name, *columns, sqlite_with_rowid=rowids)
        # In the order of ids, which is that of time: what is asked for together lies together.
        op.execute(f"INSERT INTO {name} SELECT * FROM {name}_before ORDER BY task_id")  # noqa: S608
        # Emptied first: to drop a table with rows SQLite keeps all of it in memory for a while.
        op.execute(f"DELETE FROM {name}_before")  # noqa: S608
        op.drop_table(f"{name}_before")
    op.execute("PRAGMA legacy_alter_table=OFF")


def _tables() -> dict[str, list[sa.schema.SchemaItem]]:
    return {
        "task_inputs": [
            sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
            sa.Column("type_name", sa.Text(), nullable=False),
            sa.Column("data", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("task_id"),
        ],
        "task_outcomes": [
            sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
            sa.Column("type_name", sa.Text(), nullable=True),
            sa.Column("data", sa.LargeBinary(), nullable=True),
            sa.Column("failure", sa.Text(), nullable=True),
            sa.PrimaryKeyConstraint("task_id"),
        ],
        "task_follow_ups": [
            sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
            sa.Column("position", sa.SmallInteger(), autoincrement=False, nullable=False),
            sa.Column("condition", sa.SmallInteger(), nullable=False),
            sa.Column("type", sa.Text(), nullable=False),
            sa.Column("body", sa.LargeBinary(), nullable=False),
            sa.Column("made_id", sa.LargeBinary(length=16), nullable=True),
            sa.PrimaryKeyConstraint("task_id", "position"),
        ],
    }
