"""Retrying: a new task of its own for each that has ended, once per request id."""

from __future__ import annotations

from msgspec.structs import replace

from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import NewTask
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import cancel, new_task, submit


def again(source: bytes, *, request_id: str | None = None, content: bytes = b"content") -> NewTask:
    return replace(new_task(request_id=request_id, content=content), retry_of=source)


def retry(database: Database, task: NewTask) -> ops.RetryResult:
    return database.execute(ops.retry, ops.Submission(task))


def made_by(result: ops.RetryResult | BaseException) -> ops.Submitted:
    assert isinstance(result, ops.RetryResult)
    assert result.submitted is not None
    return result.submitted


def ended(database: Database) -> bytes:
    return cancel(database, submit(database, new_task()).id).task.id


def test_a_retry_is_a_new_task_that_names_the_old_one(database: Database, reader: Reader) -> None:
    source = ended(database)
    made = made_by(retry(database, again(source)))
    assert made.created
    assert made.task.id != source
    found = reader.get([source, made.task.id])
    assert found[made.task.id].retry_of == source
    assert found[made.task.id].state is State.QUEUED
    assert found[source].state is State.CANCELLED


def test_what_cannot_be_retried_says_why(database: Database, reader: Reader) -> None:
    live, foreign = submit(database, new_task()), submit(database, new_task(owner="ann"))
    cancel(database, foreign.id, owner="ann")
    assert retry(database, again(live.id)) == ops.RetryResult(source=State.QUEUED)
    assert retry(database, again(foreign.id)) == ops.RetryResult()
    assert retry(database, again(new_id())) == ops.RetryResult()
    assert sum(reader.counts().values()) == 2


def test_the_same_request_is_retried_once(database: Database) -> None:
    source = ended(database)
    first = made_by(retry(database, again(source, request_id="r")))
    second = made_by(retry(database, again(source, request_id="r")))
    assert second.task.id == first.task.id
    assert not second.created
    other = retry(database, again(source, request_id="r", content=b"other"))
    assert other == ops.RetryResult(source=State.CANCELLED, reused=True)


def test_many_are_retried_in_one_transaction_and_fail_alone(database: Database) -> None:
    one, other, live = ended(database), ended(database), submit(database, new_task()).id
    wanted = [again(one), again(live), again(other), again(one)]
    with database.transaction() as transaction:
        results = ops.retry(transaction, [ops.Submission(task) for task in wanted])
    assert results.pop(1) == ops.RetryResult(source=State.QUEUED)
    assert [made_by(each).task.retry_of for each in results] == [one, other, one]
