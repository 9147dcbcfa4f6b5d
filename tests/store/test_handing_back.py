"""Attempts that are given back unused: another one follows, and nothing of the old one counts."""

from __future__ import annotations

from msgspec.structs import replace

from taskwire_core import recovery
from taskwire_core.failure import FailureKind
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.operations.hand_back import hand_back
from tests.store.steps import (
    claimed,
    new_task,
    options,
    running,
    submit,
    succeed,
    worker,
)


def test_an_attempt_that_was_given_back_settles_nothing(database: Database) -> None:
    task = running(database)
    back = database.execute(ops.settle, recovery.handed_back(task, "drain"))
    assert back is not None
    assert back.attempt == task.attempt, "the number alone would let it through"
    assert succeed(database, task) is None
    assert claimed(database, task.id, worker(database)).attempt == 2


def test_a_task_that_is_given_back_is_dispatched_anew(database: Database) -> None:
    made = submit(database, new_task(), gateway_id=new_id())
    sent = Dispatch(made.id, made.type, made.queue, made.dispatch)
    database.execute(ops.mark_dispatched, sent)
    task = claimed(database, made.id, worker(database))
    back = database.execute(ops.settle, recovery.handed_back(task, "drain"))
    assert back is not None
    taken = database.execute(ops.take_backlog, ops.Backlog(made.queue, (made.type,), 10, new_id()))
    assert taken == [replace(sent, number=sent.number + 1, version=back.version)]


def test_an_at_most_once_task_of_a_worker_that_ends_is_lost_and_not_given_back(
    database: Database,
) -> None:
    task = running(database, new_task(opts=options(max_attempts=1, at_most_once=True)))
    (ended,) = database.execute(hand_back, task.worker_id or b"")
    assert ended.state == State.FAILED
    assert ended.failure is not None
    assert ended.failure.kind == FailureKind.WORKER_LOST
