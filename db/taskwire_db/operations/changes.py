"""The change log: which tasks changed, in the order in which that became visible.

Every transaction that moves or deletes tasks writes one row for each, under its own number. On
SQLite numbers are counted under the write lock, so that their order is that of the commits. On
PostgreSQL, whose writers work side by side, the number is the transaction's own id, and a
snapshot tells which of them are visible. So a reader misses no change and sees none twice,
whatever the clocks say and however long a transaction takes; times would do neither.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from taskwire_db.database import Transaction
from taskwire_db.group import Prepared, RowInsert
from taskwire_db.models import deployment, task_changes

# A task that changes twice in one transaction is seen once, in its last state.
_insert = RowInsert(task_changes, conflict=lambda insert: insert.on_conflict_do_nothing())

_count = Prepared(
    sa.update(deployment)
    .values(change_number=deployment.c.change_number + sa.literal_column("1"))
    .returning(deployment.c.change_number)
)
_own_id = Prepared(sa.text(r"SELECT pg_current_xact_id()\:\:text\:\:bigint"))


def log_changes(
    tx: Transaction, changed: Iterable[tuple[bytes, str]], *, deleted: bool = False
) -> None:
    """Log that these tasks, each with its owner, have changed or were deleted."""
    rows = [(task_id, owner) for task_id, owner in changed]
    if rows:
        number = _number(tx)
        _insert.run(
            tx.connection,
            [(number, task_id, owner, int(deleted), tx.now_us) for task_id, owner in rows],
        )


def _number(tx: Transaction) -> int:
    if tx.change_number is None:
        statement = _count if tx.database.is_sqlite else _own_id
        tx.change_number = int(statement.scalar(tx.connection))
    return tx.change_number
