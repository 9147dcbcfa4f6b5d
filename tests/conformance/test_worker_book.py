"""What a supervisor may rely on when it keeps the list of its workers, wherever that is."""

from __future__ import annotations

import pytest

from taskwire_core.errors import StoreUnavailable
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from taskwire_worker.ports import Report, WorkerRow
from tests.store.steps import TTL_US, new_task, options
from tests.support.workplaces import Workplace, at_work, dispatch_of

TTL_S = TTL_US / 1e6


def running(workplace: Workplace, worker_id: bytes, *, once: bool = False) -> Task:
    new = new_task(workplace.clock.now_us(), opts=options(at_most_once=once, max_attempts=3))
    workplace.submit(new)
    (task,) = workplace.ledger(worker_id).claim([dispatch_of(new)])
    return task


def alive(workplace: Workplace, worker_id: bytes) -> bool:
    return bool(workplace.book.renew({worker_id: Report()}).alive)


def test_a_registered_worker_lives_for_its_lease(workplace: Workplace) -> None:
    worker_id, _ = at_work(workplace)
    workplace.clock.advance(TTL_S - 1)
    assert alive(workplace, worker_id)
    workplace.clock.advance(TTL_S - 1)
    assert alive(workplace, worker_id)


def test_a_lease_that_has_ended_is_never_revived(workplace: Workplace) -> None:
    worker_id, _ = at_work(workplace)
    workplace.clock.advance(TTL_S)
    assert not alive(workplace, worker_id)
    assert not alive(workplace, worker_id)


def test_some_are_renewed_beside_those_that_are_not(workplace: Workplace) -> None:
    old, _ = at_work(workplace)
    workplace.clock.advance(TTL_S)
    new, _ = at_work(workplace)
    reports = {each: Report(3, draining=True) for each in (old, new, new_id())}

    renewal = workplace.book.renew(reports)

    assert renewal.alive == {new}
    assert renewal.cancelling.keys() == reports.keys()


def test_a_registration_whose_answer_was_lost_is_repeated(workplace: Workplace) -> None:
    row = WorkerRow(new_id(), "host", 1, 8, ("acme.v1.Images/Shrink",), ("images",))
    workplace.book.register(row)
    workplace.clock.advance(TTL_S - 1)
    workplace.book.register(row)
    assert alive(workplace, row.id)


def test_repeating_a_registration_revives_no_lease(workplace: Workplace) -> None:
    row = WorkerRow(new_id(), "host", 1, 8, ("acme.v1.Images/Shrink",), ("images",))
    workplace.book.register(row)
    workplace.clock.advance(TTL_S)
    workplace.book.register(row)
    assert not alive(workplace, row.id)


def test_a_heartbeat_brings_the_attempts_that_are_being_cancelled(workplace: Workplace) -> None:
    mine, _ = at_work(workplace)
    other, _ = at_work(workplace)
    first, second, ended, left = (running(workplace, mine) for _ in range(4))
    elsewhere = running(workplace, other)
    for task in (first, second, ended, elsewhere):
        workplace.cancel(task.id)
    workplace.book.lost(other)

    renewal = workplace.book.renew({mine: Report(), other: Report()})

    assert set(renewal.cancelling[mine]) == {(t.id, 1) for t in (first, second, ended)}
    assert list(renewal.cancelling[other]) == []
    assert workplace.read(left.id).state == State.RUNNING


def test_the_tasks_of_a_dead_worker_are_recovered_at_once(workplace: Workplace) -> None:
    mine, ledger = at_work(workplace)
    other, _ = at_work(workplace)
    plain, once, cancelled = (running(workplace, mine, once=o) for o in (False, True, False))
    elsewhere = running(workplace, other)
    workplace.cancel(cancelled.id)

    workplace.book.lost(mine)

    states = [workplace.read(t.id).state for t in (plain, once, cancelled, elsewhere)]
    assert states == [State.RETRYING, State.FAILED, State.CANCELLED, State.RUNNING]
    assert workplace.read(plain.id).solo, "nobody knows whose fault it was"
    failure = workplace.read(once.id).failure
    assert failure is not None
    assert failure.reason == "WORKER_LOST"
    assert not alive(workplace, mine)
    new = new_task(workplace.clock.now_us())
    workplace.submit(new)
    assert not ledger.claim([dispatch_of(new)])


def test_what_a_retired_worker_still_holds_is_given_back(workplace: Workplace) -> None:
    mine, _ = at_work(workplace)
    plain, once, cancelled = (running(workplace, mine, once=o) for o in (False, True, False))
    workplace.cancel(cancelled.id)

    workplace.book.retired(mine)

    states = [workplace.read(t.id).state for t in (plain, once, cancelled)]
    assert states == [State.QUEUED, State.FAILED, State.CANCELLED]
    returned = workplace.read(plain.id)
    assert (returned.handed_back, returned.dispatch, returned.worker_id) == (1, 2, None)
    assert not alive(workplace, mine)


def test_a_worker_that_nobody_knows_may_be_lost_and_retired(workplace: Workplace) -> None:
    workplace.book.lost(new_id())
    workplace.book.retired(new_id())


def test_nothing_is_written_while_the_store_is_away(workplace: Workplace) -> None:
    worker_id, _ = at_work(workplace)
    task = running(workplace, worker_id)
    before = workplace.read(task.id)
    row = WorkerRow(new_id(), "host", 1, 8, (), ())

    with workplace.away():
        with pytest.raises(StoreUnavailable):
            workplace.book.register(row)
        with pytest.raises(StoreUnavailable):
            workplace.book.renew({worker_id: Report()})
        with pytest.raises(StoreUnavailable):
            workplace.book.lost(worker_id)
        with pytest.raises(StoreUnavailable):
            workplace.book.retired(worker_id)

    assert workplace.read(task.id) == before
    assert alive(workplace, worker_id)
    assert not alive(workplace, row.id)
