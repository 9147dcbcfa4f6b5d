"""Reading tasks by id, in the views that the contract names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.lifecycle import Event, State
from taskwire_core.task import Attempt, Payload, Progress, Task, View
from taskwire_db import codec
from taskwire_db.database import Database
from taskwire_db.group import MAX_ROWS, AnyRow, GroupStatement
from taskwire_db.models import (
    Id,
    task_events,
    task_inputs,
    task_outcomes,
    task_progress,
    tasks,
)
from taskwire_db.operations.follow_ups import shown_follow_ups
from taskwire_db.rows import (
    TASK_COLUMNS,
    WIDTH,
    More,
    nothing_more,
    read_known_tasks,
    read_tasks,
)

MAX_ATTEMPTS_SHOWN = 20

_basic = GroupStatement(
    {"id": Id},
    lambda v: sa.select(*TASK_COLUMNS).join_from(v, tasks, tasks.c.id == v.c.id),
)

_outcome = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(
            *TASK_COLUMNS,
            task_outcomes.c.type_name,
            task_outcomes.c.data,
            task_outcomes.c.failure,
            task_progress.c.attempt,
            task_progress.c.fraction,
            task_progress.c.completed_units,
            task_progress.c.total_units,
            task_progress.c.message,
            task_progress.c.update_time,
        )
        .join_from(v, tasks, tasks.c.id == v.c.id)
        .outerjoin(task_outcomes, task_outcomes.c.task_id == tasks.c.id)
        .outerjoin(
            task_progress,
            # That of an earlier attempt says nothing about this one.
            (task_progress.c.task_id == tasks.c.id) & (task_progress.c.attempt == tasks.c.attempt),
        )
    ),
)

_inputs = GroupStatement(
    {"id": Id},
    lambda v: sa.select(
        task_inputs.c.task_id, task_inputs.c.type_name, task_inputs.c.data
    ).join_from(v, task_inputs, task_inputs.c.task_id == v.c.id),
)

_events = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(
            task_events.c.task_id,
            task_events.c.event,
            task_events.c.state,
            task_events.c.attempt,
            task_events.c.event_time,
            task_events.c.worker_id,
            task_events.c.failure,
        )
        .join_from(v, task_events, task_events.c.task_id == v.c.id)
        .order_by(task_events.c.task_id, task_events.c.version)
    ),
)


def tasks_by_id(
    database: Database,
    connection: sa.Connection,
    ids: Sequence[bytes],
    view: View = View.OUTCOME,
) -> dict[bytes, Task]:
    """The tasks among `ids` that exist, by id."""
    if not ids:
        return {}
    statement, more = _statement(view)
    found = read_tasks(database, connection, statement.run(connection, _keys(ids)), more)
    if view == View.FULL:
        found = _with_history(connection, found)
    return {task.id: task for task in found}


def tasks_at_a_glance(
    database: Database, ids: Sequence[bytes], view: View = View.OUTCOME
) -> dict[bytes, Task]:
    """The same without a transaction around it, where one statement is enough."""
    if view != View.FULL and len(ids) <= MAX_ROWS:
        statement, more = _statement(view)
        with database.glance() as connection:
            rows = statement.run(connection, _keys(ids))
        found = read_known_tasks(database, rows, more)
        if found is not None:
            return {task.id: task for task in found}
    with database.snapshot() as connection:
        return tasks_by_id(database, connection, ids, view)


def _keys(ids: Sequence[bytes]) -> list[tuple[bytes]]:
    return [(task_id,) for task_id in ids]


def _statement(view: View) -> tuple[GroupStatement, More]:
    return (_basic, nothing_more) if view == View.BASIC else (_outcome, _outcome_of)


def _outcome_of(row: AnyRow) -> Mapping[str, Any]:
    type_name, data, failure, attempt, *progress = row[WIDTH:]
    changes: dict[str, Any] = {}
    if data is not None:
        changes["result"] = Payload(type_name, bytes(data))
    if failure is not None:
        changes["failure"] = codec.decode_failure(failure)
    if attempt is not None:
        changes["progress"] = Progress(*progress)
    return changes


def _with_history(connection: sa.Connection, found: Iterable[Task]) -> list[Task]:
    tasks_found = list(found)
    keys = [(task.id,) for task in tasks_found]
    if not keys:
        return []
    inputs = {
        bytes(row[0]): Payload(row[1], bytes(row[2])) for row in _inputs.run(connection, keys)
    }
    follow_ups = shown_follow_ups(connection, [t.id for t in tasks_found if t.follow_up_count])
    histories: dict[bytes, list[AnyRow]] = defaultdict(list)
    for row in _events.run(connection, keys):
        histories[bytes(row[0])].append(row)
    return [
        replace(
            task,
            input=inputs.get(task.id),
            attempts=attempts_of(histories[task.id]),
            follow_ups=follow_ups.get(task.id, ()),
        )
        for task in tasks_found
    ]


def attempts_of(history: Sequence[AnyRow]) -> tuple[Attempt, ...]:
    """The last attempts that a task's events tell of, oldest first."""
    attempts: list[Attempt] = []
    for _, event, state, number, at, worker_id, failure in history:
        if event == Event.CLAIM:
            attempts.append(Attempt(number, bytes(worker_id or b""), at))
        elif attempts and attempts[-1].end_time_us is None and state != State.CANCELLING:
            attempts[-1] = replace(
                attempts[-1], end_time_us=at, failure=codec.decode_failure(failure)
            )
    return tuple(attempts[-MAX_ATTEMPTS_SHOWN:])


_versions = GroupStatement(
    {"id": Id},
    lambda v: sa.select(tasks.c.id, tasks.c.version).join_from(v, tasks, tasks.c.id == v.c.id),
)


def versions_by_id(database: Database, ids: Sequence[bytes]) -> dict[bytes, int]:
    """The versions of the tasks among `ids` that exist; each is right by itself."""
    with database.glance() as connection:
        return {bytes(row[0]): row[1] for row in _versions.run(connection, _keys(ids))}


_result_sizes = GroupStatement(
    {"id": Id},
    lambda v: sa.select(v.c.id, sa.func.length(task_outcomes.c.data)).join_from(
        v, task_outcomes, task_outcomes.c.task_id == v.c.id
    ),
)
_input_sizes = GroupStatement(
    {"id": Id},
    lambda v: sa.select(v.c.id, sa.func.length(task_inputs.c.data)).join_from(
        v, task_inputs, task_inputs.c.task_id == v.c.id
    ),
)
_sizes = {View.BASIC: [], View.OUTCOME: [_result_sizes], View.FULL: [_result_sizes, _input_sizes]}


def bearable(connection: sa.Connection, ids: Sequence[bytes], view: View, max_bytes: int) -> int:
    """How many of the first of `ids` have payloads of `max_bytes` in all: one at least."""
    sizes = dict.fromkeys(ids, 0)
    for statement in _sizes[view] if ids else ():
        for task_id, size in statement.run(connection, _keys(ids)):
            sizes[bytes(task_id)] += size or 0
    fitting = sum(total <= max_bytes for total in accumulate(sizes.values()))
    return max(fitting, min(len(ids), 1))
