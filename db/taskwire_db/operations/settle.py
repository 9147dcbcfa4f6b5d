"""Settle: attempts end, in one statement for the group, and the losers are told.

The fence is the attempt's number: a settlement of an old attempt matches no row. What a
CANCELLING task becomes is the table's business, not the settler's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from taskwire_core.lifecycle import Event, State, targets
from taskwire_core.recovery import Settlement
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import AnyRow, Columns, GroupStatement, RowInsert
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
            end_time=sa.case((ended, _now)),
            delete_time=sa.case((ended, _now + tasks.c.result_ttl)),
            worker_id=sa.case((ended, tasks.c.worker_id)),
            run_deadline=sa.null(),
            dispatch=tasks.c.dispatch + v.c.handed_back,
            dispatched_at=sa.null(),
            gateway_id=sa.null(),
        )
        .where(tasks.c.id == v.c.id)
        .where(tasks.c.attempt == v.c.attempt)
        .where(is_state(tasks.c.state, State.RUNNING, State.CANCELLING))
        .returning(*TASK_COLUMNS, tasks.c.cancel_requested)
    )


_settle = GroupStatement(COLUMNS, settlement_update)
_insert_outcomes = RowInsert(task_outcomes)


def settle(tx: Transaction, settlements: Sequence[Settlement]) -> list[Task | None]:
    """Each settled task as it is now, with its outcome; None where another attempt owns it."""
    return apply_settlements(tx, settlements, _settle)


def apply_settlements(
    tx: Transaction,
    settlements: Sequence[Settlement],
    statement: GroupStatement,
    *,
    worker_of: Callable[[Settlement], bytes | None] = lambda _: None,
    **parameters: object,
) -> list[Task | None]:
    """Run `statement` for `settlements` and record what it moved."""
    unique = {s.task_id: s for s in reversed(settlements)}
    rows = statement.run(
        tx.connection,
        [_values(s) for s in unique.values()],
        now=tx.now_us,
        **parameters,
    )
    settled: dict[bytes, Task] = {}
    moves: list[Moved] = []
    for task, row in zip(read_tasks(tx.database, tx.connection, rows), rows, strict=True):
        settlement = unique[task.id]
        source = _source(settlement, task, row)
        task = _with_outcome(task, settlement)
        settled[task.id] = task
        failure = None if task.state == State.CANCELLED else settlement.failure
        moves.append(
            Moved(
                task,
                source,
                settlement.event,
                message=settlement.message,
                failure=failure,
            )
        )
    _insert_outcomes.run(tx.connection, [_outcome(t) for t in settled.values() if _has_outcome(t)])
    record(tx, moves)
    return [settled.pop(s.task_id, None) if unique[s.task_id] is s else None for s in settlements]


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
    )


def _source(settlement: Settlement, task: Task, row: AnyRow) -> State:
    """Where the task came from: RETURNING shows only the new row.

    A cancel request is what makes a RUNNING task CANCELLING, and nothing takes it back.
    """
    return State.CANCELLING if row[WIDTH] else State.RUNNING


def _with_outcome(task: Task, settlement: Settlement) -> Task:
    if task.state == State.SUCCEEDED:
        return dataclasses.replace(task, result=settlement.result)
    if task.state == State.FAILED:
        return dataclasses.replace(task, failure=settlement.failure)
    return task


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
