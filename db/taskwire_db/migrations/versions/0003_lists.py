"""Lists: the key of page tokens, and the two indexes that hold every task.

Revision: 0003
Follows: 0001
"""

from __future__ import annotations

import secrets
import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    keys = op.create_table(
        "signing_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    row = {"name": "page_tokens", "key": secrets.token_bytes(32), "create_time": _now_us()}
    op.bulk_insert(keys, [row])
    op.create_index("ix_tasks_cohort", "tasks", ["owner", "type", "queue", "state", "id"])
    op.create_index("ix_tasks_updated", "tasks", ["owner", "update_time", "id"])


def downgrade() -> None:
    op.drop_index("ix_tasks_updated", "tasks")
    op.drop_index("ix_tasks_cohort", "tasks")
    op.drop_table("signing_keys")


def _now_us() -> int:
    return time.time_ns() // 1000
