"""Deleting ended tasks: all of it goes, the counters follow, and what lives is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.options import TaskOptions
from taskwire_core.task import Deleted, NewTask, Progress, Task
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import deployment, metadata, task_changes
from taskwire_db.operations.retention import _EXPIRED, CHANGES_KEPT_US, OPTIONS_KEPT_US
from taskwire_db.reader import Reader
from tests.store.steps import (
    SECOND,
    START_US,
    ManualClock,
    cancel,
    fail,
    new_task,
    options,
    running,
    submit,
    succeed,
)

COUNTED_OR_LOGGED = {"task_counters", "task_changes", "task_deletions"}


def leftovers(database: Database) -> dict[str, int]:
    """The tables that hold anything of tasks, with their numbers of rows."""
    with database.connect() as connection:
        counts = {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in metadata.sorted_tables
            if table.name.startswith("task") and table.name not in COUNTED_OR_LOGGED
        }
    return {name: count for name, count in counts.items() if count}


def delete(
    database: Database, task_id: bytes, *, owner: str | None = "dev"
) -> ops.DeleteResult | None:
    return database.execute(ops.delete, ops.DeleteRequest(task_id, owner))


def ended(database: Database, task: NewTask | None = None) -> Task:
    """A task that somebody has run, with everything that a task can have."""
    held = running(database, task or new_task(request_id="r", labels={"customer": "acme"}))
    row = ops.ProgressRow(held.id, held.attempt, Progress(0.5, 1, 2, "half", START_US))
    database.execute(ops.save_progress, row)
    done = succeed(database, held)
    assert done is not None
    return done


def sweep(database: Database, limit: int = 100) -> int:
    return database.execute(ops.delete_expired, ops.Expired(limit))


def test_nothing_of_a_deleted_task_is_left(database: Database, reader: Reader) -> None:
    task = ended(database)
    result = delete(database, task.id)
    assert result == ops.DeleteResult(State.SUCCEEDED)
    assert result.deleted
    assert leftovers(database) == {}
    assert reader.counts() == {}
    assert reader.get([task.id]) == {}


def test_only_the_deleted_task_goes(database: Database, reader: Reader) -> None:
    gone = ended(database)
    kept = ended(database, new_task(request_id="other", labels={"customer": "acme"}))
    before = leftovers(database)
    delete(database, gone.id)
    assert leftovers(database) == {name: count // 2 for name, count in before.items()}
    assert reader.get([kept.id])[kept.id].result == kept.result
    assert reader.find_requests("dev", ["r", "other"]).keys() == {"other"}


def test_a_task_that_has_not_ended_stays(database: Database, reader: Reader) -> None:
    for live in (submit(database, new_task()), running(database), submit(database, new_task())):
        result = delete(database, live.id)
        assert result == ops.DeleteResult(live.state)
        assert not result.deleted
        assert reader.versions([live.id]) == {live.id: live.version}


def test_a_task_of_another_owner_is_not_found(database: Database, reader: Reader) -> None:
    task = ended(database)
    assert delete(database, task.id, owner="ann") is None
    assert delete(database, new_id()) is None
    assert reader.get([task.id])
    assert delete(database, task.id, owner=None) is not None


def test_many_are_deleted_in_one_transaction_each_with_its_own_answer(
    database: Database, reader: Reader
) -> None:
    one, other, live = ended(database), ended(database, new_task()), submit(database, new_task())
    ids = [one.id, new_id(), live.id, other.id, one.id]
    with database.transaction() as transaction:
        results = ops.delete(transaction, [ops.DeleteRequest(i, "dev") for i in ids])
        changed = list(transaction.changed)
    states = [result and result.state for result in results]
    assert states == [State.SUCCEEDED, None, State.QUEUED, State.SUCCEEDED, State.SUCCEEDED]
    assert sorted(changed, key=str) == sorted([Deleted(one.id), Deleted(other.id)], key=str)
    assert sum(reader.counts().values()) == 1


def test_a_request_id_may_be_used_again_after_the_delete(database: Database) -> None:
    task = ended(database)
    delete(database, task.id)
    again = database.execute(
        ops.submit, ops.SubmitUnit((ops.Submission(new_task(request_id="r", content=b"new")),))
    )
    assert again.submitted[0].created
    assert again.submitted[0].task.id != task.id


def test_a_late_settlement_of_a_deleted_task_writes_nothing(
    database: Database, clock: ManualClock
) -> None:
    held = running(database)
    cancel(database, held.id)
    assert fail(database, held) is not None
    delete(database, held.id)
    assert succeed(database, held) is None
    row = ops.ProgressRow(held.id, held.attempt, Progress(0.5, 1, 2, "half", START_US))
    database.execute(ops.save_progress, row)
    assert leftovers(database) == {}


def test_a_deletion_is_remembered_for_its_owner(database: Database, reader: Reader) -> None:
    task, other = ended(database), ended(database, new_task())
    delete(database, task.id)
    assert reader.was_deleted(task.id, owner="dev")
    assert not reader.was_deleted(task.id, owner="ann")
    assert not reader.was_deleted(other.id, owner="dev")


def kept_for(seconds: float) -> TaskOptions:
    return replace(options(), result_ttl=timedelta(seconds=seconds))


def test_retention_deletes_what_is_due_the_oldest_first(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    late, early, long = (
        ended(database, new_task(opts=kept_for(seconds))) for seconds in (20, 10, 3_000)
    )
    assert sweep(database) == 0
    clock.advance(10)
    assert sweep(database) == 1
    assert reader.get([late.id, early.id, long.id]).keys() == {late.id, long.id}
    clock.advance(10)
    assert sweep(database) == 1
    assert reader.get([late.id, long.id]).keys() == {long.id}


def test_retention_takes_no_more_than_a_chunk(database: Database, clock: ManualClock) -> None:
    for _ in range(5):
        ended(database, new_task(opts=kept_for(1)))
    clock.advance(1)
    assert [sweep(database, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert leftovers(database) == {}


def test_retention_never_takes_a_live_task(database: Database, clock: ManualClock) -> None:
    submit(database, new_task(opts=kept_for(1)))
    running(database, new_task(opts=kept_for(1)))
    fail(database, running(database, new_task(opts=kept_for(1))))
    clock.advance(1_000_000)
    assert sweep(database) == 0


def test_retention_finds_what_is_due_by_its_index(database: Database) -> None:
    text = str(_EXPIRED.compile(dialect=database.engine.dialect))
    with database.connect() as connection:
        if database.is_sqlite:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (1, 1, 0)).all()
            plan = " ".join(str(row[-1]) for row in rows)
            assert "ix_tasks_delete_time" in plan
            assert "TEMP B-TREE" not in plan


def test_the_sizes_tell_what_is_overdue(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    task = ended(database, new_task(opts=kept_for(10)))
    submit(database, new_task())
    found = reader.sizes()
    assert found.database_bytes > 10_000
    assert found.tasks == {
        **dict.fromkeys(State, 0),
        State.SUCCEEDED: 1,
        State.QUEUED: 1,
    }
    assert found.overdue_since_us is None
    clock.advance(10)
    assert reader.sizes().overdue_since_us == task.delete_time_us == START_US + 10 * SECOND


def test_the_change_log_is_pruned_after_an_hour(database: Database, clock: ManualClock) -> None:
    for _ in range(3):
        submit(database, new_task())
    clock.advance(CHANGES_KEPT_US / SECOND)
    submit(database, new_task())
    assert database.execute(ops.prune_changes, 100) == 0
    clock.advance(1)
    assert database.execute(ops.prune_changes, 2) == 2
    assert database.execute(ops.prune_changes, 100) == 1
    with database.connect() as connection:
        numbers = connection.execute(sa.select(task_changes.c.number)).scalars().all()
        pruned = connection.execute(sa.select(deployment.c.pruned_number)).scalar_one()
    assert len(numbers) == 1
    assert pruned < numbers[0]


def test_a_deletion_is_forgotten_after_an_hour(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    first, second = (ended(database, new_task()) for _ in range(2))
    database.execute(ops.delete, ops.DeleteRequest(first.id, None))
    clock.advance(CHANGES_KEPT_US / SECOND)
    database.execute(ops.delete, ops.DeleteRequest(second.id, None))
    database.execute(ops.prune_changes, 100)
    assert reader.was_deleted(first.id, owner="dev")
    clock.advance(1)
    database.execute(ops.prune_changes, 100)
    assert not reader.was_deleted(first.id, owner="dev")
    assert reader.was_deleted(second.id, owner="dev")


def test_a_clock_that_was_ahead_keeps_no_deletion(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    task = ended(database)
    clock.advance(1_000_000)
    database.execute(ops.delete, ops.DeleteRequest(task.id, None))
    clock.advance(-1_000_000)
    assert database.execute(ops.prune_changes, 100) >= 1
    assert not reader.was_deleted(task.id, owner="dev")


def test_a_clock_that_was_ahead_keeps_no_change(database: Database, clock: ManualClock) -> None:
    clock.advance(1_000_000)
    submit(database, new_task())
    clock.advance(-1_000_000)
    submit(database, new_task())
    assert database.execute(ops.prune_changes, 100) == 1


@pytest.mark.parametrize("used", [True, False])
def test_an_option_set_goes_when_no_task_has_it_for_a_day(
    database: Database, reader: Reader, clock: ManualClock, used: bool
) -> None:
    task = ended(database, new_task(opts=kept_for(77)))
    if not used:
        delete(database, task.id)
    unused = reader.unused_options()
    assert len(unused) == (0 if used else 1)
    assert database.execute(ops.forget_options, unused) == 0, "somebody may be about to use it"
    clock.advance(OPTIONS_KEPT_US / SECOND + 1)
    assert database.execute(ops.forget_options, unused) == (0 if used else 1)


def test_an_option_set_that_was_forgotten_is_stored_again(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    delete(database, ended(database, new_task(opts=kept_for(77))).id)
    clock.advance(OPTIONS_KEPT_US / SECOND + 1)
    database.execute(ops.forget_options, reader.unused_options())
    made = submit(database, new_task(clock.now_us(), opts=kept_for(77)))
    assert reader.get([made.id])[made.id].options == kept_for(77)


def test_counters_that_count_nothing_are_dropped(database: Database, reader: Reader) -> None:
    delete(database, ended(database).id)
    submit(database, new_task())
    database.execute(ops.forget_counters, None)
    with database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT state, count FROM task_counters").all()
    assert [tuple(row) for row in rows] == [(State.QUEUED, 1)]
