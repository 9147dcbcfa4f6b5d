"""The change log: no change is missed and none is seen twice, whatever commits when."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from taskwire_core.changes import ChangePage, Cursor, CursorExpired
from taskwire_core.lifecycle import State
from taskwire_core.task import View
from taskwire_db import operations as ops
from taskwire_db.change_entry import entries_in
from taskwire_db.database import Database
from taskwire_db.models import task_changes
from taskwire_db.operations.retention import CHANGES_KEPT_US
from taskwire_db.reader import Reader
from tests.store.steps import (
    SECOND,
    ManualClock,
    cancel,
    fail,
    new_task,
    running,
    submit,
    succeed,
    unit,
)


def seen(page: ChangePage) -> dict[bytes, State | None]:
    """The changed tasks with their present states, None for deleted ones."""
    return {
        change.task_id: None if change.deleted else page.tasks[change.task_id].state
        for change in page.changes
    }


def test_what_changed_since_is_seen_once(database: Database, reader: Reader) -> None:
    submit(database, new_task())
    begin = reader.change_head()
    assert seen(reader.changes(begin, 10)) == {}
    new, old = submit(database, new_task()), running(database)
    page = reader.changes(begin, 10)
    assert seen(page) == {new.id: State.QUEUED, old.id: State.RUNNING}
    assert not page.more
    assert seen(reader.changes(page.next, 10)) == {}
    succeed(database, old)
    assert seen(reader.changes(page.next, 10)) == {old.id: State.SUCCEEDED}
    assert seen(reader.changes(begin, 10)) == {new.id: State.QUEUED, old.id: State.SUCCEEDED}


def test_a_failed_task_comes_with_what_filters_ask_for(database: Database, reader: Reader) -> None:
    begin = reader.change_head()
    task = running(database)
    fail(database, task, retryable=False)
    (found,) = reader.changes(begin, 10).tasks.values()
    assert found.failure is not None
    assert found.failure.reason == "BROKEN"


def test_a_deletion_is_seen_as_such(database: Database, reader: Reader) -> None:
    task = cancel(database, submit(database, new_task(owner="ann")).id, owner="ann").task
    begin = reader.change_head()
    database.execute(ops.delete, ops.DeleteRequest(task.id, "ann"))
    page = reader.changes(begin, 10)
    assert seen(page) == {task.id: None}
    assert page.changes[0].owner == "ann"


def test_pages_follow_one_another_although_the_log_grows(
    database: Database, reader: Reader
) -> None:
    cursor = reader.change_head()
    # Transactions with several changes each, so that a page ends in the middle of one.
    made = []
    for _ in range(3):
        result = database.execute(ops.submit, unit(*(new_task() for _ in range(3))))
        made += [each.task.id for each in result.submitted]
    found: list[bytes] = []
    while (page := reader.changes(cursor, 2)).more:
        found += seen(page)
        cursor = page.next
        if len(found) == 4:
            made.append(submit(database, new_task()).id)
    found += seen(page)
    found += seen(reader.changes(page.next, 10))
    assert sorted(found) == sorted(made)


def test_a_watch_goes_on_behind_any_single_change(database: Database, reader: Reader) -> None:
    begin = reader.change_head()
    ids = [submit(database, new_task()).id for _ in range(4)]
    page = reader.changes(begin, 10)
    for index, change in enumerate(page.changes):
        rest = reader.changes(change.cursor, 10)
        assert [*seen(rest)] == [c.task_id for c in page.changes[index + 1 :]]
    late = submit(database, new_task()).id
    rest = reader.changes(page.changes[1].cursor, 10)
    assert [*seen(rest)] == [c.task_id for c in page.changes[2:]]
    assert [*seen(reader.changes(rest.next, 10))] == [late]
    assert len({*ids, late}) == 5


def test_the_last_change_of_a_task_in_a_page_counts(database: Database, reader: Reader) -> None:
    begin = reader.change_head()
    task = running(database)
    other = submit(database, new_task())
    succeed(database, task)
    page = reader.changes(begin, 10)
    assert [change.task_id for change in page.changes] == [other.id, task.id]


def test_a_task_that_changes_twice_in_one_transaction_is_seen_in_its_last_state(
    database: Database, reader: Reader
) -> None:
    begin = reader.change_head()
    task = new_task()
    with database.transaction() as transaction:
        ops.submit(transaction, [unit(task)])
        ops.cancel(transaction, [ops.CancelRequest(task.id, "dev", "", "dev")])
    assert seen(reader.changes(begin, 10)) == {task.id: State.CANCELLED}


def test_what_is_rolled_back_was_never_there(database: Database, reader: Reader) -> None:
    begin = reader.change_head()
    with contextlib.suppress(RuntimeError), database.transaction() as transaction:
        ops.submit(transaction, [unit(new_task())])
        raise RuntimeError("never mind")
    task = submit(database, new_task())
    assert seen(reader.changes(begin, 10)) == {task.id: State.QUEUED}


def test_a_transaction_that_commits_late_is_not_missed(
    database: Database, reader: Reader, url: str, clock: ManualClock
) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    submit(database, new_task())  # so that nobody waits for the other to store the options
    begin = reader.change_head()
    slow = Database(url, clock=clock)
    with slow.transaction() as transaction:
        ops.submit(transaction, [unit(late := new_task())])
        quick = submit(database, new_task())
        page = reader.changes(begin, 10)
        assert seen(page) == {quick.id: State.QUEUED}
    assert seen(reader.changes(page.next, 10)) == {late.id: State.QUEUED}
    assert seen(reader.changes(page.changes[0].cursor, 10)) == {}, "behind it, up to that moment"
    after = reader.changes(page.changes[0].cursor, 10).next
    assert seen(reader.changes(after, 10)) == {late.id: State.QUEUED}
    slow.close()


def test_writers_side_by_side_lose_and_double_no_change(
    database: Database, reader: Reader, url: str
) -> None:
    submit(database, new_task())
    cursor = reader.change_head()

    def work(number: int) -> None:
        chance = random.Random(number)
        own = Database(url)
        for _ in range(25):
            made = [new_task(own.clock.now_us()) for _ in range(chance.randint(1, 4))]
            own.execute(ops.submit, unit(*made))
            for task in made:
                own.execute(ops.cancel, ops.CancelRequest(task.id, "dev", "", "dev"))
                if chance.random() < 0.5:
                    own.execute(ops.delete, ops.DeleteRequest(task.id, "dev"))
        own.close()

    seen_rows: list[tuple[bytes, int]] = []
    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        while True:
            over = all(worker.done() for worker in workers)
            # One at a time, so that no two changes of a task are told as one.
            page = reader.changes(cursor, 1)
            seen_rows += [(c.task_id, c.cursor.number) for c in page.changes]
            cursor = page.next
            if over and not page.more:
                break
    for worker in workers:
        worker.result()
    with database.connect() as connection:
        rows = connection.execute(sa.select(task_changes.c.number, task_changes.c.tasks)).all()
    written = {(task_id, number) for number, tasks in rows for task_id, _, _ in entries_in(tasks)}
    assert len(seen_rows) == len(set(seen_rows)), "a change was seen twice"
    assert len(written - set(seen_rows)) == 1, "only the one from before is not seen"
    assert len(seen_rows) > 400


def test_a_clock_that_is_set_back_hides_no_change(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    submit(database, new_task())
    begin = reader.change_head()
    clock.advance(-3_600)
    task = submit(database, new_task(clock.now_us()))
    assert seen(reader.changes(begin, 10)) == {task.id: State.QUEUED}


def test_a_place_that_was_pruned_has_expired(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    begin = reader.change_head()
    submit(database, new_task())
    submit(database, new_task())
    page = reader.changes(begin, 1)
    clock.advance(CHANGES_KEPT_US / SECOND + 1)
    kept = reader.changes(page.next, 10).next
    database.execute(ops.prune_changes, 100)
    for cursor in (begin, page.next):
        with pytest.raises(CursorExpired):
            reader.changes(cursor, 10)
    assert seen(reader.changes(kept, 10)) == {}


@pytest.mark.parametrize(
    "cursor",
    [Cursor("999999999"), Cursor("999999998:999999999:"), Cursor("nonsense"), Cursor("")],
)
def test_a_place_that_the_database_has_not_come_to_has_expired(
    reader: Reader, cursor: Cursor
) -> None:
    with pytest.raises(CursorExpired):
        reader.changes(cursor, 10)


def test_a_page_is_read_by_the_logs_own_order(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("an empty table is scanned there whatever indexes it has")
    with database.connect() as connection:
        statement = (
            sa.select(task_changes.c.number)
            .where(task_changes.c.number > 1)
            .order_by(task_changes.c.number)
        )
        text = str(statement.compile(dialect=database.engine.dialect))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (1,)).all()
    assert "SEARCH task_changes USING INTEGER PRIMARY KEY" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


def test_so_many_tasks_are_read_as_their_inputs_and_results_have_bytes_for(
    database: Database, reader: Reader
) -> None:
    ids = [submit(database, new_task(content=b"x" * size)).id for size in (900, 40, 60, 1)]
    for bytes_, count in ((0, 1), (899, 1), (939, 1), (940, 2), (1000, 3), (10_000, 4)):
        number, found = reader.get_some(ids, View.FULL, bytes_)
        assert number == count
        assert list(found) == ids[:count]
    assert reader.get_some(ids, View.OUTCOME, 0)[0] == 4, "nothing has a result, which is read"
    ended = succeed(database, running(database, new_task()), b"y" * 500)
    assert ended is not None
    assert reader.get_some([ended.id, ids[0]], View.OUTCOME, 499)[0] == 1
    assert reader.get_some([b"\x00" * 16, ids[1]], View.FULL, 40) == (
        2,
        reader.get(ids[1:2], View.FULL),
    )
    assert reader.get_some([], View.FULL, 10) == (0, {})
