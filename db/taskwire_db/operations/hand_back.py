"""Hand back: what a worker still holds once its process is known to be gone, after a drain."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_core.recovery import Settlement, handed_back, lost
from taskwire_core.task import Task
from taskwire_db.database import Transaction
from taskwire_db.models import Id, is_state, tasks
from taskwire_db.operations.settle import settle
from taskwire_db.rows import TASK_COLUMNS, read_tasks

_HELD_BY = sa.select(*TASK_COLUMNS).where(
    is_state(tasks.c.state, State.RUNNING, State.CANCELLING),
    tasks.c.worker_id == sa.bindparam("worker", type_=Id),
)


def hand_back(tx: Transaction, worker_ids: Sequence[bytes]) -> list[list[Task]]:
    """What each worker still held, given back: QUEUED again, or CANCELLED if that was asked for.

    A task that must not begin twice is not given back: its worker is lost to it.
    """
    return [_hand_back(tx, worker_id) for worker_id in worker_ids]


def _hand_back(tx: Transaction, worker_id: bytes) -> list[Task]:
    rows = tx.connection.execute(_HELD_BY, {"worker": worker_id}).all()
    held = read_tasks(tx.database, tx.connection, rows)
    settled = settle(tx, [_settlement(task, tx.now_us) for task in held])
    return [task for task in settled if task is not None]


def _settlement(task: Task, now_us: int) -> Settlement:
    if task.options.at_most_once:
        return lost(task, now_us=now_us, alone=False)
    return handed_back(task, "the worker was stopped")
