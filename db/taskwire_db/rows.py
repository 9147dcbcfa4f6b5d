"""Rows to tasks and back: the one place that knows the order of a task's columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from taskwire_core.ids import created_us
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import NewTask, Task
from taskwire_db import codec
from taskwire_db.database import Database, Transaction
from taskwire_db.group import AnyRow
from taskwire_db.models import option_sets, tasks

_MICROSECOND = timedelta(microseconds=1)

TASK_COLUMNS: tuple[sa.Column[Any], ...] = (
    tasks.c.id,
    tasks.c.type,
    tasks.c.owner,
    tasks.c.state,
    tasks.c.version,
    tasks.c.attempt,
    tasks.c.handed_back,
    tasks.c.crashes,
    tasks.c.solo,
    tasks.c.dispatch,
    tasks.c.dispatched_at,
    tasks.c.options_id,
    tasks.c.create_time,
    tasks.c.schedule_time,
    tasks.c.not_before,
    tasks.c.update_time,
    tasks.c.start_time,
    tasks.c.end_time,
    tasks.c.delete_time,
    tasks.c.start_deadline,
    tasks.c.total_deadline,
    tasks.c.run_deadline,
    tasks.c.worker_id,
    tasks.c.cancel_requested,
    tasks.c.cancel_reason,
    tasks.c.retry_of,
    tasks.c.labels,
    tasks.c.parent,
    tasks.c.generation,
    tasks.c.follow_up_count,
)
"""What every statement that answers with tasks selects or returns, in this order."""

WIDTH = len(TASK_COLUMNS)


More = Callable[[AnyRow], Mapping[str, Any]]
"""What a statement's further columns add to a task: fields of Task, by name."""


def nothing_more(row: AnyRow) -> Mapping[str, Any]:
    """The statement has no further columns."""
    return {}


def read_tasks(
    database: Database,
    connection: sa.Connection,
    rows: Sequence[AnyRow],
    more: More = nothing_more,
) -> list[Task]:
    """The tasks in `rows`, whose first columns are TASK_COLUMNS."""
    ids = _options_ids(rows)
    known = database.options.among(ids)
    if len(known) < len(ids):
        known |= _load_options(database, connection, ids - known.keys())
    return [_task(row, known, more(row)) for row in rows]


def read_known_tasks(
    database: Database, rows: Sequence[AnyRow], more: More = nothing_more
) -> list[Task] | None:
    """The same without asking for options: None when this process has not met some of them."""
    ids = _options_ids(rows)
    known = database.options.among(ids)
    return [_task(row, known, more(row)) for row in rows] if len(known) == len(ids) else None


def _options_ids(rows: Sequence[AnyRow]) -> set[int]:
    return {row[11] for row in rows}


def _task(row: AnyRow, options: Mapping[int, TaskOptions], more: Mapping[str, Any]) -> Task:
    return Task(
        bytes(row[0]),  # id
        row[1],  # type
        row[2],  # owner
        State(row[3]),
        row[4],  # version
        row[5],  # attempt
        row[6],  # handed_back
        row[7],  # crashes
        bool(row[8]),  # solo
        row[9],  # dispatch
        row[10] is not None,  # dispatched
        options[row[11]],
        row[12],  # create_time
        row[13],  # schedule_time
        row[14],  # not_before
        row[15],  # update_time
        row[16],  # start_time
        row[17],  # end_time
        row[18],  # delete_time
        row[19],  # start_deadline
        row[20],  # total_deadline
        row[21],  # run_deadline
        None if row[22] is None else bytes(row[22]),  # worker_id
        bool(row[23]),  # cancel_requested
        row[24] or "",  # cancel_reason
        None if row[25] is None else bytes(row[25]),  # retry_of
        codec.decode_labels(row[26]),
        None if row[27] is None else bytes(row[27]),  # parent
        row[28],  # generation
        row[29],  # follow_up_count
        **more,
    )


def _load_options(
    database: Database, connection: sa.Connection, missing: Iterable[int]
) -> dict[int, TaskOptions]:
    found = connection.execute(
        sa.select(option_sets.c.id, option_sets.c.body).where(option_sets.c.id.in_(list(missing)))
    )
    sets = {key: codec.decode_options(body) for key, body in found}
    database.options.learn(sets)
    return sets


def new_task(new: NewTask, now_us: int) -> Task:
    """The task that `new` becomes when it is recorded now."""
    # What was due when it was made does not wait, although the clocks may differ a little.
    waits = new.schedule_time_us > max(now_us, new.create_time_us)
    options = new.options
    start = max(new.schedule_time_us, new.create_time_us)
    return Task(
        id=new.id,
        type=new.type,
        owner=new.owner,
        state=State.SCHEDULED if waits else State.QUEUED,
        version=1,
        attempt=0,
        handed_back=0,
        crashes=0,
        solo=False,
        dispatch=1,
        dispatched=False,
        options=options,
        # Lists are in the order of ids, which must be that of the times that they show.
        create_time_us=created_us(new.id) or new.create_time_us,
        schedule_time_us=start,
        not_before_us=start,
        update_time_us=now_us,
        start_deadline_us=_after(start, options.start_timeout),
        total_deadline_us=_after(start, options.total_timeout),
        retry_of=new.retry_of,
        labels=new.labels,
        parent=new.parent,
        generation=new.generation,
        follow_up_count=len(new.follow_ups),
        input=new.input,
    )


def task_row(
    transaction: Transaction,
    task: Task,
    *,
    gateway_id: bytes | None,
    request_id: str | None,
) -> tuple[object, ...]:
    """A new task's row, in the order of the table's columns."""
    options = task.options
    return (
        task.id,
        task.type,
        task.queue,
        task.owner,
        int(task.state),
        task.version,
        task.attempt,
        task.handed_back,
        task.crashes,
        int(task.solo),
        int(options.priority),
        transaction.options_id(options),
        options.attempt_timeout // _MICROSECOND,
        options.result_ttl // _MICROSECOND,
        task.create_time_us,
        task.schedule_time_us,
        task.not_before_us,
        task.update_time_us,
        None,
        None,
        None,
        task.start_deadline_us,
        task.total_deadline_us,
        None,
        None,
        None,
        task.dispatch,
        None,
        gateway_id,
        0,
        None,
        task.retry_of,
        request_id,
        codec.encode_labels(task.labels),
        task.parent,
        task.generation,
        task.follow_up_count,
    )


def _after(start_us: int, timeout: timedelta | None) -> int | None:
    return None if timeout is None else start_us + timeout // _MICROSECOND
