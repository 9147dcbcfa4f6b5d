"""Cancel: a waiting task ends at once, a running one is asked to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_core.lifecycle import Event, State, sources
from taskwire_core.task import Task
from taskwire_db.database import Transaction
from taskwire_db.group import GroupStatement
from taskwire_db.models import Id, Micros, is_state, tasks
from taskwire_db.operations.events import Moved, record
from taskwire_db.operations.reading import tasks_by_id
from taskwire_db.rows import TASK_COLUMNS, read_tasks


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Cancel a task of `owner` (None: whosever it is); `actor` is who asks."""

    task_id: bytes
    owner: str | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class CancelResult:
    """The task as it is now; `effective` is False when it had already ended."""

    task: Task
    effective: bool


_now = sa.bindparam("now", type_=Micros)


def _literal(state: State) -> sa.ColumnClause[int]:
    return sa.literal_column(str(int(state)))


def _build(v: sa.CTE) -> sa.ClauseElement:
    running = tasks.c.state == _literal(State.RUNNING)
    return (
        sa.update(tasks)
        .values(
            state=sa.case((running, _literal(State.CANCELLING)), else_=_literal(State.CANCELLED)),
            version=tasks.c.version + sa.literal_column("1"),
            update_time=_now,
            end_time=sa.case((running, sa.null()), else_=_now),
            delete_time=sa.case((running, sa.null()), else_=_now + tasks.c.result_ttl),
            cancel_requested=sa.literal_column("1"),
            cancel_reason=v.c.reason,
        )
        .where(tasks.c.id == v.c.id)
        .where(v.c.owner.is_(None) | (tasks.c.owner == v.c.owner))
        .where(is_state(tasks.c.state, *sources(Event.CANCEL)))
        .returning(*TASK_COLUMNS)
    )


_cancel = GroupStatement({"id": Id, "owner": sa.Text(), "reason": sa.Text()}, _build)

_locked = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(tasks.c.id, tasks.c.state)
        .where(tasks.c.id.in_(sa.select(v.c.id)))
        .order_by(tasks.c.id)
        .with_for_update()
    ),
)


def cancel(tx: Transaction, requests: Sequence[CancelRequest]) -> list[CancelResult | None]:
    """What became of each task; None where there is no such task of that owner."""
    ids = sorted({request.task_id for request in requests})
    before = {
        bytes(row[0]): State(row[1]) for row in _locked.run(tx.connection, [(i,) for i in ids])
    }
    rows = _cancel.run(
        tx.connection, [(r.task_id, r.owner, r.reason) for r in requests], now=tx.now_us
    )
    moved = {task.id: task for task in read_tasks(tx.database, tx.connection, rows)}
    actors = {r.task_id: r.actor for r in requests if _may(r, moved.get(r.task_id))}
    record(
        tx,
        [
            Moved(
                t,
                before[t.id],
                Event.CANCEL,
                actor=actors[t.id],
                message=t.cancel_reason,
            )
            for t in moved.values()
        ],
    )
    rest = [task_id for task_id in ids if task_id not in moved]
    unmoved = tasks_by_id(tx.database, tx.connection, rest)
    # A second cancel of a running task changes nothing, but rings its worker again.
    tx.changed.extend(t for t in unmoved.values() if t.state == State.CANCELLING)
    return [_result(request, moved, unmoved) for request in requests]


def _may(request: CancelRequest, task: Task | None) -> bool:
    return task is not None and request.owner in (None, task.owner)


def _result(
    request: CancelRequest, moved: dict[bytes, Task], unmoved: dict[bytes, Task]
) -> CancelResult | None:
    task = moved.get(request.task_id) or unmoved.get(request.task_id)
    if task is None or not _may(request, task):
        return None
    return CancelResult(task, effective=task.id in moved or not task.state.terminal)
