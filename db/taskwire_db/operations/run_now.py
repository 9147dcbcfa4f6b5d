"""Run now: a task that waits for its time or for its next attempt is due at once."""

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
class RunNowRequest:
    """Make a task of `owner` due; `actor` is who asks."""

    task_id: bytes
    owner: str
    actor: str


@dataclass(frozen=True, slots=True)
class RunNowResult:
    """The task as it is now; `effective` is False when it did not wait for a time."""

    task: Task
    effective: bool


_now = sa.bindparam("now", type_=Micros)
_one: sa.ColumnClause[int] = sa.literal_column("1")

_run_now = GroupStatement(
    {"id": Id, "owner": sa.Text()},
    lambda v: (
        sa.update(tasks)
        .values(
            state=sa.literal_column(str(int(State.QUEUED))),
            version=tasks.c.version + _one,
            dispatch=tasks.c.dispatch + _one,
            not_before=_now,
            update_time=_now,
            dispatched_at=sa.null(),
            gateway_id=sa.null(),
        )
        .where(tasks.c.id == v.c.id, tasks.c.owner == v.c.owner)
        .where(is_state(tasks.c.state, *sources(Event.RUN_NOW)))
        .returning(*TASK_COLUMNS)
    ),
)


def run_now(tx: Transaction, requests: Sequence[RunNowRequest]) -> list[RunNowResult | None]:
    """What became of each task; None where there is no such task of that owner."""
    rows = _run_now.run(tx.connection, [(r.task_id, r.owner) for r in requests], now=tx.now_us)
    moved = {task.id: task for task in read_tasks(tx.database, tx.connection, rows)}
    actors = {request.task_id: request.actor for request in requests}
    record(
        tx,
        [Moved(t, _source(t), Event.RUN_NOW, actor=actors[t.id]) for t in moved.values()],
    )
    rest = list({r.task_id for r in requests} - moved.keys())
    unmoved = tasks_by_id(tx.database, tx.connection, rest)
    return [_result(request, moved, unmoved) for request in requests]


def _source(task: Task) -> State:
    # RETURNING shows only the new row; but only what has begun can be between two attempts.
    return State.RETRYING if task.attempt else State.SCHEDULED


def _result(
    request: RunNowRequest, moved: dict[bytes, Task], unmoved: dict[bytes, Task]
) -> RunNowResult | None:
    task = moved.get(request.task_id) or unmoved.get(request.task_id)
    if task is None or task.owner != request.owner:
        return None
    return RunNowResult(task, effective=task.id in moved)
