"""Queues: pause and resume them, and forget how fast they once were.

A pause is a row, and a claim's statement looks for it. On SQLite writers come one after the
other. On PostgreSQL a claim keeps a lock on the table of pauses until it has committed, which
every claim may have at once and a pause may not: so a pause waits for the claims in progress,
and those that come later see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db.activity import KEPT_BUCKETS, bucket_of
from taskwire_db.database import Transaction
from taskwire_db.group import GroupStatement, insert_for
from taskwire_db.models import Id, is_state, tasks
from taskwire_db.operator_models import queue_activity, queue_pauses

_one: sa.ColumnClause[int] = sa.literal_column("1")


@dataclass(frozen=True, slots=True)
class PauseRequest:
    """Pause `queue`; `actor` is who asks."""

    queue: str
    actor: str
    reason: str


def pause_queue(tx: Transaction, requests: Sequence[PauseRequest]) -> list[bool]:
    """Whether each queue is paused by this request; False where it had been paused before."""
    if tx.connection.dialect.name == "postgresql":
        tx.connection.exec_driver_sql("LOCK TABLE queue_pauses IN EXCLUSIVE MODE")
    return [_pause(tx, request) for request in requests]


def _pause(tx: Transaction, request: PauseRequest) -> bool:
    statement = (
        insert_for(tx.connection.dialect, queue_pauses)
        .values(
            queue=request.queue,
            pause_time=tx.now_us,
            paused_by=request.actor,
            reason=request.reason,
        )
        .on_conflict_do_nothing()
        .returning(queue_pauses.c.queue)
    )
    return tx.connection.execute(statement).first() is not None


def resume_queue(tx: Transaction, queues: Sequence[str]) -> list[bool]:
    """Whether each queue was paused."""
    return [
        tx.connection.execute(sa.delete(queue_pauses).where(queue_pauses.c.queue == queue)).rowcount
        > 0
        for queue in queues
    ]


def queue_is_paused() -> sa.Exists:
    """A claim's condition on its task's queue; its lock is what a pause waits for."""
    return (
        sa.select(_one)
        .where(queue_pauses.c.queue == tasks.c.queue)
        .with_for_update(read=True, key_share=True)
        .exists()
    )


_set_aside = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.update(tasks)
        .values(dispatched_at=sa.null(), gateway_id=sa.null(), dispatch=tasks.c.dispatch + _one)
        .where(tasks.c.id == v.c.id, is_state(tasks.c.state, State.QUEUED))
        .where(tasks.c.queue.in_(sa.select(queue_pauses.c.queue)))
    ),
)


def set_aside(tx: Transaction, task_ids: Sequence[bytes]) -> None:
    """Leave to the backlog what could not be claimed because its queue is paused.

    Its message is gone with this claim, so that the end of the pause must send it again.
    """
    if task_ids:
        _set_aside.run(tx.connection, [(task_id,) for task_id in task_ids])


def forget_activity(tx: Transaction, items: Sequence[None]) -> list[int]:
    """How many rows were deleted that no rate is made of any more."""
    oldest = bucket_of(tx.now_us) - KEPT_BUCKETS
    result = tx.connection.execute(
        sa.delete(queue_activity).where(queue_activity.c.bucket < oldest)
    )
    return [result.rowcount] * len(items)
