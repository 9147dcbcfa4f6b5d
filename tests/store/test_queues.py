"""Paused queues, what is known of a queue, and a waiting task that is run now."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch, Task
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import task_counters, task_events
from taskwire_db.operator_models import queue_activity
from taskwire_db.queue_reading import QueueRow, paused_queues, queue_names, queue_rows
from taskwire_db.reader import Reader
from tests.store.steps import (
    SECOND,
    TTL_US,
    ManualClock,
    cancel,
    claim,
    claimed,
    fail,
    new_task,
    options,
    running,
    submit,
    succeed,
    worker,
)

TYPE = "acme.v1.Images/Shrink"


def pause(database: Database, queue: str = "images", *, actor: str = "ada") -> bool:
    return database.execute(ops.pause_queue, ops.PauseRequest(queue, actor, "bad deploy"))


def dispatched(database: Database, *, queue: str = "images") -> Task:
    """A queued task whose message is with the broker."""
    made = submit(database, new_task(opts=options(queue=queue)), gateway_id=new_id())
    dispatch = Dispatch(made.id, made.type, made.queue, made.dispatch)
    database.execute(ops.mark_dispatched, dispatch)
    return made


def run_now(database: Database, task: Task, *, owner: str = "dev") -> ops.RunNowResult | None:
    return database.execute(ops.run_now, ops.RunNowRequest(task.id, owner, "ada"))


def queue(reader: Reader, name: str = "images") -> QueueRow:
    (row,) = queue_rows(reader, [name])
    return row


def test_nothing_of_a_paused_queue_is_claimed_until_it_is_resumed(database: Database) -> None:
    made, alive = dispatched(database), worker(database)
    assert pause(database)
    assert claim(database, made.id, alive) is None
    assert database.execute(ops.resume_queue, "images")
    assert claim(database, made.id, alive) is not None


def test_a_message_that_met_a_pause_is_sent_again_after_it(database: Database) -> None:
    made, alive = dispatched(database), worker(database)
    pause(database)
    claim(database, made.id, alive)
    taken = database.execute(ops.take_backlog, ops.Backlog("images", (TYPE,), 10, new_id()))
    assert [(found.task_id, found.number) for found in taken] == [(made.id, made.dispatch + 1)]


def test_a_pause_holds_up_its_own_queue_only(database: Database, reader: Reader) -> None:
    paused, other = dispatched(database), dispatched(database, queue="mails")
    alive = worker(database)
    pause(database)
    with database.transaction() as tx:
        found = ops.claim(tx, [ops.ClaimRequest(each.id, alive) for each in (paused, other)])
    assert [each and each.id for each in found] == [None, other.id]
    # A task that was refused for another reason keeps its mark.
    assert claim(database, other.id, alive) is None
    assert queue(reader, "mails").counts[State.RUNNING] == 1


def test_running_tasks_go_on_and_may_be_retried_in_a_paused_queue(
    database: Database, clock: ManualClock
) -> None:
    ends, repeats = running(database), running(database)
    pause(database)
    assert succeed(database, ends) is not None
    retrying = fail(database, repeats)
    assert retrying is not None
    assert retrying.state is State.RETRYING
    clock.advance(2)
    assert [each.id for each in database.execute(ops.sweep_due, ops.Sweep())] == [repeats.id]
    assert claim(database, repeats.id, worker(database)) is None


def test_the_first_pause_stands(database: Database, reader: Reader, clock: ManualClock) -> None:
    assert pause(database, actor="ada")
    since = clock.now_us()
    clock.advance(5)
    assert not pause(database, actor="bob")
    found = queue(reader).pause
    assert found is not None
    assert (found.paused_by, found.pause_time_us, found.reason) == ("ada", since, "bad deploy")
    assert paused_queues(reader) == {"images"}
    assert database.execute(ops.resume_queue, "images")
    assert not database.execute(ops.resume_queue, "images")
    assert paused_queues(reader) == frozenset()


def test_a_pause_outlives_a_restart(database: Database, url: str, clock: ManualClock) -> None:
    made = submit(database, new_task())
    pause(database)
    database.close()
    again = Database(url, clock=clock)
    again.execute(ops.sweep_orphans, None)
    assert claim(again, made.id, worker(again)) is None
    again.close()


def test_a_queue_is_there_when_a_task_a_worker_or_a_pause_names_it(
    database: Database, reader: Reader
) -> None:
    assert queue_names(reader) == frozenset()
    worker(database)
    submit(database, new_task(opts=options(queue="mails")))
    pause(database, "reports")
    assert queue_names(reader) == {"images", "mails", "reports"}


def test_the_depth_of_a_queue_is_told_by_state(database: Database, reader: Reader) -> None:
    for _ in range(2):
        submit(database, new_task())
    submit(database, new_task(delay_s=60))
    running(database)
    fail(database, running(database))
    row = queue(reader)
    assert row.counts == {
        State.QUEUED: 2,
        State.SCHEDULED: 1,
        State.RUNNING: 1,
        State.RETRYING: 1,
    } | {state: count for state, count in row.counts.items() if not count}


def test_the_age_of_a_queue_is_that_of_its_oldest_due_task(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    assert queue(reader).oldest_due_us is None
    scheduled = submit(database, new_task(clock.now_us(), delay_s=10))
    clock.advance(30)
    young = submit(database, new_task(clock.now_us()))
    assert queue(reader).oldest_due_us == young.not_before_us
    database.execute(ops.sweep_due, ops.Sweep())
    assert queue(reader).oldest_due_us == scheduled.not_before_us
    claim(database, scheduled.id, worker(database))
    assert queue(reader).oldest_due_us == young.not_before_us


def test_the_oldest_due_task_is_found_by_an_index(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.connect() as connection:
        if not database.is_sqlite:  # Of an empty table it would read the whole.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        plan = connection.exec_driver_sql(
            f"{explain} SELECT not_before FROM tasks"
            " WHERE state = 2 AND queue = 'images' ORDER BY not_before LIMIT 1"
        ).all()
    text = " ".join(str(row) for row in plan)
    assert "ix_tasks_oldest" in text
    assert "Sort" not in text
    assert "TEMP B-TREE" not in text


def test_live_workers_are_counted_with_their_slots(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    worker(database)
    clock.advance(15)
    kept, draining = worker(database), worker(database)
    database.execute(ops.heartbeat, ops.Heartbeat(draining, 0, TTL_US, draining=True))
    clock.advance(10)  # The first one's lease has ended.
    row = queue(reader)
    assert kept != draining
    assert (row.live_workers, row.slots) == (1, 8)


def test_rates_are_those_of_the_last_minute(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    succeed(database, running(database))
    fail(database, running(database), retryable=False)
    expiring = submit(database, new_task(clock.now_us(), opts=options(start_timeout=1)))
    clock.advance(5)
    database.execute(ops.sweep_deadlines, ops.Sweep())
    cancel(database, submit(database, new_task(clock.now_us())).id)
    moves = queue(reader).moves
    assert expiring.state is State.QUEUED
    assert (moves.submitted, moves.started, moves.succeeded, moves.failed) == (4, 2, 1, 2)
    assert 60 <= moves.seconds <= 70
    clock.advance(70)
    assert queue(reader).moves.submitted == 0


def test_rates_are_of_the_present_after_the_clock_was_set_back(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    submit(database, new_task())
    clock.wall_us -= 3600 * SECOND
    submit(database, new_task(clock.now_us()))
    assert queue(reader).moves.submitted == 1


def test_old_activity_is_forgotten_and_new_kept(database: Database, clock: ManualClock) -> None:
    submit(database, new_task())
    clock.advance(400)
    submit(database, new_task())
    assert database.execute(ops.forget_activity, None) == 1
    with database.connect() as connection:
        (row,) = connection.execute(sa.select(queue_activity)).all()
    assert row.bucket == clock.now_us() // (10 * SECOND)


@pytest.mark.parametrize("waits", [State.SCHEDULED, State.RETRYING])
def test_a_task_that_waits_for_a_time_is_run_now(
    database: Database, clock: ManualClock, waits: State
) -> None:
    if waits is State.SCHEDULED:
        before = submit(database, new_task(delay_s=60))
    else:
        failed = fail(database, running(database))
        assert failed is not None
        before = failed
    assert before.state is waits
    clock.advance(0.5)
    result = run_now(database, before)
    assert result is not None
    task = result.task
    assert result.effective
    assert (task.state, task.version) == (State.QUEUED, before.version + 1)
    assert (task.not_before_us, task.dispatch) == (clock.now_us(), before.dispatch + 1)
    with database.connect() as connection:
        event = connection.execute(
            sa.select(task_events.c.event, task_events.c.actor, task_events.c.state).where(
                task_events.c.task_id == task.id, task_events.c.version == task.version
            )
        ).one()
        counted = connection.execute(
            sa.select(task_counters.c.state, task_counters.c.count).where(task_counters.c.count > 0)
        ).all()
    assert tuple(event) == ("run_now", "ada", State.QUEUED)
    assert [tuple(row) for row in counted] == [(State.QUEUED, 1)]
    assert claim(database, task.id, worker(database)) is not None


def test_a_task_that_is_run_now_begins_once(database: Database, clock: ManualClock) -> None:
    made = submit(database, new_task(delay_s=60))
    run_now(database, made)
    clock.advance(61)
    assert database.execute(ops.sweep_due, ops.Sweep()) == []
    begun = claimed(database, made.id, worker(database))
    result = run_now(database, begun)
    assert result is not None
    assert (result.effective, result.task.state) == (False, State.RUNNING)


def test_a_due_task_is_left_as_it_is(database: Database) -> None:
    made = submit(database, new_task())
    result = run_now(database, made)
    assert result is not None
    assert (result.effective, result.task.version) == (False, made.version)


def test_another_users_task_is_not_run_now(database: Database, reader: Reader) -> None:
    made = submit(database, new_task(delay_s=60, owner="bob"))
    assert run_now(database, made) is None
    assert reader.get([made.id])[made.id].state is State.SCHEDULED
