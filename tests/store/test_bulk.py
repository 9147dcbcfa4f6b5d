"""A bulk operation's chunks: each once, whoever writes it, and its tasks are those of its begin."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.bulk import (
    BulkChunk,
    BulkFailure,
    BulkKind,
    BulkOperation,
    BulkScope,
    NewBulk,
)
from taskwire_core.errors import InvalidRequest
from taskwire_core.lifecycle import State
from taskwire_core.listing import TooManyToCount
from taskwire_core.task import NewTask, Payload, Task
from taskwire_db import bulk_reading as reading
from taskwire_db import operations as ops
from taskwire_db.database import Database, Transaction
from taskwire_db.models import task_counters, task_events, tasks
from taskwire_db.reader import Reader
from tests.store.population import insert, random_task
from tests.store.steps import (
    ManualClock,
    cancel,
    claim,
    fail,
    new_task,
    options,
    running,
    submit,
    succeed,
    worker,
)


def scope(
    database: Database, kind: BulkKind, filter_: str = "attempt >= 0", *, owner: str = "dev"
) -> BulkScope:
    return BulkScope(kind, owner, filter_, database.clock.now_us())


def begin(
    database: Database,
    reader: Reader,
    kind: BulkKind,
    filter_: str = "attempt >= 0",
    *,
    reason: str = "bad deploy",
    request_id: str | None = None,
) -> BulkOperation:
    found = scope(database, kind, filter_)
    total = reading.preview(reader, found, 0, 60).count
    begun = database.execute(ops.begin_bulk, NewBulk(found, reason, request_id, total))
    assert begun is not None, "the request id has begun another one"
    return begun


def again(old: Task) -> NewTask:
    """The task that repeats `old`."""
    made = new_task(opts=old.options)
    payload = old.input or Payload("acme.v1.ShrinkRequest", b"")
    return replace(made, input=payload, retry_of=old.id)


def next_chunk(reader: Reader, bulk: BulkOperation, limit: int = 2) -> BulkChunk:
    ids, last = reading.next_tasks(reader, bulk, limit)
    chunk = BulkChunk(bulk.id, bulk.cursor, tuple(ids), last)
    if bulk.scope.kind is not BulkKind.RETRY:
        return chunk
    old = reading.tasks_with_input(reader, ids)
    return dataclasses.replace(chunk, retries=tuple(again(old[key]) for key in ids))


def advance(database: Database, chunk: BulkChunk) -> BulkOperation | None:
    return database.execute(ops.advance_bulk, chunk)


def finish(database: Database, reader: Reader, bulk: BulkOperation) -> BulkOperation:
    while bulk.end_time_us is None:
        after = advance(database, next_chunk(reader, bulk))
        assert after is not None
        bulk = after
    return bulk


def counts(bulk: BulkOperation) -> tuple[int, int, int, int]:
    return bulk.total, bulk.done, bulk.skipped, bulk.failed


def states(database: Database) -> list[State]:
    with database.connect() as connection:
        found = connection.execute(sa.select(tasks.c.state).order_by(tasks.c.id)).scalars()
        return [State(state) for state in found]


def failed(database: Database, number: int) -> list[Task]:
    """Tasks that have ended as FAILED."""
    ended = [fail(database, running(database), retryable=False) for _ in range(number)]
    return [task for task in ended if task is not None]


def repeats(database: Database) -> list[bytes]:
    """Which task each repetition names."""
    with database.connect() as connection:
        found = connection.execute(
            sa.select(tasks.c.retry_of).where(tasks.c.retry_of.is_not(None))
        ).scalars()
        return sorted(bytes(key) for key in found)


def test_every_waiting_and_running_task_is_cancelled_and_the_counters_are_right(
    database: Database, reader: Reader
) -> None:
    for _ in range(3):
        submit(database, new_task())
    submit(database, new_task(delay_s=60))
    running(database)
    succeed(database, running(database))
    submit(database, new_task(owner="bob"))
    bulk = begin(database, reader, BulkKind.CANCEL)
    assert counts(bulk) == (5, 0, 0, 0)
    assert counts(finish(database, reader, bulk)) == (5, 5, 0, 0)
    assert sorted(states(database)) == sorted(
        [State.CANCELLED] * 4 + [State.CANCELLING, State.SUCCEEDED, State.QUEUED]
    )
    with database.connect() as connection:
        counted = dict(
            connection.execute(
                sa.select(task_counters.c.state, sa.func.sum(task_counters.c.count)).group_by(
                    task_counters.c.state
                )
            ).all()
        )
        event = connection.execute(
            sa.select(task_events.c.actor, task_events.c.message).where(
                task_events.c.event == "cancel"
            )
        ).first()
    assert counted[State.CANCELLED] == 4
    assert event is not None
    assert tuple(event) == ("dev", "bad deploy")


def test_a_chunk_is_done_once_whoever_comes_second(database: Database, reader: Reader) -> None:
    old = failed(database, 3)
    bulk = begin(database, reader, BulkKind.RETRY)
    first, second = next_chunk(reader, bulk), next_chunk(reader, bulk)
    after = advance(database, first)
    assert after is not None
    assert advance(database, second) is None
    assert counts(finish(database, reader, after)) == (3, 3, 0, 0)
    assert repeats(database) == sorted(task.id for task in old)


def test_a_chunk_whose_transaction_fails_is_as_if_it_had_not_been(
    database: Database, reader: Reader
) -> None:
    old = failed(database, 2)
    bulk = begin(database, reader, BulkKind.RETRY)
    chunk = next_chunk(reader, bulk)

    def written_in_vain(tx: Transaction, chunks: Sequence[BulkChunk]) -> list[None]:
        ops.advance_bulk(tx, chunks)
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError, match="power"):
        database.execute(written_in_vain, chunk)
    assert repeats(database) == []
    assert counts(finish(database, reader, bulk)) == (2, 2, 0, 0)
    assert repeats(database) == sorted(task.id for task in old)


def test_a_retry_does_not_meet_its_own_tasks(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    failed(database, 3)
    bulk = begin(database, reader, BulkKind.RETRY, "state = FAILED")
    after = advance(database, next_chunk(reader, bulk))
    assert after is not None
    # What was retried fails again before the rest has had its turn.
    clock.advance(1)
    with database.connect() as connection:
        made = connection.execute(sa.select(tasks.c.id).where(tasks.c.retry_of.is_not(None)))
        ids = [bytes(key) for key in made.scalars()]
    alive = worker(database)
    for task_id in ids:
        task = claim(database, task_id, alive)
        assert task is not None
        fail(database, task, retryable=False)
    assert counts(finish(database, reader, after)) == (3, 3, 0, 0)
    assert len(set(repeats(database))) == len(repeats(database)) == 3


def test_tasks_that_come_later_are_left_alone(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    submit(database, new_task())
    bulk = begin(database, reader, BulkKind.CANCEL)
    clock.advance(0.001)
    later = submit(database, new_task())
    assert counts(finish(database, reader, bulk)) == (1, 1, 0, 0)
    assert reader.get([later.id])[later.id].state is State.QUEUED


def test_a_task_is_told_from_a_later_one_by_the_stores_clock_and_not_by_its_hosts(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    ahead, behind = b"\xff" * 16, bytes(15) + b"\1"
    moved = running(database, replace(new_task(), id=ahead))
    bulk = begin(database, reader, BulkKind.CANCEL)
    clock.advance(0.001)
    later = submit(database, replace(new_task(), id=behind))
    progressed = claim(database, submit(database, new_task()).id, worker(database))
    assert counts(finish(database, reader, bulk)) == (1, 1, 0, 0)
    assert reader.get([moved.id])[moved.id].state is State.CANCELLING
    assert reader.get([later.id])[later.id].state is State.QUEUED
    assert progressed is not None
    assert reader.get([progressed.id])[progressed.id].state is State.RUNNING


def test_a_task_that_moved_on_since_is_still_one_that_there_was(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    made = submit(database, new_task())
    bulk = begin(database, reader, BulkKind.CANCEL)
    clock.advance(0.001)
    claim(database, made.id, worker(database))
    assert counts(finish(database, reader, bulk)) == (1, 1, 0, 0)


def test_tasks_that_have_left_the_filter_are_skipped_and_counted(
    database: Database, reader: Reader
) -> None:
    before, after, *_ = [submit(database, new_task()) for _ in range(4)]
    bulk = begin(database, reader, BulkKind.CANCEL, "state = QUEUED")
    # One goes before anybody looks for the next tasks, one between that and their turn.
    alive = worker(database)
    claim(database, before.id, alive)
    chunk = next_chunk(reader, bulk)
    assert after.id in chunk.task_ids
    claim(database, after.id, alive)
    moved = advance(database, chunk)
    assert moved is not None
    assert counts(moved) == (4, 1, 1, 0)
    assert counts(finish(database, reader, moved)) == (4, 2, 2, 0)
    assert reader.get([after.id])[after.id].state is State.RUNNING


def test_what_cannot_be_retried_is_counted_with_the_first_reasons(
    database: Database, reader: Reader
) -> None:
    old = failed(database, 12)
    bulk = begin(database, reader, BulkKind.RETRY)
    ids, last = reading.next_tasks(reader, bulk, 100)
    assert (len(ids), last) == (12, True)
    problems = tuple(BulkFailure(key, 3, "FIELD_VIOLATION", "It is too small.") for key in ids)
    chunk = BulkChunk(bulk.id, bulk.cursor, tuple(ids), last, failures=problems)
    after = advance(database, chunk)
    assert after is not None
    assert counts(after) == (12, 0, 0, 12)
    assert [failure.task_id for failure in after.failures] == [task.id for task in old[:10]]
    assert reading.bulk_by_id(reader, bulk.id, "dev") == after


def test_ended_tasks_are_deleted_with_all_that_belongs_to_them(
    database: Database, reader: Reader
) -> None:
    failed(database, 3)
    kept = submit(database, new_task())
    bulk = begin(database, reader, BulkKind.DELETE)
    assert counts(finish(database, reader, bulk)) == (3, 3, 0, 0)
    with database.connect() as connection:
        left = connection.execute(sa.select(task_events.c.task_id)).scalars()
        assert {bytes(key) for key in left} == {kept.id}


def test_an_operation_that_is_cancelled_does_no_more(database: Database, reader: Reader) -> None:
    failed(database, 4)
    bulk = begin(database, reader, BulkKind.DELETE)
    after = advance(database, next_chunk(reader, bulk))
    assert after is not None
    chunk = next_chunk(reader, after)
    ended = database.execute(ops.cancel_bulk, (bulk.id, "dev"))
    assert ended is not None
    assert ended.cancelled
    assert ended.end_time_us is not None
    assert advance(database, chunk) is None
    assert len(states(database)) == 2
    assert reading.running_bulks(reader) == []
    assert database.execute(ops.cancel_bulk, (bulk.id, "dev")) == ended


def test_operations_are_their_owners(database: Database, reader: Reader) -> None:
    bulk = begin(database, reader, BulkKind.DELETE)
    assert reading.bulk_by_id(reader, bulk.id, "bob") is None
    assert database.execute(ops.cancel_bulk, (bulk.id, "bob")) is None
    assert database.execute(ops.delete_bulk, (bulk.id, "bob")) is None
    assert reading.bulk_page(reader, "bob", b"\xff" * 16, 10) == []
    assert reading.bulk_page(reader, "dev", b"\xff" * 16, 10) == [bulk]


def test_the_same_request_id_is_the_same_operation(database: Database, reader: Reader) -> None:
    first = begin(database, reader, BulkKind.DELETE, request_id="nightly")
    assert begin(database, reader, BulkKind.DELETE, request_id="nightly") == first
    assert begin(database, reader, BulkKind.DELETE).id != first.id


def test_a_reason_that_a_database_cannot_keep_as_it_is_begins_an_operation_once(
    database: Database, reader: Reader
) -> None:
    odd = "a\x00b"
    assert begin(database, reader, BulkKind.CANCEL, reason=odd).end_time_us is None
    first = begin(database, reader, BulkKind.CANCEL, reason=odd, request_id="nightly")
    assert begin(database, reader, BulkKind.CANCEL, reason=odd, request_id="nightly") == first


@pytest.mark.parametrize("changed", ["kind", "filter", "reason"])
def test_a_request_id_that_has_begun_another_operation_begins_nothing(
    database: Database, reader: Reader, changed: str
) -> None:
    first = begin(database, reader, BulkKind.CANCEL, request_id="nightly")
    kind = BulkKind.DELETE if changed == "kind" else BulkKind.CANCEL
    filter_ = "state = FAILED" if changed == "filter" else first.scope.filter
    reason = "other" if changed == "reason" else first.reason
    new = NewBulk(scope(database, kind, filter_), reason, "nightly", 0)
    assert database.execute(ops.begin_bulk, new) is None
    assert len(reading.bulk_page(reader, "dev", b"\xff" * 16, 10)) == 1


def test_records_of_ended_operations_are_deleted(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    ended = finish(database, reader, begin(database, reader, BulkKind.DELETE))
    working = begin(database, reader, BulkKind.DELETE)
    found = database.execute(ops.delete_bulk, (working.id, "dev"))
    assert found is not None
    assert found.end_time_us is None
    clock.advance(10)
    later = finish(database, reader, begin(database, reader, BulkKind.DELETE))
    assert database.execute(ops.forget_bulk, clock.now_us()) == 1
    left = {each.id for each in reading.bulk_page(reader, "dev", b"\xff" * 16, 10)}
    assert left == {working.id, later.id}
    assert ended.id not in left
    database.execute(ops.delete_bulk, (later.id, "dev"))
    assert reading.bulk_by_id(reader, later.id, "dev") is None


def test_a_preview_counts_all_and_shows_the_first(database: Database, reader: Reader) -> None:
    made = [submit(database, new_task(opts=options(queue="mails"))) for _ in range(5)]
    submit(database, new_task())
    cancel(database, made[0].id)
    found = reading.preview(reader, scope(database, BulkKind.CANCEL, "queue = mails"), 2, 60)
    assert found.count == 4
    assert found.sample == (made[1].id, made[2].id)


def test_the_inputs_of_a_chunk_have_a_limit(
    database: Database, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 250)
    for _ in range(3):
        task = running(database, new_task(content=b"x" * 100))
        fail(database, task, retryable=False)
    bulk = begin(database, reader, BulkKind.RETRY)
    ids, last = reading.next_tasks(reader, bulk, 100)
    assert (len(ids), last) == (2, False)
    monkeypatch.setattr(reading, "MOST_BYTES", 1)
    ids, last = reading.next_tasks(reader, bulk, 100)
    assert (len(ids), last) == (1, False)


@pytest.mark.parametrize("kind", list(BulkKind))
def test_the_next_tasks_are_read_in_their_order_and_never_sorted(
    database: Database, reader: Reader, kind: BulkKind
) -> None:
    bulk = begin(database, reader, kind, 'state = FAILED AND type = "a.B/C" AND labels.x = y')
    text = plan_of(database, reading.next_ids(bulk, 500))
    assert "Sort" not in text
    assert "TEMP B-TREE" not in text


def plan_of(database: Database, statement: sa.Select[bytes]) -> str:
    """How the database would run it."""
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"

    def explained(_c: Any, _cursor: Any, text: str, values: Any, *_: Any) -> tuple[str, Any]:
        return f"{explain} {text}", values

    with database.connect() as connection:
        if not database.is_sqlite:  # Of an empty table it would read and sort the whole.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            # Once it has analysed the few rows there are; it sorts all the same where it has to.
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
        sa.event.listen(connection, "before_cursor_execute", explained, retval=True)
        cursor: Any = connection.execute(statement).cursor
        return " ".join(str(row) for row in cursor.fetchall())


def test_a_filter_that_is_not_valid_is_refused_where_it_is_read(
    database: Database, reader: Reader
) -> None:
    with pytest.raises(InvalidRequest, match="character 1"):
        reading.preview(reader, scope(database, BulkKind.CANCEL, "stat = QUEUED"), 1, 60)


def test_a_preview_that_takes_too_long_is_ended(database: Database, reader: Reader) -> None:
    insert(database, [random_task(random.Random(n), n) for n in range(20_000)])
    wanted = scope(database, BulkKind.DELETE, "attempt > 100", owner="ann")
    with pytest.raises(TooManyToCount):
        reading.preview(reader, wanted, 1, 0)
