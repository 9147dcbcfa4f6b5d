"""Groups that are updated at once and read as JSON: the same answers as one by one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from taskwire_core import recovery
from taskwire_core.failure import worker_lost
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask, Payload, Task
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.group_update import LEAST, MOST_BYTES
from taskwire_db.reader import Reader
from tests.store.invariants import check_what_is_seen
from tests.store.steps import cancel, claim, claimed, new_task, submit, worker

MANY = 3 * LEAST
TEXTS = ["plain", 'quoted "text" \\ / \n\t\x01', "Zürich, 東京, 🎈", ""]
INPUTS = [b"", b"\x00\xff" * 9, b"content", b"x" * MOST_BYTES]


def _new(index: int, data: bytes) -> NewTask:
    labels = {"text": TEXTS[index % len(TEXTS)]} if index % 3 else {}
    return replace(new_task(), input=Payload("echo.v1.EchoRequest", data), labels=labels)


def _submitted(
    database: Database, *, inputs: list[bytes] = INPUTS, count: int = MANY
) -> dict[bytes, bytes]:
    """The inputs of queued tasks by their ids."""
    made = [_new(index, inputs[index % len(inputs)]) for index in range(count)]
    return {submit(database, task).id: task.input.data for task in made}


def _claimed(database: Database, ids: list[bytes], worker_id: bytes) -> list[Task | None]:
    requests = [ops.ClaimRequest(task_id, worker_id) for task_id in ids]
    return database.write(lambda tx: list(ops.claim(tx, requests)))


def _all_claimed(database: Database, ids: list[bytes]) -> list[Task]:
    found = _claimed(database, ids, worker(database))
    return [task for task in found if task is not None]


def _settled(database: Database, settlements: list[recovery.Settlement]) -> list[Task | None]:
    return database.write(lambda tx: list(ops.settle(tx, settlements)))


def _seen(database: Database) -> None:
    with database.snapshot() as connection:
        check_what_is_seen(connection)


def test_claimed_tasks_are_as_they_are_stored_and_have_their_inputs(
    database: Database, reader: Reader
) -> None:
    inputs = _submitted(database)
    found = _all_claimed(database, list(inputs))
    assert {task.id: task.input.data for task in found if task.input} == inputs
    stored = reader.get(list(inputs))
    assert [replace(task, input=None) for task in found] == [stored[task.id] for task in found]
    assert {task.state for task in found} == {State.RUNNING}
    _seen(database)


@pytest.mark.parametrize("count", [2, MANY])
def test_a_larger_input_comes_with_its_group(database: Database, count: int) -> None:
    inputs = _submitted(database, inputs=[b"small", b"y" * (MOST_BYTES + 1)], count=count)
    found = _all_claimed(database, list(inputs))
    assert {task.id: task.input.data for task in found if task.input} == inputs


@pytest.mark.parametrize("taken", [0, MANY // 2, MANY - 1])
def test_a_group_is_claimed_but_for_what_somebody_else_has(
    database: Database, reader: Reader, taken: int
) -> None:
    ids = list(_submitted(database))
    before = claimed(database, ids[taken], worker(database))
    found = _claimed(database, [*ids, new_id()], worker(database))
    assert [place for place, task in enumerate(found) if task is None] == [taken, MANY]
    stored = reader.get(ids)
    assert stored[ids[taken]] == replace(before, input=None)
    assert {stored[task.id].version for task in found if task} == {2}
    _seen(database)


def test_a_group_is_settled_but_for_an_attempt_that_is_over(
    database: Database, reader: Reader
) -> None:
    tasks = _all_claimed(database, list(_submitted(database)))
    stale, cancelled = tasks[3], tasks[5]
    (handed_back,) = _settled(database, [recovery.handed_back(stale, "drain")])
    assert handed_back is not None
    cancel(database, cancelled.id)
    results = [recovery.succeeded(task, Payload("echo.v1.EchoResponse", b"done")) for task in tasks]
    found = _settled(database, results)
    assert [place for place, task in enumerate(found) if task is None] == [3]
    ended = [task for task in found if task is not None]
    assert {task.state for task in ended} == {State.SUCCEEDED}
    stored = reader.get([task.id for task in tasks])
    assert [stored[task.id] for task in ended] == ended
    assert stored[stale.id].state is State.QUEUED
    assert claim(database, stale.id, worker(database)) is not None
    _seen(database)


def test_what_was_cancelled_in_a_group_is_told_from_what_ran(database: Database) -> None:
    tasks = _all_claimed(database, list(_submitted(database)))
    for task in tasks[::2]:
        cancel(database, task.id)
    why = worker_lost()
    found = _settled(database, [recovery.failed(task, why, now_us=0) for task in tasks])
    states = [task.state for task in found if task is not None]
    assert states == [State.CANCELLED, State.RETRYING] * (MANY // 2)
    _seen(database)
