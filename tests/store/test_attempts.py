"""Attempts: claimed once, settled by their owner only, retried within their budget."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from taskwire_core import recovery
from taskwire_core.failure import FailureKind
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Payload, View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import tasks
from taskwire_db.reader import Reader
from tests.store.steps import (
    SECOND,
    START_US,
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


def test_a_task_is_claimed_once(database: Database) -> None:
    made = submit(database, new_task())
    first, second = worker(database), worker(database)
    assert claimed(database, made.id, first).attempt == 1
    assert claim(database, made.id, second) is None


def test_a_claim_brings_the_input(database: Database) -> None:
    task = running(database)
    assert task.input is not None
    assert task.input.data == b"content"


def test_a_worker_without_a_live_lease_claims_nothing(
    database: Database, clock: ManualClock
) -> None:
    made = submit(database, new_task())
    late = worker(database)
    clock.advance(21)
    assert claim(database, made.id, late) is None
    assert claim(database, made.id, new_id()) is None


def test_an_expired_lease_is_never_revived(database: Database, clock: ManualClock) -> None:
    late = worker(database)
    clock.advance(21)
    assert not database.execute(ops.heartbeat, ops.Heartbeat(late, 0, TTL_US)).alive


def test_a_step_of_the_wall_clock_expires_no_lease(database: Database, clock: ManualClock) -> None:
    made = submit(database, new_task())
    steady = worker(database)
    clock.wall_us += 3600 * SECOND
    assert claim(database, made.id, steady) is not None


def test_a_lease_of_another_boot_is_expired(database: Database, clock: ManualClock) -> None:
    made = submit(database, new_task())
    before = worker(database)
    clock.boot = "boot-2"
    assert claim(database, made.id, before) is None


def test_a_success_is_visible_with_its_result(database: Database, reader: Reader) -> None:
    task = running(database)
    assert succeed(database, task) is not None
    found = reader.get([task.id])[task.id]
    assert found.state == State.SUCCEEDED
    assert found.result is not None
    assert found.result.data == b"done"
    assert found.delete_time_us is not None


def test_a_settlement_of_an_old_attempt_is_refused(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    zombie = running(database)
    clock.advance(21)
    database.execute(ops.sweep_lost, ops.Sweep())
    clock.advance(2)
    database.execute(ops.sweep_due, ops.Sweep())
    heir = claimed(database, zombie.id, worker(database))
    assert succeed(database, zombie, b"stale") is None
    assert succeed(database, heir, b"fresh") is not None
    found = reader.get([zombie.id])[zombie.id]
    assert found.result is not None
    assert found.result.data == b"fresh"


def test_a_stale_settlement_in_the_same_group_takes_nothing_from_the_real_one(
    database: Database, clock: ManualClock
) -> None:
    zombie = running(database)
    database.execute(ops.expire_worker, zombie.worker_id or b"")
    database.execute(ops.sweep_lost, ops.Sweep())
    clock.advance(2)
    database.execute(ops.sweep_due, ops.Sweep())
    heir = claimed(database, zombie.id, worker(database))
    ends = [
        recovery.succeeded(task, Payload("acme.v1.ShrinkResponse", data))
        for task, data in ((zombie, b"stale"), (heir, b"fresh"), (heir, b"again"))
    ]
    with database.transaction() as tx:
        stale, fresh, again = ops.settle(tx, ends)
    assert stale is None
    assert fresh is not None
    assert fresh.result is not None
    assert fresh.result.data == b"fresh"
    assert again is None


def test_a_retryable_error_waits_and_runs_again(database: Database, clock: ManualClock) -> None:
    task = running(database)
    failed = fail(database, task)
    assert failed is not None
    assert failed.state == State.RETRYING
    assert failed.not_before_us == clock.now_us() + SECOND
    assert database.execute(ops.sweep_due, ops.Sweep()) == []
    clock.advance(1)
    (due,) = database.execute(ops.sweep_due, ops.Sweep())
    assert due.state == State.QUEUED
    assert claimed(database, task.id, worker(database)).attempt == 2


def test_a_final_error_fails_at_once(database: Database, reader: Reader) -> None:
    task = running(database)
    fail(database, task, retryable=False)
    found = reader.get([task.id])[task.id]
    assert found.state == State.FAILED
    assert found.failure is not None
    assert found.failure.reason == "BROKEN"


def test_the_last_attempt_of_the_budget_fails(database: Database) -> None:
    task = running(database, new_task(opts=options(max_attempts=1)))
    failed = fail(database, task)
    assert failed is not None
    assert failed.state == State.FAILED


def test_a_handed_back_attempt_uses_no_budget(database: Database, clock: ManualClock) -> None:
    task = running(database, new_task(opts=options(max_attempts=2)))
    back = database.execute(ops.settle, recovery.handed_back(task, "drain"))
    assert back is not None
    assert back.state == State.QUEUED
    again = claimed(database, task.id, worker(database))
    assert again.attempt == 2
    failed = fail(database, again)
    assert failed is not None
    assert failed.state == State.RETRYING


def test_the_attempts_of_a_task_are_told_in_full(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    task = running(database)
    fail(database, task)
    clock.advance(1)
    database.execute(ops.sweep_due, ops.Sweep())
    succeed(database, claimed(database, task.id, worker(database)))
    first, second = reader.get([task.id], View.FULL)[task.id].attempts
    assert (first.number, second.number) == (1, 2)
    assert first.failure is not None
    assert first.failure.reason == "BROKEN"
    assert second.failure is None
    assert second.end_time_us is not None


def test_a_lost_worker_is_found_and_its_task_runs_alone_next(
    database: Database, clock: ManualClock
) -> None:
    task = running(database)
    assert database.execute(ops.sweep_lost, ops.Sweep()) == []
    database.execute(ops.expire_worker, task.worker_id or b"")
    (lost,) = database.execute(ops.sweep_lost, ops.Sweep())
    assert lost.state == State.RETRYING
    assert lost.solo
    assert lost.crashes == 0


def test_a_task_that_crashes_alone_three_times_is_poison(
    database: Database, clock: ManualClock
) -> None:
    task = running(database, new_task(opts=options(max_attempts=100)))
    for _ in range(2):
        crashed = recovery.lost(task, now_us=clock.now_us(), alone=True)
        assert crashed.target == State.RETRYING
        database.execute(ops.settle, crashed)
        clock.advance(2)
        database.execute(ops.sweep_due, ops.Sweep())
        task = claimed(database, task.id, worker(database))
    ended = database.execute(ops.settle, recovery.lost(task, now_us=clock.now_us(), alone=True))
    assert ended is not None
    assert ended.state == State.FAILED
    assert ended.failure is not None
    assert ended.failure.kind == FailureKind.POISON


def test_workers_that_are_killed_over_and_over_make_no_task_poison(
    database: Database, clock: ManualClock
) -> None:
    task = running(database, new_task(opts=options(max_attempts=100)))
    for _ in range(6):
        database.execute(ops.expire_worker, task.worker_id or b"")
        (lost,) = database.execute(ops.sweep_lost, ops.Sweep())
        assert (lost.state, lost.crashes) == (State.RETRYING, 0)
        clock.advance(2)
        database.execute(ops.sweep_due, ops.Sweep())
        task = claimed(database, task.id, worker(database))
    assert task.solo


def test_an_at_most_once_task_never_begins_again(database: Database) -> None:
    task = running(database, new_task(opts=options(max_attempts=1, at_most_once=True)))
    database.execute(ops.expire_worker, task.worker_id or b"")
    (lost,) = database.execute(ops.sweep_lost, ops.Sweep())
    assert lost.state == State.FAILED
    assert lost.failure is not None
    assert lost.failure.kind == FailureKind.WORKER_LOST


def test_an_attempt_past_its_run_deadline_is_timed_out(
    database: Database, clock: ManualClock
) -> None:
    task = running(database)
    for _ in range(5):
        clock.advance(15)
        database.execute(ops.heartbeat, ops.Heartbeat(task.worker_id or b"", 0, TTL_US))
    (late,) = database.execute(ops.sweep_lost, ops.Sweep())
    assert late.state == State.RETRYING
    assert not late.solo


def test_a_step_of_the_wall_clock_ends_no_attempt(database: Database, clock: ManualClock) -> None:
    running(database)
    clock.wall_us += 3600 * SECOND
    assert database.execute(ops.sweep_lost, ops.Sweep()) == []


def test_a_wall_clock_that_is_set_back_keeps_nothing_queued_from_its_worker(
    database: Database, clock: ManualClock
) -> None:
    made = submit(database, new_task())
    clock.wall_us -= 3600 * SECOND
    assert claim(database, made.id, worker(database)) is not None


def test_a_task_that_never_began_expires(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    made = submit(database, new_task(opts=options(start_timeout=5)))
    clock.advance(5)
    assert claim(database, made.id, worker(database)) is None
    (ended,) = database.execute(ops.sweep_deadlines, ops.Sweep())
    assert ended.state == State.EXPIRED
    assert ended == reader.get([made.id])[made.id]


@pytest.mark.parametrize("timeout", ["start_timeout", "total_timeout"])
def test_a_task_that_was_claimed_and_never_began_expires(
    database: Database, reader: Reader, clock: ManualClock, timeout: str
) -> None:
    opts = options(start_timeout=5) if timeout == "start_timeout" else options(total_timeout=5)
    task = running(database, new_task(opts=opts))
    database.execute(ops.settle, recovery.handed_back(task, "no thread", began=False))
    assert reader.next_due_us() == START_US + 5 * SECOND
    clock.advance(5)
    (ended,) = database.execute(ops.sweep_deadlines, ops.Sweep())
    assert (ended.state, ended.attempt, ended.start_time_us) == (State.EXPIRED, 1, None)


def test_a_task_past_its_total_time_out_that_had_begun_fails(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    task = running(database, new_task(opts=options(total_timeout=30)))
    fail(database, task)
    clock.advance(31)
    (ended,) = database.execute(ops.sweep_deadlines, ops.Sweep())
    assert ended.state == State.FAILED
    assert ended.failure is not None
    assert ended.failure.kind == FailureKind.TIMEOUT
    # What is announced is what is read.
    assert ended == reader.get([task.id])[task.id]


def test_a_task_past_its_total_time_out_begins_no_more(
    database: Database, clock: ManualClock
) -> None:
    task = running(database, new_task(opts=options(total_timeout=30)))
    fail(database, task)
    clock.advance(1)
    database.execute(ops.sweep_due, ops.Sweep())
    clock.advance(29)
    assert claim(database, task.id, worker(database)) is None


@pytest.mark.parametrize("delay_s", [0, 10])
def test_a_cancelled_waiting_task_is_never_started(
    database: Database, clock: ManualClock, delay_s: float
) -> None:
    made = submit(database, new_task(delay_s=delay_s))
    result = cancel(database, made.id)
    assert result.task.state == State.CANCELLED
    assert result.effective
    clock.advance(11)
    database.execute(ops.sweep_due, ops.Sweep())
    assert claim(database, made.id, worker(database)) is None


def test_a_running_task_is_cancelled_by_its_worker(database: Database) -> None:
    task = running(database)
    assert cancel(database, task.id).task.state == State.CANCELLING
    lease = database.execute(ops.heartbeat, ops.Heartbeat(task.worker_id or b"", 0, TTL_US))
    assert lease.cancelled == ((task.id, 1),)
    ended = fail(database, task)
    assert ended is not None
    assert ended.state == State.CANCELLED
    assert ended.failure is None


def test_work_that_succeeds_before_it_notices_the_cancel_succeeds(database: Database) -> None:
    task = running(database)
    cancel(database, task.id)
    ended = succeed(database, task)
    assert ended is not None
    assert ended.state == State.SUCCEEDED


def test_a_second_cancel_changes_nothing(database: Database) -> None:
    task = running(database)
    first, second = cancel(database, task.id), cancel(database, task.id)
    assert first.task.version == second.task.version
    assert second.effective


def test_cancelling_an_ended_task_has_no_effect(database: Database) -> None:
    task = running(database)
    succeed(database, task)
    assert not cancel(database, task.id).effective


def test_nobody_cancels_the_task_of_another_owner(database: Database) -> None:
    made = submit(database, new_task(owner="ada"))
    foreign = ops.CancelRequest(made.id, "bob", "", "bob")
    assert database.execute(ops.cancel, foreign) is None
    with database.transaction() as tx:
        mine = ops.CancelRequest(made.id, "ada", "", "ada")
        results = ops.cancel(tx, [foreign, mine])
    assert results[0] is None
    assert results[1] is not None
    assert results[1].task.state == State.CANCELLED


def test_the_database_itself_refuses_to_leave_a_terminal_state(database: Database) -> None:
    task = running(database)
    succeed(database, task)
    statement = sa.update(tasks).where(tasks.c.id == task.id)
    with pytest.raises(sa.exc.IntegrityError), database.transaction() as tx:
        tx.connection.execute(statement.values(state=2, version=tasks.c.version + 1))


def test_the_database_itself_refuses_to_skip_a_version(database: Database) -> None:
    task = running(database)
    statement = sa.update(tasks).where(tasks.c.id == task.id)
    with pytest.raises(sa.exc.IntegrityError), database.transaction() as tx:
        tx.connection.execute(statement.values(state=6))


def test_progress_of_an_old_attempt_is_not_kept(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    from taskwire_core.task import Progress

    task = running(database)
    half = Progress(0.5, 1, 2, "half", clock.now_us())
    database.execute(ops.save_progress, ops.ProgressRow(task.id, 1, half))
    database.execute(ops.save_progress, ops.ProgressRow(task.id, 7, Progress(1, 2, 2, "", 0)))
    assert reader.get([task.id])[task.id].progress == half


def test_a_new_attempt_begins_without_the_progress_of_the_last_one(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    from taskwire_core.task import Progress

    task = running(database)
    half = Progress(0.5, 1, 2, "half", clock.now_us())
    database.execute(ops.save_progress, ops.ProgressRow(task.id, 1, half))
    fail(database, task)
    clock.advance(10)
    database.execute(ops.sweep_due, ops.Sweep())
    assert claimed(database, task.id, worker(database)).attempt == 2
    assert reader.get([task.id])[task.id].progress is None


def test_after_a_boot_alone_everything_that_ran_is_recovered_at_once(
    database: Database, reader: Reader
) -> None:
    made = submit(database, new_task())
    task = claimed(database, made.id, worker(database, ttl_us=None))
    database.execute(ops.sweep_orphans, None)
    (lost,) = database.execute(ops.sweep_lost, ops.Sweep())
    assert lost.id == task.id
    assert lost.state == State.RETRYING
