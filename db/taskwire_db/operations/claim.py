"""Claim: queued tasks become a worker's, with their input, in one statement for the group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from taskwire_core.lifecycle import Event, State, sources
from taskwire_core.task import Payload, Task
from taskwire_db.database import Transaction
from taskwire_db.group import AnyRow
from taskwire_db.group_update import GroupUpdate
from taskwire_db.models import Id, Micros, is_state, task_inputs, tasks, workers
from taskwire_db.operations.events import Moved, record
from taskwire_db.operations.queues import queue_is_paused, set_aside
from taskwire_db.rows import TASK_COLUMNS, WIDTH, read_tasks


class ClaimRequest(Struct, frozen=True):
    """A worker that wants to run a task."""

    task_id: bytes
    worker_id: bytes


_now = sa.bindparam("now", type_=Micros)
_lease_now = sa.bindparam("lease_now", type_=Micros)
_SOURCES = sources(Event.CLAIM)


def _input(column: sa.Column[Any]) -> sa.Select[tuple[Any]]:
    return sa.select(column).where(task_inputs.c.task_id == tasks.c.id)


def _build(v: sa.CTE) -> sa.Update:
    alive = (
        sa.select(sa.literal_column("1"))
        .where(workers.c.id == v.c.worker_id)
        .where(workers.c.boot == sa.bindparam("boot", type_=sa.Text()))
        .where(workers.c.lease_expires > _lease_now)
        .exists()
    )
    run_deadline = sa.case(
        (tasks.c.total_deadline < _now + tasks.c.attempt_timeout, tasks.c.total_deadline),
        else_=_now + tasks.c.attempt_timeout,
    )
    return (
        sa.update(tasks)
        .values(
            state=sa.literal_column(str(int(State.RUNNING))),
            version=tasks.c.version + sa.literal_column("1"),
            attempt=tasks.c.attempt + sa.literal_column("1"),
            worker_id=v.c.worker_id,
            start_time=sa.func.coalesce(tasks.c.start_time, _now),
            update_time=_now,
            run_deadline=run_deadline,
            run_expires=_lease_now + (run_deadline - _now),
        )
        .where(tasks.c.id == v.c.id)
        .where(is_state(tasks.c.state, *_SOURCES))
        .where(
            tasks.c.start_time.is_not(None)
            | tasks.c.start_deadline.is_(None)
            | (tasks.c.start_deadline > _now)
        )
        .where(tasks.c.total_deadline.is_(None) | (tasks.c.total_deadline > _now))
        .where(alive, ~queue_is_paused())
    )


_claim = GroupUpdate(
    {"id": Id, "worker_id": Id},
    _build,
    (*TASK_COLUMNS, _input(task_inputs.c.type_name).scalar_subquery()),
    _input(task_inputs.c.data),
)


def claim(tx: Transaction, requests: Sequence[ClaimRequest]) -> list[Task | None]:
    """The tasks that are the workers' to run now, with their input; None where they are not.

    A task is claimed when it is QUEUED, within its time-outs, its queue is not paused, and its
    worker's lease is alive.
    The same task asked for twice in a group is given to the first.
    """
    first = {request.task_id: request.worker_id for request in reversed(requests)}
    rows = _claim.run(
        tx.connection,
        sorted(first.items()),
        now=tx.now_us,
        boot=tx.boot,
        lease_now=tx.lease_us,
    )
    found = read_tasks(tx.database, tx.connection, rows, _input_of)
    claimed = {task.id: task for task in found}
    record(
        tx,
        [
            Moved(task, State.QUEUED, Event.CLAIM, attempt_worker=task.worker_id)
            for task in claimed.values()
        ],
    )
    set_aside(tx, [r.task_id for r in requests if r.task_id not in claimed])
    return [claimed.pop(request.task_id, None) for request in requests]


def _input_of(row: AnyRow) -> Mapping[str, Any]:
    return {"input": Payload(row[WIDTH], bytes(row[WIDTH + 1]))}
