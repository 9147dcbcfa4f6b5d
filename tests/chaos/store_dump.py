"""What the store holds, as the records of a history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from taskwire_core.ids import to_text
from taskwire_core.lifecycle import State
from taskwire_db import codec
from taskwire_db.database import Database
from taskwire_db.models import (
    option_sets,
    task_counters,
    task_events,
    task_inputs,
    task_outcomes,
    tasks,
)
from tests.chaos.records import digest
from tests.chaos.remains import Counter, TaskEvent, TaskRow

_MICROS = 1_000_000


def store_dump(database: Database) -> Iterator[TaskRow | TaskEvent | Counter]:
    """All tasks, their transitions, and the counters, as they are at one moment."""
    with database.snapshot() as connection:
        yield from map(_row, _read(connection, _tasks()))
        yield from map(_event, _read(connection, sa.select(task_events)))
        yield from map(_counter, _read(connection, _counters()))


def counts(database: Database) -> dict[tuple[str, str], int]:
    """How many tasks there are, by type and state."""
    query = sa.select(tasks.c.type, tasks.c.state, sa.func.count())
    with database.snapshot() as connection:
        rows = connection.execute(query.group_by(tasks.c.type, tasks.c.state)).all()
    return {(task_type, State(state).name): count for task_type, state, count in rows}


def _read(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[sa.Row[Any]]:
    return iter(connection.execution_options(yield_per=1000).execute(query))


def _tasks() -> sa.Select[Any]:
    return (
        sa.select(
            tasks,
            task_inputs.c.data.label("input"),
            task_outcomes.c.data.label("result"),
            option_sets.c.body.label("options"),
        )
        .join_from(tasks, option_sets, option_sets.c.id == tasks.c.options_id, isouter=True)
        .join(task_inputs, task_inputs.c.task_id == tasks.c.id, isouter=True)
        .join(task_outcomes, task_outcomes.c.task_id == tasks.c.id, isouter=True)
    )


def _counters() -> sa.Select[Any]:
    total = sa.func.sum(task_counters.c.count).label("total")
    by = (task_counters.c.type, task_counters.c.state)
    return sa.select(*by, total).group_by(*by).having(total != 0)


def _row(row: sa.Row[Any]) -> TaskRow:
    return TaskRow(
        to_text(row.id),
        State(row.state).name,
        row.version,
        row.attempt,
        row.type,
        row.queue,
        row.request_id or "",
        _digest(row.input),
        _digest(row.result),
        row.schedule_time / _MICROS,
        codec.decode_options(row.options).at_most_once,
    )


def _event(row: sa.Row[Any]) -> TaskEvent:
    return TaskEvent(
        to_text(row.task_id),
        row.version,
        State(row.state).name,
        row.event,
        row.attempt,
        row.event_time / _MICROS,
        "" if row.worker_id is None else to_text(row.worker_id),
    )


def _counter(row: sa.Row[Any]) -> Counter:
    return Counter(row.type, State(row.state).name, int(row.total))


def _digest(data: bytes | None) -> str:
    return "none" if data is None else digest(data)
