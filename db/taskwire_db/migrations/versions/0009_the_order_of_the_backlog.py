"""The backlog's index is in the order in which it is taken; a gateway's own rows have another.

Revision: 0009
Follows: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0006"
branch_labels = None
depends_on = None

_QUEUED = "state = 2 AND dispatched_at IS NULL"
_BACKLOG = sa.text(f"{_QUEUED} AND gateway_id IS NULL")
_OWNED = sa.text(f"{_QUEUED} AND gateway_id IS NOT NULL")
_BOTH = sa.text(_QUEUED)


def upgrade() -> None:
    op.create_index(
        "ix_tasks_backlog",
        "tasks",
        ["queue", sa.text("priority DESC"), "id"],
        sqlite_where=_BACKLOG,
        postgresql_where=_BACKLOG,
    )
    op.create_index(
        "ix_tasks_unpublished",
        "tasks",
        ["gateway_id"],
        sqlite_where=_OWNED,
        postgresql_where=_OWNED,
    )
    op.drop_index("ix_tasks_undispatched", "tasks")


def downgrade() -> None:
    op.create_index(
        "ix_tasks_undispatched",
        "tasks",
        ["gateway_id", "queue", "priority", "id"],
        sqlite_where=_BOTH,
        postgresql_where=_BOTH,
    )
    op.drop_index("ix_tasks_unpublished", "tasks")
    op.drop_index("ix_tasks_backlog", "tasks")
