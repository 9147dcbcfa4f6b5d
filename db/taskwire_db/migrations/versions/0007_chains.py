"""Chains of tasks: who submitted a task, and how many stand above it.

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


def downgrade() -> None:
    op.drop_column("tasks", "generation")
    op.drop_column("tasks", "parent")
