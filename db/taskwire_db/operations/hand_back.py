"""Hand back: what a worker holds by the database and not by itself.

It still held it when its process ended, or the answer to its claim was lost on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import Event, State
from taskwire_core.recovery import Settlement, handed_back, lost
from taskwire_core.task import Task
from taskwire_db.database import Transaction
from taskwire_db.models import Id, Micros, is_state, task_events, tasks
from taskwire_db.operations.settle import settle
from taskwire_db.rows import TASK_COLUMNS, read_tasks

_HELD_BY = sa.select(*TASK_COLUMNS).where(
    is_state(tasks.c.state, State.RUNNING, State.CANCELLING),
    tasks.c.worker_id == sa.bindparam("worker", type_=Id),
)

_CLAIMED_SINCE = _HELD_BY.where(
    sa.select(sa.literal_column("1"))
    .where(
        task_events.c.task_id == tasks.c.id,
        task_events.c.attempt == tasks.c.attempt,
        task_events.c.event == Event.CLAIM.value,
        task_events.c.event_time >= sa.bindparam("since", type_=Micros),
    )
    .exists()
)


@dataclass(frozen=True, slots=True)
class Unheard:
    """A worker that has heard of none of its claims since `since_us`."""

    worker_id: bytes
    since_us: int


def hand_back_unheard(tx: Transaction, requests: Sequence[Unheard]) -> list[list[Task]]:
    """What each worker claimed since then, given back: nothing of it has begun."""
    return [_hand_back_unheard(tx, request) for request in requests]


def _hand_back_unheard(tx: Transaction, request: Unheard) -> list[Task]:
    since = {"worker": request.worker_id, "since": request.since_us}
    rows = tx.connection.execute(_CLAIMED_SINCE, since).all()
    held = read_tasks(tx.database, tx.connection, rows)
    why = "the answer to its claim was lost"
    settled = settle(tx, [handed_back(task, why, began=False) for task in held])
    return [task for task in settled if task is not None]


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
