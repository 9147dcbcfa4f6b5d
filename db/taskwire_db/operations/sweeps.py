"""The keeper's sweeps: what time does to tasks, in chunks, each change a compare-and-set.

A sweep decides on what it reads in its own transaction, and its UPDATE repeats the condition:
a task that was renewed or settled in between is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.failure import Failure
from taskwire_core.lifecycle import Event, State, sources
from taskwire_core.recovery import Settlement, lost, overran, waited_too_long
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import GroupStatement, RowInsert
from taskwire_db.group_update import GroupUpdate
from taskwire_db.models import (
    Id,
    Micros,
    gateways,
    is_state,
    task_outcomes,
    tasks,
    workers,
)
from taskwire_db.operations.events import Moved, record
from taskwire_db.operations.settle import (
    ANSWER,
    COLUMNS,
    apply_settlements,
    settlement_update,
)
from taskwire_db.rows import TASK_COLUMNS, WIDTH, read_tasks


@dataclass(frozen=True, slots=True)
class Sweep:
    """Look at up to `limit` tasks; `worker_id` narrows a sweep of lost attempts to one worker.

    An attempt has overrun when its run deadline passed `grace_us` ago.
    """

    limit: int = 500
    worker_id: bytes | None = None
    grace_us: int = 5_000_000


_now = sa.bindparam("now", type_=Micros)
_lease_now = sa.bindparam("lease_now", type_=Micros)
_boot = sa.bindparam("boot", type_=sa.Text())
_overdue = sa.bindparam("overdue", type_=Micros)
_limit = sa.bindparam("limit", type_=sa.Integer())
_one: sa.ColumnClause[int] = sa.literal_column("1")
_held = is_state(tasks.c.state, State.RUNNING, State.CANCELLING)

Decide = Callable[[Task], Settlement]


def _alive() -> sa.Exists:
    return (
        sa.select(_one)
        .where(workers.c.id == tasks.c.worker_id)
        .where(workers.c.boot == _boot, workers.c.lease_expires > _lease_now)
        .exists()
    )


_due_condition = is_state(tasks.c.state, *sources(Event.DUE))
_DUE = sa.select(tasks.c.id, tasks.c.state).where(_due_condition, tasks.c.not_before <= _now)
_DUE = _DUE.order_by(tasks.c.not_before).limit(_limit).with_for_update(skip_locked=True)

_make_due = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.update(tasks)
        .values(
            state=sa.literal_column(str(int(State.QUEUED))),
            version=tasks.c.version + _one,
            dispatch=tasks.c.dispatch + _one,
            update_time=_now,
            dispatched_at=sa.null(),
            gateway_id=sa.null(),
        )
        .where(tasks.c.id == v.c.id, _due_condition, tasks.c.not_before <= _now)
        .returning(*TASK_COLUMNS)
    ),
)


def sweep_due(tx: Transaction, sweeps: Sequence[Sweep]) -> list[list[Task]]:
    """The scheduled and retrying tasks whose time has come, now QUEUED."""
    return [_sweep_due(tx, sweep) for sweep in sweeps]


def _sweep_due(tx: Transaction, sweep: Sweep) -> list[Task]:
    rows = tx.connection.execute(_DUE, {"now": tx.now_us, "limit": sweep.limit}).all()
    if not rows:
        return []
    before = {bytes(row[0]): State(row[1]) for row in rows}
    moved = _make_due.run(tx.connection, [(task_id,) for task_id in before], now=tx.now_us)
    found = read_tasks(tx.database, tx.connection, moved)
    record(tx, [Moved(task, before[task.id], Event.DUE) for task in found])
    return found


_LOST = (
    sa.select(*TASK_COLUMNS, _alive().label("alive"))
    .where(_held, ~_alive() | (tasks.c.run_expires < _overdue))
    .limit(_limit)
    .with_for_update(skip_locked=True, of=tasks)
)
_LOST_BY_WORKER = _LOST.where(tasks.c.worker_id == sa.bindparam("worker_id", type_=Id))

_end_lost = GroupUpdate(
    COLUMNS,
    lambda v: settlement_update(v).where(~_alive() | (tasks.c.run_expires < _overdue)),
    ANSWER,
)


def sweep_lost(tx: Transaction, sweeps: Sequence[Sweep]) -> list[list[Task]]:
    """The attempts whose worker is gone or whose run deadline has passed, settled."""
    return [_sweep_lost(tx, sweep) for sweep in sweeps]


def _sweep_lost(tx: Transaction, sweep: Sweep) -> list[Task]:
    guard: dict[str, Any] = {
        "boot": tx.boot,
        "lease_now": tx.lease_us,
        "overdue": tx.lease_us - sweep.grace_us,
    }
    statement, arguments = _LOST, {**guard, "limit": sweep.limit}
    if sweep.worker_id is not None:
        statement = _LOST_BY_WORKER
        arguments["worker_id"] = sweep.worker_id
    rows = tx.connection.execute(statement, arguments).all()
    settlements = [
        overran(task, now_us=tx.now_us) if row[WIDTH] else lost(task, now_us=tx.now_us, alone=False)
        for task, row in zip(read_tasks(tx.database, tx.connection, rows), rows, strict=True)
    ]
    if not settlements:
        _forget_workers(tx)
        return []
    ended = apply_settlements(tx, settlements, _end_lost, **guard)
    return [task for task in ended if task is not None]


def _forget_workers(tx: Transaction) -> None:
    """Drop the rows of dead workers that hold nothing any more."""
    holds = sa.select(_one).where(_held, tasks.c.worker_id == workers.c.id).exists()
    tx.connection.execute(
        sa.delete(workers)
        .where((workers.c.boot != tx.boot) | (workers.c.lease_expires <= tx.lease_us))
        .where(~holds)
    )


_waiting = is_state(tasks.c.state, *sources(Event.DEADLINE))
_never_began = tasks.c.start_time.is_(None)
_LATE_START = (
    sa.select(*TASK_COLUMNS)
    .where(_waiting, tasks.c.start_deadline.is_not(None))
    .where(tasks.c.start_deadline <= _now, _never_began)
    .limit(_limit)
    .with_for_update(skip_locked=True)
)
_LATE_END = (
    sa.select(*TASK_COLUMNS)
    .where(_waiting, tasks.c.total_deadline.is_not(None), tasks.c.total_deadline <= _now)
    .limit(_limit)
    .with_for_update(skip_locked=True)
)

_give_up = GroupStatement(
    {"id": Id, "version": sa.Integer(), "state": sa.SmallInteger()},
    lambda v: (
        sa.update(tasks)
        .values(
            state=v.c.state,
            version=tasks.c.version + _one,
            update_time=_now,
            end_time=_now,
            delete_time=_now + tasks.c.result_ttl,
        )
        .where(tasks.c.id == v.c.id, tasks.c.version == v.c.version, _waiting)
        .returning(*TASK_COLUMNS)
    ),
)

_insert_outcomes = RowInsert(task_outcomes)


def sweep_deadlines(tx: Transaction, sweeps: Sequence[Sweep]) -> list[list[Task]]:
    """The waiting tasks whose start or total time-out has passed, ended."""
    return [
        [
            task
            for statement in (_LATE_START, _LATE_END)
            for task in _end_waiting(tx, statement, sweep)
        ]
        for sweep in sweeps
    ]


def _end_waiting(
    tx: Transaction, statement: sa.Select[*tuple[Any, ...]], sweep: Sweep
) -> list[Task]:
    rows = tx.connection.execute(statement, {"now": tx.now_us, "limit": sweep.limit}).all()
    late = {task.id: task for task in read_tasks(tx.database, tx.connection, rows)}
    if not late:
        return []
    ends: dict[bytes, tuple[State, Failure | None]] = {
        task.id: waited_too_long(task, now_us=tx.now_us) for task in late.values()
    }
    moved = _give_up.run(
        tx.connection,
        [(t.id, t.version, int(ends[t.id][0])) for t in late.values()],
        now=tx.now_us,
    )
    found = [
        replace(task, failure=ends[task.id][1])
        for task in read_tasks(tx.database, tx.connection, moved)
    ]
    _insert_outcomes.run(
        tx.connection,
        [(t.id, None, None, codec.encode_failure(t.failure)) for t in found if t.failure],
    )
    record(tx, [Moved(t, late[t.id].state, Event.DEADLINE, failure=t.failure) for t in found])
    return found


@dataclass(frozen=True, slots=True)
class Stranded:
    """Rows of `queue` that the broker confirmed before `before_us` and does not have any more."""

    queue: str
    before_us: int


def sweep_stranded(tx: Transaction, sweeps: Sequence[Stranded]) -> list[int]:
    """How many rows of each queue were given back to the dispatcher."""
    counts = []
    for sweep in sweeps:
        result = tx.connection.execute(
            sa.update(tasks)
            .values(dispatched_at=None, gateway_id=None, dispatch=tasks.c.dispatch + _one)
            .where(is_state(tasks.c.state, State.QUEUED), tasks.c.queue == sweep.queue)
            .where(
                tasks.c.dispatched_at.is_not(None),
                tasks.c.dispatched_at < sweep.before_us,
            )
        )
        counts.append(result.rowcount)
    return counts


def sweep_orphans(tx: Transaction, sweeps: Sequence[None]) -> list[None]:
    """At the boot of the embedded process: nobody else lives, and its broker is empty.

    Every worker and gateway row is dropped and every dispatch mark cleared; the next
    `sweep_lost` then recovers what was running.
    """
    tx.connection.execute(sa.delete(workers))
    tx.connection.execute(sa.delete(gateways))
    tx.connection.execute(
        sa.update(tasks)
        .values(dispatched_at=None, gateway_id=None)
        .where(is_state(tasks.c.state, State.QUEUED))
        .where(tasks.c.dispatched_at.is_not(None) | tasks.c.gateway_id.is_not(None))
    )
    return [None] * len(sweeps)
