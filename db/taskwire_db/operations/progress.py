"""A running task's progress, kept for those who look later; it is no transition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_core.task import Progress
from taskwire_db.database import Transaction
from taskwire_db.group import Columns, GroupStatement, insert_for
from taskwire_db.models import is_state, task_progress, tasks


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """How far attempt `attempt` of a task is."""

    task_id: bytes
    attempt: int
    progress: Progress


_COLUMNS: Columns = {column.name: column.type for column in task_progress.columns}
_by_dialect: dict[str, GroupStatement] = {}


def _statement(dialect: sa.Dialect) -> GroupStatement:
    def build(v: sa.CTE) -> sa.ClauseElement:
        owned = (
            sa.select(*v.c)
            .join_from(v, tasks, (tasks.c.id == v.c.task_id) & (tasks.c.attempt == v.c.attempt))
            .where(is_state(tasks.c.state, State.RUNNING, State.CANCELLING))
        )
        insert: Any = insert_for(dialect, task_progress).from_select(list(_COLUMNS), owned)
        values = {name: insert.excluded[name] for name in _COLUMNS if name != "task_id"}
        # On PostgreSQL another attempt may begin, and say how far it is, at this very moment.
        newer = task_progress.c.attempt <= insert.excluded.attempt
        statement: sa.ClauseElement = insert.on_conflict_do_update(
            index_elements=["task_id"], set_=values, where=newer
        )
        return statement

    return GroupStatement(_COLUMNS, build)


def save_progress(tx: Transaction, rows: Sequence[ProgressRow]) -> list[None]:
    """Keep each progress, unless another attempt owns the task by now."""
    name = tx.connection.dialect.name
    if name not in _by_dialect:
        _by_dialect[name] = _statement(tx.connection.dialect)
    # One statement can write a row once: the last word of each attempt counts.
    last = {(row.task_id, row.attempt): row.progress for row in rows}
    _by_dialect[name].run(
        tx.connection,
        [
            (
                task_id,
                attempt,
                p.fraction,
                p.completed_units,
                p.total_units,
                p.message,
                p.update_time_us,
            )
            for (task_id, attempt), p in sorted(last.items(), key=lambda item: item[0])
        ],
    )
    return [None] * len(rows)
