"""Dispatch marks, the backlog's order, and who leads."""

from __future__ import annotations

from msgspec.structs import replace

from taskwire_core.ids import new_id
from taskwire_core.options import Priority
from taskwire_core.task import Dispatch, Task
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import SECOND, ManualClock, claim, new_task, options, submit, worker

TYPE = "acme.v1.Images/Shrink"


def take(database: Database, limit: int = 10) -> list[Dispatch]:
    return database.execute(ops.take_backlog, ops.Backlog("images", (TYPE,), limit, new_id()))


def dispatch_of(task: Task) -> Dispatch:
    return Dispatch(task.id, task.type, task.queue, task.dispatch, task.version)


def test_a_row_is_taken_by_one_gateway_only(database: Database) -> None:
    made = submit(database, new_task())
    assert take(database) == [dispatch_of(made)]
    assert take(database) == []


def test_the_backlog_goes_by_priority_then_in_turn_between_owners(database: Database) -> None:
    high = replace(options(), priority=Priority.HIGH)
    ada = [submit(database, new_task(owner="ada")) for _ in range(3)]
    bob = submit(database, new_task(owner="bob"))
    urgent = submit(database, new_task(owner="ada", opts=high))
    taken = [d.task_id for d in take(database, limit=3)]
    assert taken[0] == urgent.id
    assert set(taken[1:]) == {ada[0].id, bob.id}


def test_a_mark_counts_a_task_until_somebody_claims_it(database: Database, reader: Reader) -> None:
    made = submit(database, new_task(), gateway_id=new_id())
    database.execute(ops.mark_dispatched, dispatch_of(made))
    assert reader.dispatched() == {"images": 1}
    assert reader.get([made.id])[made.id].dispatched
    assert claim(database, made.id, worker(database)) is not None
    assert reader.dispatched() == {}


def test_a_mark_of_an_older_dispatch_is_ignored(database: Database, reader: Reader) -> None:
    made = submit(database, new_task(), gateway_id=new_id())
    old = replace(dispatch_of(made), number=0)
    database.execute(ops.mark_dispatched, old)
    assert reader.dispatched() == {}


def test_a_task_that_met_no_handler_is_sent_again(database: Database) -> None:
    made = submit(database, new_task(), gateway_id=new_id())
    database.execute(ops.mark_dispatched, dispatch_of(made))
    database.execute(ops.undispatch, dispatch_of(made))
    (again,) = take(database)
    assert (again.number, again.version) == (made.dispatch + 1, made.version)


def test_what_the_broker_lost_is_dispatched_again(database: Database, clock: ManualClock) -> None:
    made = submit(database, new_task(), gateway_id=new_id())
    database.execute(ops.mark_dispatched, dispatch_of(made))
    clock.advance(11)
    stranded = ops.Stranded("images", clock.now_us() - 10 * SECOND)
    assert database.execute(ops.sweep_stranded, stranded) == 1
    (again,) = take(database)
    assert again.task_id == made.id


def test_the_rows_of_a_dead_gateway_are_found(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    gateway = ops.GatewayRow(new_id(), "host", 1, 20 * SECOND)
    database.execute(ops.register_gateway, gateway)
    submit(database, new_task(), gateway_id=gateway.id)
    assert reader.dead_gateways() == []
    clock.advance(21)
    assert reader.dead_gateways() == [gateway.id]
    assert not database.execute(ops.renew_gateway, gateway)
    assert database.execute(ops.release_gateway, gateway.id) == 1
    assert len(take(database)) == 1


def test_a_row_that_a_forgotten_gateway_wrote_late_is_found(
    database: Database, reader: Reader
) -> None:
    gone = new_id()
    submit(database, new_task(), gateway_id=gone)
    assert reader.dead_gateways() == [gone]
    assert database.execute(ops.release_gateway, gone) == 1
    assert len(take(database)) == 1


def test_there_is_one_leader_until_its_lease_ends(database: Database, clock: ManualClock) -> None:
    ada, bob = (ops.Leadership("keeper", new_id(), 10 * SECOND) for _ in range(2))
    assert database.execute(ops.lead, ada)
    assert not database.execute(ops.lead, bob)
    clock.advance(8)
    assert database.execute(ops.lead, ada)
    clock.advance(8)
    assert not database.execute(ops.lead, bob)
    clock.advance(3)
    assert database.execute(ops.lead, bob)
    assert not database.execute(ops.lead, ada)


def test_the_next_thing_due_is_known(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    assert reader.next_due_us() is None
    submit(database, new_task(delay_s=100))
    assert reader.next_due_us() == clock.now_us() + 100 * SECOND
    submit(database, new_task(opts=options(start_timeout=5)))
    assert reader.next_due_us() == clock.now_us() + 5 * SECOND
