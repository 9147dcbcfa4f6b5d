"""What running tasks submit: once over all attempts, and nothing once the attempt is over."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from taskwire_core.ids import new_id
from taskwire_core.task import NewTask, Task, View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import (
    ManualClock,
    cancel,
    claimed,
    fail,
    new_task,
    running,
    submit,
    succeed,
    worker,
)


def child(parent: Task, *, request_id: str = "first", content: bytes = b"child") -> NewTask:
    new = new_task(request_id=request_id, content=content, delay_s=-1)
    return replace(new, parent=parent.id, generation=parent.generation + 1)


def submit_child(database: Database, parent: Task, new: NewTask) -> ops.Submitted:
    return database.execute(ops.submit_children, ops.ChildSubmission(new, parent.attempt))


def test_a_running_task_submits_another(database: Database, reader: Reader) -> None:
    parent = running(database)

    made = submit_child(database, parent, child(parent)).task

    found = reader.get([made.id], View.FULL)[made.id]
    assert (found.parent, found.generation) == (parent.id, 1)


def test_the_next_attempt_is_given_the_task_of_the_one_before(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    first = running(database)
    made = submit_child(database, first, child(first)).task
    fail(database, first)
    clock.advance(2)
    database.execute(ops.sweep_due, ops.Sweep())
    second = claimed(database, first.id, worker(database))

    again = submit_child(database, second, child(second))

    assert (again.task.id, again.created) == (made.id, False)
    assert sum(reader.counts().values()) == 2


def test_a_task_that_is_being_cancelled_may_still_submit(database: Database) -> None:
    parent = running(database)
    cancel(database, parent.id)

    assert submit_child(database, parent, child(parent)).created


def test_an_attempt_that_is_over_submits_nothing(database: Database, reader: Reader) -> None:
    parent = running(database)
    succeed(database, parent)
    stranger = replace(parent, id=new_id())
    waiting = submit(database, new_task())

    for gone in (parent, stranger, waiting, replace(parent, attempt=7)):
        with pytest.raises(ops.AttemptOver):
            submit_child(database, gone, child(gone))

    assert sum(reader.counts().values()) == 2


def test_a_key_with_other_content_records_nothing(database: Database, reader: Reader) -> None:
    parent = running(database)
    submit_child(database, parent, child(parent))

    with pytest.raises(ops.KeyReused):
        submit_child(database, parent, child(parent, content=b"other"))

    assert sum(reader.counts().values()) == 2


def test_a_group_of_children_is_recorded_beside_those_that_are_refused(database: Database) -> None:
    parent = running(database)
    over = replace(parent, attempt=9)
    wishes = [
        ops.ChildSubmission(child(parent, request_id=str(i)), each.attempt)
        for i, each in enumerate([parent, over, parent])
    ]

    with database.transaction() as tx:
        results = ops.submit_children(tx, wishes)

    assert [isinstance(result, ops.Submitted) for result in results] == [True, False, True]
    # The doorbells of the new ones wake whoever publishes them.
    assert [t.parent for t in tx.changed if isinstance(t, Task)] == [parent.id, parent.id]
