"""A model of the whole protocol over the real store: brokers that lose, workers that crash.

The rules take steps in any order; after each the invariants of the design are checked on what
the database holds. At the end the world is repaired and everything must end.
"""

from __future__ import annotations

import contextlib
from collections import Counter

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskwire_core import recovery
from taskwire_core.follow_up import Condition
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Dispatch, Task
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import task_outcomes, tasks
from tests.store.invariants import check_invariants
from tests.store.steps import (
    EACH_CONDITION,
    SECOND,
    TTL_US,
    ManualClock,
    cancel,
    claim,
    fail,
    new_task,
    options,
    submit,
    succeed,
    worker,
)
from tests.support.stores import Stores, sync_nothing

TYPE = "acme.v1.Images/Shrink"


class Lifecycle(RuleBasedStateMachine):
    """Submit, deliver, deliver twice, lose, crash, cancel, drain, sweep, settle late."""

    stores: Stores
    """Where each history gets a database of its own; a test sets it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.store = contextlib.ExitStack()
        url = self.store.enter_context(self.stores.migrated())
        self.database = Database(url, clock=self.clock)
        self.store.callback(self.database.close)
        sync_nothing(self.database)
        self.broker: list[Dispatch] = []
        self.workers: list[bytes] = []
        self.running: list[Task] = []
        self.zombies: list[Task] = []
        self.acknowledged: dict[bytes, Task] = {}
        self.requests: dict[str, bytes] = {}
        self.ended: dict[bytes, tuple[int, int]] = {}
        self.paused = False
        self.confirmed_cancels: dict[bytes, int] = {}
        self.gateway = new_id()

    @initialize()
    def begin(self) -> None:
        self.workers.append(worker(self.database))
        for attempts in (3, 100):
            self.submit(0, attempts, once=False, timed=False, followed=True)

    # What callers do.

    @rule(
        delay=st.sampled_from([0, 0, 5]),
        attempts=st.sampled_from([1, 3, 100]),
        once=st.booleans(),
        timed=st.booleans(),
        followed=st.booleans(),
    )
    def submit(self, delay: int, attempts: int, once: bool, timed: bool, followed: bool) -> None:
        opts = options(
            max_attempts=1 if once else attempts,
            at_most_once=once,
            start_timeout=30 if timed else None,
            total_timeout=120 if timed else None,
        )
        new = new_task(
            self.clock.now_us(),
            opts=opts,
            delay_s=delay,
            follow_ups=EACH_CONDITION if followed else (),
        )
        made = submit(self.database, new)
        self.acknowledged[made.id] = made

    @rule(name=st.sampled_from(["a", "b", "c"]))
    def submit_with_a_request_id(self, name: str) -> None:
        made = submit(self.database, new_task(self.clock.now_us(), request_id=name))
        assert self.requests.setdefault(name, made.id) == made.id, "I9: one request, two tasks"
        self.acknowledged.setdefault(made.id, made)

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.acknowledged)))
        result = cancel(self.database, task_id)
        if result.task.state == State.CANCELLED:
            self.confirmed_cancels.setdefault(task_id, result.task.attempt)

    @rule(paused=st.booleans())
    def pause_or_resume(self, paused: bool) -> None:
        if paused:
            self.database.execute(ops.pause_queue, ops.PauseRequest("images", "dev", ""))
        else:
            self.database.execute(ops.resume_queue, "images")
        self.paused = paused

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def run_now(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.acknowledged)))
        self.database.execute(ops.run_now, ops.RunNowRequest(task_id, "dev", "dev"))

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.acknowledged)))
        result = self.database.execute(ops.delete, ops.DeleteRequest(task_id, "dev"))
        assert result is not None
        assert result.deleted or task_id not in self.ended, "an ended task was not deleted"
        if result.deleted:
            del self.acknowledged[task_id]
            self.ended.pop(task_id, None)
            self.requests = {n: made for n, made in self.requests.items() if made != task_id}

    # What the broker and the dispatcher do.

    @rule(marked=st.booleans())
    def publish(self, marked: bool) -> None:
        wanted = ops.Backlog("images", (TYPE,), 3, self.gateway)
        for dispatch in self.database.execute(ops.take_backlog, wanted):
            self.broker.append(dispatch)
            if marked:
                self.database.execute(ops.mark_dispatched, dispatch)

    @rule()
    def the_gateway_dies(self) -> None:
        self.database.execute(ops.release_gateway, self.gateway)
        self.gateway = new_id()

    @precondition(lambda self: self.broker)
    @rule(data=st.data(), all_of_them=st.booleans())
    def lose_messages(self, data: st.DataObject, all_of_them: bool) -> None:
        lost = self.broker if all_of_them else [data.draw(st.sampled_from(self.broker))]
        self.broker = [dispatch for dispatch in self.broker if dispatch not in lost]

    # What workers do.

    @rule(data=st.data(), twice=st.booleans())
    def deliver(self, data: st.DataObject, twice: bool) -> None:
        if not self.broker:
            self.a_healthy_moment(3)
        if not self.broker:
            return
        dispatch = data.draw(st.sampled_from(self.broker))
        self._claim(dispatch.task_id, data.draw(st.sampled_from(self.workers)))
        if not twice:
            self.broker.remove(dispatch)

    def _claim(self, task_id: bytes, worker_id: bytes) -> None:
        task = claim(self.database, task_id, worker_id)
        if task is not None:
            assert task_id not in self.confirmed_cancels, "I12: began after a confirmed cancel"
            assert not self.paused, "an attempt of a paused queue began"
            self.running.append(task)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.sampled_from(["succeed", "fail", "final", "drain", "unbegun"]))
    def finish(self, data: st.DataObject, how: str) -> None:
        task = data.draw(st.sampled_from(self.running))
        self.running.remove(task)
        self._settle(task, how)

    def _settle(self, task: Task, how: str) -> None:
        if how == "succeed":
            succeed(self.database, task, str(task.attempt).encode())
        elif how in ("drain", "unbegun") and not task.options.at_most_once:
            returned = recovery.handed_back(task, how, began=how == "drain")
            self.database.execute(ops.settle, returned)
        else:
            fail(self.database, task, retryable=how == "fail")

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def forget_an_attempt_that_goes_on(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self.running))
        self.running.remove(task)
        self.zombies.append(task)

    @precondition(lambda self: self.zombies)
    @rule(data=st.data(), how=st.sampled_from(["succeed", "fail", "final", "drain"]))
    def settle_late(self, data: st.DataObject, how: str) -> None:
        task = data.draw(st.sampled_from(self.zombies))
        self._settle(task, how)

    @rule(data=st.data(), noticed=st.booleans())
    def crash(self, data: st.DataObject, noticed: bool) -> None:
        dead = data.draw(st.sampled_from(self.workers))
        self.workers.remove(dead)
        self.zombies += [task for task in self.running if task.worker_id == dead]
        self.running = [task for task in self.running if task.worker_id != dead]
        if noticed:
            self.database.execute(ops.expire_worker, dead)
        self.workers.append(worker(self.database))

    # What time and the keeper do.

    @rule(seconds=st.sampled_from([1, 3, 11, 25, 70]), beating=st.booleans())
    def time_passes(self, seconds: int, beating: bool) -> None:
        for _ in range(max(1, seconds // 5)):
            self.clock.advance(min(seconds, 5))
            if beating:
                for worker_id in self.workers:
                    self.database.execute(ops.heartbeat, ops.Heartbeat(worker_id, 0, TTL_US))

    @rule(what=st.sampled_from([ops.sweep_due, ops.sweep_lost, ops.sweep_deadlines]))
    def sweep(self, what: object) -> None:
        self.database.execute(what, ops.Sweep(limit=2))  # type: ignore[arg-type]  # one of three

    @rule(seconds=st.sampled_from([1, 3]))
    def a_healthy_moment(self, seconds: int) -> None:
        """The keeper and the dispatcher do everything once, as they would in a second or so."""
        self.clock.advance(seconds)
        for sweep in (ops.sweep_lost, ops.sweep_deadlines, ops.sweep_due):
            self.database.execute(sweep, ops.Sweep())
        self.publish(marked=True)

    @rule()
    def sweep_stranded(self) -> None:
        before = self.clock.now_us() - 10 * SECOND
        self.database.execute(ops.sweep_stranded, ops.Stranded("images", before))

    # What must hold, after every step.

    @invariant()
    def the_invariants_hold(self) -> None:
        found = check_invariants(self.database, self.acknowledged)
        self._check_follow_ups(found)
        for key, row in found.items():
            if State(row.state).terminal:
                ended = self.ended.setdefault(key, (row.version, row.state))
                assert ended == (row.version, row.state), "I4: a terminal state has changed"
        with self.database.engine.connect() as connection:
            results = connection.execute(
                sa.select(task_outcomes).where(task_outcomes.c.data.is_not(None))
            ).all()
        for result in results:
            attempt = found[bytes(result.task_id)].attempt
            assert bytes(result.data) == str(attempt).encode(), "I5: a stale result"

    def _check_follow_ups(self, found) -> None:  # type: ignore[no-untyped-def]  # rows
        children = Counter(bytes(row.parent) for row in found.values() if row.parent is not None)
        for key, row in found.items():
            due = [each for each in Condition if each.met_by(State(row.state))]
            expected = len(due) if row.follow_up_count else 0
            assert children[key] == expected, f"I16: {children[key]} tasks follow {row.state}"

    def teardown(self) -> None:
        try:
            if self.workers:
                self._everything_ends()
        finally:
            self.store.close()

    def _everything_ends(self) -> None:
        """The faults are over: one worker lives, nothing is lost, and all tasks must end."""
        self.broker.clear()
        self.pause_or_resume(paused=False)
        self.the_gateway_dies()
        for worker_id in self.workers:
            self.database.execute(ops.expire_worker, worker_id)
        self.running.clear()
        for _ in range(150):
            alive = worker(self.database)
            self.clock.advance(11)
            self.sweep_stranded()
            for sweep in (ops.sweep_lost, ops.sweep_deadlines, ops.sweep_due):
                self.database.execute(sweep, ops.Sweep())
            wanted = ops.Backlog("images", (TYPE,), 100, new_id())
            for dispatch in self.database.execute(ops.take_backlog, wanted):
                task = claim(self.database, dispatch.task_id, alive)
                if task is not None:
                    assert dispatch.task_id not in self.confirmed_cancels, "I12"
                    succeed(self.database, task, str(task.attempt).encode())
            self.the_invariants_hold()
            if self._all_ended():
                return
        raise AssertionError("I2: an acknowledged task has not ended")

    def _all_ended(self) -> bool:
        with self.database.engine.connect() as connection:
            live = connection.execute(
                sa.select(sa.func.count()).select_from(tasks).where(tasks.c.state < 6)
            ).scalar_one()
        return live == 0


class LifecycleWithAZombie(Lifecycle):
    """The same world, begun where an old attempt still runs beside its successor.

    A missing fence shows in very few of the histories that begin from nothing.
    """

    @initialize()
    def begin(self) -> None:
        super().begin()
        old = self.workers.pop()
        (zombie, *_) = self.acknowledged
        self._claim(zombie, old)
        self.zombies.append(self.running.pop())
        self.database.execute(ops.expire_worker, old)
        self.workers.append(worker(self.database))
        self.a_healthy_moment(1)
        self.a_healthy_moment(3)
        self._claim(zombie, self.workers[0])
