"""The change log has one row for a transaction, and deletions have a table of their own.

What the log held is not carried over: the numbers go on, and a watch that had not read all of
it begins again. So it is on the way back.

Revision: 0010
Follows: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_DELETION = sa.text("deleted = 1")
_NOTHING = b"\x90"
"""A row that names no task: an empty list, as MessagePack writes it."""


def upgrade() -> None:
    last = _last("SELECT change_number FROM deployment")
    op.create_table(
        "task_deletions",
        sa.Column("task_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("delete_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_task_deletions_delete_time", "task_deletions", ["delete_time"])
    op.execute(
        "INSERT INTO task_deletions (task_id, owner, delete_time)"
        " SELECT task_id, owner, change_time FROM task_changes WHERE deleted = 1"
    )
    op.drop_table("task_changes")
    log = op.create_table(
        "task_changes",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("change_time", sa.BigInteger(), nullable=False),
        sa.Column("tasks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.execute(_pruned(last))
    op.drop_column("deployment", "change_number")
    if last:
        # SQLite counts on from here.
        op.bulk_insert(log, [{"number": last, "change_time": 0, "tasks": _NOTHING}])


def downgrade() -> None:
    last = _last()
    op.drop_table("task_changes")
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
    op.execute(
        sa.text(
            "INSERT INTO task_changes (number, task_id, owner, deleted, change_time)"
            " SELECT :last, task_id, owner, 1, delete_time FROM task_deletions"
        ).bindparams(sa.bindparam("last", last, type_=sa.BigInteger()))
    )
    op.drop_table("task_deletions")
    op.add_column(
        "deployment",
        sa.Column("change_number", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.execute(_pruned(last))
    op.execute("UPDATE deployment SET change_number = pruned_number")


def _last(*counted: str) -> int:
    """The greatest number that the log has given away."""
    numbers = [
        "SELECT max(number) FROM task_changes",
        "SELECT pruned_number FROM deployment",
        *counted,
    ]
    found = [op.get_bind().execute(sa.text(each)).scalar() for each in numbers]
    return max(number or 0 for number in found)


def _pruned(last: int) -> sa.Update:
    deployment = sa.table("deployment", sa.column("pruned_number", sa.BigInteger()))
    return deployment.update().values(pruned_number=last)
