"""Follow-ups: each once, with the outcome that asks for them, whatever ends the task."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from taskwire.v1 import task_pb2
from taskwire.v1 import task_service_pb2 as pb
from taskwire_core import recovery
from taskwire_core.follow_up import Condition
from taskwire_core.lifecycle import State
from taskwire_core.task import OutcomeField, Payload, Task, View
from taskwire_db import operations as ops
from taskwire_db.database import Database, Transaction
from taskwire_db.models import task_follow_ups
from taskwire_db.operations.hand_back import hand_back
from taskwire_db.reader import Reader
from tests.store.steps import (
    EACH_CONDITION,
    SECOND,
    ManualClock,
    cancel,
    claim,
    claimed,
    fail,
    follow_up,
    new_task,
    options,
    running,
    submit,
    succeed,
    worker,
)

SUCCESS = {"ON_SUCCESS", "ALWAYS"}
FAILURE = {"ON_FAILURE", "ALWAYS"}
NEITHER = {"ALWAYS"}


class World:
    """A database with the keeper's sweeps, and what is to be known of the tasks in it."""

    def __init__(self, database: Database, reader: Reader, clock: ManualClock) -> None:
        self.database = database
        self.reader = reader
        self.clock = clock

    def followed(self, **opts: int | bool) -> Task:
        """A running task with a follow-up on each condition."""
        new = new_task(follow_ups=EACH_CONDITION, opts=options(**opts))  # type: ignore[arg-type]
        return running(self.database, new)

    def waiting(self, **opts: int | bool) -> Task:
        """One that waits."""
        new = new_task(follow_ups=EACH_CONDITION, opts=options(**opts))  # type: ignore[arg-type]
        return submit(self.database, new)

    def sweep(self) -> None:
        for sweep in (ops.sweep_lost, ops.sweep_deadlines, ops.sweep_due):
            self.database.execute(sweep, ops.Sweep())

    def task(self, task_id: bytes) -> Task:
        return self.reader.get([task_id], View.FULL)[task_id]

    def children(self, task: Task) -> list[Task]:
        """The tasks that follow `task`, in the order of its plan."""
        shown = self.task(task.id).follow_ups
        return [self.task(each.task_id) for each in shown if each.task_id is not None]

    def inputs(self, task: Task) -> set[str]:
        """What the follow-ups that were made of `task` say of themselves, each once."""
        found = [child.input.data.decode() for child in self.children(task) if child.input]
        assert len(found) == len(set(found))
        return set(found)


@pytest.fixture
def world(database: Database, reader: Reader, clock: ManualClock) -> World:
    return World(database, reader, clock)


def succeeds(world: World) -> Task:
    task = world.followed()
    succeed(world.database, task)
    return task


def fails_for_good(world: World) -> Task:
    task = world.followed()
    fail(world.database, task, retryable=False)
    return task


def uses_up_its_attempts(world: World) -> Task:
    task = world.followed(max_attempts=1)
    fail(world.database, task)
    return task


def times_out_at_its_worker(world: World) -> Task:
    task = world.followed(max_attempts=1)
    settlement = recovery.overran(task, now_us=world.clock.now_us())
    world.database.execute(ops.settle, settlement)
    return task


def overruns_and_is_ended_by_the_keeper(world: World) -> Task:
    task = world.followed(max_attempts=1)
    beat = ops.Heartbeat(task.worker_id or b"", 0, 1_000 * SECOND)
    world.database.execute(ops.heartbeat, beat)
    world.clock.advance(70)
    world.sweep()
    return task


def loses_its_worker(world: World) -> Task:
    task = world.followed(max_attempts=1)
    world.clock.advance(30)
    world.sweep()
    return task


def poisons_its_process(world: World) -> Task:
    task = world.followed()
    for _ in range(3):
        lost = recovery.lost(task, now_us=world.clock.now_us(), alone=True)
        world.database.execute(ops.settle, lost)
        world.clock.advance(2)
        world.sweep()
        again = claim(world.database, task.id, worker(world.database))
        task = again or task
    return task


def is_lost_although_it_may_begin_once_only(world: World) -> Task:
    task = world.followed(max_attempts=1, at_most_once=True)
    world.database.execute(hand_back, task.worker_id or b"")
    return task


def never_begins(world: World) -> Task:
    task = world.waiting(start_timeout=5)
    world.clock.advance(6)
    world.sweep()
    return task


def waits_longer_than_it_may(world: World) -> Task:
    task = world.followed(total_timeout=5)
    fail(world.database, task)
    world.clock.advance(6)
    world.database.execute(ops.sweep_deadlines, ops.Sweep())
    return task


def is_cancelled_while_it_waits(world: World) -> Task:
    task = world.waiting()
    cancel(world.database, task.id)
    return task


def is_cancelled_while_it_runs(world: World) -> Task:
    task = world.followed()
    cancel(world.database, task.id)
    fail(world.database, task)
    return task


def loses_its_worker_while_it_is_cancelled(world: World) -> Task:
    task = world.followed()
    cancel(world.database, task.id)
    world.clock.advance(30)
    world.sweep()
    return task


def succeeds_in_spite_of_a_cancel(world: World) -> Task:
    task = world.followed()
    cancel(world.database, task.id)
    succeed(world.database, task)
    return task


@pytest.mark.parametrize(
    ("end", "state", "expected"),
    [
        (succeeds, State.SUCCEEDED, SUCCESS),
        (succeeds_in_spite_of_a_cancel, State.SUCCEEDED, SUCCESS),
        (fails_for_good, State.FAILED, FAILURE),
        (uses_up_its_attempts, State.FAILED, FAILURE),
        (times_out_at_its_worker, State.FAILED, FAILURE),
        (overruns_and_is_ended_by_the_keeper, State.FAILED, FAILURE),
        (loses_its_worker, State.FAILED, FAILURE),
        (poisons_its_process, State.FAILED, FAILURE),
        (is_lost_although_it_may_begin_once_only, State.FAILED, FAILURE),
        (waits_longer_than_it_may, State.FAILED, FAILURE),
        (never_begins, State.EXPIRED, FAILURE),
        (is_cancelled_while_it_waits, State.CANCELLED, NEITHER),
        (is_cancelled_while_it_runs, State.CANCELLED, NEITHER),
        (loses_its_worker_while_it_is_cancelled, State.CANCELLED, NEITHER),
    ],
)
def test_every_end_is_followed_by_what_waits_for_it(
    world: World, end: Callable[[World], Task], state: State, expected: set[str]
) -> None:
    task = end(world)

    assert world.task(task.id).state is state
    assert world.inputs(task) == expected
    # What does what it can to a task that has ended changes nothing.
    succeed(world.database, task)
    fail(world.database, task)
    cancel(world.database, task.id)
    world.sweep()
    assert world.inputs(task) == expected
    assert sum(world.reader.counts().values()) == 1 + len(expected)


def test_nothing_follows_before_the_end(world: World) -> None:
    task = world.followed()
    fail(world.database, task)

    assert world.children(task) == []
    assert [each.condition for each in world.task(task.id).follow_ups] == list(Condition)


def test_a_follow_up_is_the_owners_and_names_its_parent(world: World) -> None:
    plan = follow_up(Condition.ALWAYS, labels={"of": "it"})
    task = running(world.database, new_task(owner="ada", follow_ups=(plan,)))
    succeed(world.database, task)

    (child,) = world.children(task)
    assert (child.owner, child.parent, child.generation) == ("ada", task.id, 1)
    assert (child.state, child.labels) == (State.QUEUED, {"of": "it"})
    assert child.options == plan.options


def test_a_delay_counts_from_the_end(world: World) -> None:
    later = follow_up(Condition.ON_SUCCESS, delay_us=60 * SECOND)
    task = running(world.database, new_task(follow_ups=(later,)))
    world.clock.advance(15)
    succeed(world.database, task)

    (child,) = world.children(task)
    assert child.state is State.SCHEDULED
    assert child.schedule_time_us == world.clock.now_us() + 60 * SECOND


def test_a_follow_up_may_wait_for_a_time(world: World) -> None:
    at_us = world.clock.now_us() + 100 * SECOND
    plan = follow_up(Condition.ON_SUCCESS, schedule_time_us=at_us)
    first = running(world.database, new_task(follow_ups=(plan,)))
    second = running(world.database, new_task(follow_ups=(plan,)))
    succeed(world.database, first)
    world.clock.advance(200)
    succeed(world.database, second)

    assert [child.schedule_time_us for child in world.children(first)] == [at_us]
    assert [child.state for child in world.children(second)] == [State.QUEUED]


def test_the_result_is_handed_over(world: World) -> None:
    before = pb.WaitTaskResponse(timed_out=True).SerializeToString()
    plan = follow_up(
        Condition.ON_SUCCESS,
        input=Payload("taskwire.v1.WaitTaskResponse", before),
        outcome=OutcomeField(1, whole_task=False),
    )
    task = running(world.database, new_task(follow_ups=(plan,)))
    succeed(world.database, task, task_pb2.Task(id="the result").SerializeToString())

    (child,) = world.children(task)
    assert child.input is not None
    filled = pb.WaitTaskResponse.FromString(child.input.data)
    assert (filled.task.id, filled.timed_out) == ("the result", True)


def ended_task_of(world: World, task: Task) -> task_pb2.Task:
    (child,) = world.children(task)
    assert child.input is not None
    return pb.GetTaskResponse.FromString(child.input.data).task


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [
        (succeed, "TASK_STATE_SUCCEEDED", ""),
        (fail, "TASK_STATE_FAILED", "BROKEN"),
        (lambda database, task: cancel(database, task.id), "TASK_STATE_CANCELLED", ""),
    ],
)
def test_the_ended_task_is_handed_over(
    world: World, end: Callable[[Database, Task], object], state: str, reason: str
) -> None:
    plan = follow_up(
        Condition.ALWAYS,
        input=Payload("taskwire.v1.GetTaskResponse", b""),
        outcome=OutcomeField(1, whole_task=True),
    )
    opts = options(max_attempts=1)
    task = running(world.database, new_task(opts=opts, follow_ups=(plan,), labels={"a": "b"}))
    end(world.database, task)
    if reason == "" and state == "TASK_STATE_CANCELLED":
        fail(world.database, task)

    found = ended_task_of(world, task)
    assert task_pb2.TaskState.Name(found.state) == state
    assert (found.type, found.owner, dict(found.labels)) == (task.type, "dev", {"a": "b"})
    assert found.HasField("end_time")
    assert found.HasField("result") == (state == "TASK_STATE_SUCCEEDED")
    assert (reason in str(found.error.status)) if reason else not found.HasField("error")


def test_the_keepers_error_is_handed_over(world: World) -> None:
    plan = follow_up(
        Condition.ON_FAILURE,
        input=Payload("taskwire.v1.GetTaskResponse", b""),
        outcome=OutcomeField(1, whole_task=True),
    )
    opts = options(total_timeout=5)
    task = running(world.database, new_task(opts=opts, follow_ups=(plan,)))
    fail(world.database, task)
    world.clock.advance(6)
    world.database.execute(ops.sweep_deadlines, ops.Sweep())

    assert ended_task_of(world, task).error.kind == task_pb2.TaskError.KIND_TIMEOUT


def test_a_follow_up_has_follow_ups(world: World) -> None:
    last = follow_up(Condition.ALWAYS)
    chain = follow_up(Condition.ON_SUCCESS, follow_up(Condition.ON_FAILURE, last))
    first = running(world.database, new_task(follow_ups=(chain,)))
    succeed(world.database, first)
    (second,) = world.children(first)
    fail(
        world.database, claimed(world.database, second.id, worker(world.database)), retryable=False
    )
    (third,) = world.children(second)
    cancel(world.database, third.id)
    (fourth,) = world.children(third)

    assert [fourth.generation, fourth.follow_up_count] == [3, 0]
    assert fourth.parent == third.id


def test_a_group_that_ends_many_tasks_follows_each(world: World) -> None:
    followed = [world.followed() for _ in range(5)]
    plain = running(world.database)
    result = Payload("acme.v1.ShrinkResponse", b"")

    with world.database.transaction() as tx:
        ops.settle(tx, [recovery.succeeded(task, result) for task in [*followed, plain]])

    assert [world.inputs(task) for task in followed] == [SUCCESS] * 5
    assert world.children(plain) == []
    # The doorbells of the new ones wake whoever publishes them.
    rung = [t for t in tx.changed if isinstance(t, Task) and t.state is State.QUEUED]
    assert len(rung) == 10


def test_a_settlement_that_is_rolled_back_has_made_nothing(world: World) -> None:
    task = world.followed()

    def cut_short(tx: Transaction, _: object) -> list[None]:
        ops.settle(tx, [recovery.succeeded(task, Payload("acme.v1.ShrinkResponse", b""))])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.database.execute(cut_short, None)

    assert world.task(task.id).state is State.RUNNING
    assert world.children(task) == []
    assert sum(world.reader.counts().values()) == 1


def test_a_retried_task_is_followed_again(world: World) -> None:
    first = fails_for_good(world)
    again = replace(new_task(), retry_of=first.id)
    made = world.database.execute(ops.retry, ops.Submission(again)).submitted
    assert made is not None

    succeed(world.database, claimed(world.database, made.task.id, worker(world.database)))

    assert world.inputs(first) == FAILURE
    assert world.inputs(made.task) == SUCCESS


def test_a_deleted_task_takes_its_plan_along_and_leaves_what_followed(world: World) -> None:
    task = succeeds(world)
    made = [child.id for child in world.children(task)]

    world.database.execute(ops.delete, ops.DeleteRequest(task.id, None))

    assert len(world.reader.get(made)) == 2
    with world.database.connect() as connection:
        left = connection.execute(sa.select(sa.func.count()).select_from(task_follow_ups))
        assert left.scalar_one() == 0
