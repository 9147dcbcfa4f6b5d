"""A running task's progress, kept for those who look later; it is no transition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_core.task import Progress
from taskwire_db.database import Transaction
from taskwire_db.group import insert_for
from taskwire_db.models import is_state, task_progress, tasks


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """How far attempt `attempt` of a task is."""

    task_id: bytes
    attempt: int
    progress: Progress


def save_progress(tx: Transaction, rows: Sequence[ProgressRow]) -> list[None]:
    """Keep each progress, unless another attempt owns the task by now."""
    for row in rows:
        owned = tx.connection.execute(
            sa.select(tasks.c.id)
            .where(tasks.c.id == row.task_id, tasks.c.attempt == row.attempt)
            .where(is_state(tasks.c.state, State.RUNNING, State.CANCELLING))
        ).first()
        if owned is not None:
            _save(tx, row)
    return [None] * len(rows)


def _save(tx: Transaction, row: ProgressRow) -> None:
    progress = row.progress
    values: dict[str, Any] = {
        "attempt": row.attempt,
        "fraction": progress.fraction,
        "completed_units": progress.completed_units,
        "total_units": progress.total_units,
        "message": progress.message,
        "update_time": progress.update_time_us,
    }
    insert = insert_for(tx.connection.dialect, task_progress).values(task_id=row.task_id, **values)
    tx.connection.execute(insert.on_conflict_do_update(index_elements=["task_id"], set_=values))
