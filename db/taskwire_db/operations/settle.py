"""Settle: attempts end, in one statement for the group, and the losers are told.

The fence is the attempt's number: a settlement of an old attempt matches no row. What a
CANCELLING task becomes is the table's business, not the settler's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from taskwire_core.lifecycle import Event, State, targets
from taskwire_core.recovery import Settlement
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import Columns, RowInsert
from taskwire_db.group_update import GroupUpdate
from taskwire_db.models import Id, Micros, is_state, task_outcomes, tasks
from taskwire_db.operations.events import Moved, record
from taskwire_db.rows import TASK_COLUMNS, WIDTH, read_tasks

_now = sa.bindparam("now", type_=Micros)
_one: sa.ColumnClause[int] = sa.literal_column("1")
_first_terminal: sa.ColumnClause[int] = sa.literal_column(str(int(State.SUCCEEDED)))

COLUMNS: Columns = {
    "id": Id,
    "attempt": sa.Integer(),
    "if_running": sa.SmallInteger(),
    "if_cancelling": sa.SmallInteger(),
    "not_before": Micros,
    "handed_back": sa.Integer(),
    "crashes": sa.SmallInteger(),
    "solo": sa.SmallInteger(),
    "never_began": sa.SmallInteger(),
}


def settlement_update(v: sa.CTE) -> sa.Update:
    """The compare-and-set that ends the attempts in `v`; sweeps add a guard of their own."""
    running = tasks.c.state == sa.literal_column(str(int(State.RUNNING)))
    state = sa.case((running, v.c.if_running), else_=v.c.if_cancelling)
    ended = state >= _first_terminal
    return (
        sa.update(tasks)
        .values(
            state=state,
            version=tasks.c.version + _one,
            update_time=_now,
            not_before=sa.func.coalesce(v.c.not_before, tasks.c.not_before),
            handed_back=tasks.c.handed_back + v.c.handed_back,
            crashes=v.c.crashes,
            solo=v.c.solo,
            start_time=sa.case((v.c.never_began == _one, sa.null()), else_=tasks.c.start_time),
            end_time=sa.case((ended, _now)),
            delete_time=sa.case((ended, _now + tasks.c.result_ttl)),
            worker_id=sa.case((ended, tasks.c.worker_id)),
            run_deadline=sa.null(),
            run_expires=sa.null(),
            dispatch=tasks.c.dispatch + v.c.handed_back,
            dispatched_at=sa.null(),
            gateway_id=sa.null(),
        )
        .where(tasks.c.id == v.c.id)
        .where(tasks.c.attempt == v.c.attempt)
        .where(is_state(tasks.c.state, State.RUNNING, State.CANCELLING))
    )


ANSWER = (*TASK_COLUMNS, tasks.c.cancel_requested)
"""What `apply_settlements` needs to know of each settled task."""

_settle = GroupUpdate(COLUMNS, settlement_update, ANSWER)
_insert_outcomes = RowInsert(task_outcomes)


def settle(tx: Transaction, settlements: Sequence[Settlement]) -> list[Task | None]:
    """Each settled task as it is now, with its outcome; None where another attempt owns it."""
    return apply_settlements(tx, settlements, _settle)


def apply_settlements(
    tx: Transaction,
    settlements: Sequence[Settlement],
    statement: GroupUpdate,
    **parameters: object,
) -> list[Task | None]:
    """Run `statement` for `settlements` and record what it moved."""
    # A stale settlement and the real one may share a group: each attempt stands for itself.
    unique = {(s.task_id, s.attempt): s for s in reversed(settlements)}
    rows = statement.run(
        tx.connection, [_values(unique[key]) for key in sorted(unique)], now=tx.now_us, **parameters
    )
    found = read_tasks(
        tx.database,
        tx.connection,
        rows,
        lambda row: _outcome_of(unique[bytes(row[0]), row[5]], row[3]),
    )
    settled = {(task.id, task.attempt): task for task in found}
    _insert_outcomes.run(tx.connection, [_outcome(task) for task in found if _has_outcome(task)])
    record(
        tx,
        [
            _move(task, unique[task.id, task.attempt], was_cancelling=bool(row[WIDTH]))
            for task, row in zip(found, rows, strict=True)
        ],
    )
    return [
        settled.get((s.task_id, s.attempt)) if unique[s.task_id, s.attempt] is s else None
        for s in settlements
    ]


def _outcome_of(settlement: Settlement, state: int) -> Mapping[str, Any]:
    """The outcome as fields of a task that is in `state` now."""
    if state == State.SUCCEEDED:
        return {"result": settlement.result}
    if state == State.FAILED:
        return {"failure": settlement.failure}
    return {}


def _move(task: Task, settlement: Settlement, *, was_cancelling: bool) -> Moved:
    # RETURNING shows only the new row; but a cancel request is what makes a RUNNING task
    # CANCELLING, and nothing takes it back.
    source = State.CANCELLING if was_cancelling else State.RUNNING
    failure = None if task.state == State.CANCELLED else settlement.failure
    return Moved(task, source, settlement.event, message=settlement.message, failure=failure)


def _values(s: Settlement) -> tuple[object, ...]:
    if s.target not in targets(State.RUNNING, s.event):
        raise ValueError(f"the state table has no way from RUNNING by {s.event} to {s.target!r}")
    (if_cancelling,) = targets(State.CANCELLING, s.event)
    return (
        s.task_id,
        s.attempt,
        int(s.target),
        int(if_cancelling),
        s.not_before_us,
        int(s.event == Event.HANDED_BACK),
        s.crashes,
        int(s.solo),
        int(s.never_began),
    )


def _has_outcome(task: Task) -> bool:
    return task.result is not None or task.failure is not None


def _outcome(task: Task) -> tuple[object, ...]:
    result = task.result
    return (
        task.id,
        None if result is None else result.type_name,
        None if result is None else result.data,
        codec.encode_failure(task.failure),
    )
