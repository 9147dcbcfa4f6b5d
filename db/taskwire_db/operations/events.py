"""A task's history: one event for every transition, appended in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from taskwire_core.failure import Failure
from taskwire_core.ids import to_text
from taskwire_core.lifecycle import Event, State
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.database import Transaction
from taskwire_db.group import RowInsert
from taskwire_db.models import task_events
from taskwire_db.operations.follow_ups import follow

_insert = RowInsert(task_events)


class Moved(Struct, frozen=True):
    """A transition that a compare-and-set has made: `task` is as it is now, with its outcome."""

    task: Task
    source: State | None
    event: Event
    attempt_worker: bytes | None = None
    actor: str | None = None
    message: str | None = None
    failure: Failure | None = None


def record(transaction: Transaction, moves: Iterable[Moved]) -> None:
    """Append the events of `moves`, count and log them, and remember the tasks for doorbells.

    The follow-ups of tasks that have ended are recorded with them.
    """
    rows: list[tuple[object, ...]] = []
    followed: list[Task] = []
    for move in moves:
        task = move.task
        transaction.moved(task, move.source)
        rows.append(
            (
                task.id,
                task.version,
                int(task.state),
                task.attempt,
                move.event.value,
                task.update_time_us,
                move.attempt_worker,
                move.actor,
                move.message or None,
                codec.encode_failure(move.failure),
            )
        )
        if task.follow_up_count and task.state.terminal:
            followed.append(task)
    _insert.run(transaction.connection, rows)
    if followed:
        _follow(transaction, followed)


def _follow(transaction: Transaction, ended: list[Task]) -> None:
    made = follow(transaction, ended)
    record(
        transaction,
        [
            Moved(
                task,
                None,
                Event.SUBMIT,
                actor=task.owner,
                message=f"the follow-up of {to_text(task.parent or b'')}",
            )
            for task in made
        ],
    )
    # No gateway publishes them: their doorbells wake the one that leads.
    transaction.changed.extend(task for task in made if task.state == State.QUEUED)
