"""Submitting: what is acknowledged is recorded, once per request id."""

from __future__ import annotations

from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import START_US, new_task, submit, unit


def test_a_submitted_task_is_queued_and_can_be_read_back(
    database: Database, reader: Reader
) -> None:
    made = submit(database, new_task(labels={"tenant": "acme"}))
    found = reader.get([made.id], View.FULL)[made.id]
    assert found.state == State.QUEUED
    assert found.version == 1
    assert found.labels == {"tenant": "acme"}
    assert found.input is not None
    assert found.input.data == b"content"
    assert found.options == made.options


def test_a_task_for_later_is_scheduled(database: Database) -> None:
    made = submit(database, new_task(delay_s=10))
    assert made.state == State.SCHEDULED
    assert made.not_before_us == START_US + 10_000_000


def test_a_schedule_in_the_past_means_now(database: Database) -> None:
    made = submit(database, new_task(delay_s=-10))
    assert made.state == State.QUEUED
    assert made.schedule_time_us == START_US


def test_the_same_request_gives_the_same_task(database: Database) -> None:
    first = submit(database, new_task(request_id="r"))
    again = database.execute(ops.submit, unit(new_task(request_id="r")))
    assert again.submitted[0].task.id == first.id
    assert not again.submitted[0].created


def test_a_request_id_with_other_content_records_nothing(
    database: Database, reader: Reader
) -> None:
    submit(database, new_task(request_id="r"))
    result = database.execute(
        ops.submit, unit(new_task(), new_task(request_id="r", content=b"other"))
    )
    assert result.reused == (1,)
    assert result.submitted == ()
    assert sum(reader.counts().values()) == 1


def test_a_refused_unit_gives_its_other_request_ids_back(database: Database) -> None:
    submit(database, new_task(request_id="taken"))
    refused = unit(new_task(request_id="mine"), new_task(request_id="taken", content=b"other"))
    assert database.execute(ops.submit, refused).reused == (1,)
    again = database.execute(ops.submit, unit(new_task(request_id="mine", content=b"new")))
    assert [each.created for each in again.submitted] == [True]


def test_a_request_id_twice_in_one_group_makes_one_task(database: Database, reader: Reader) -> None:
    with database.transaction() as tx:
        results = ops.submit(tx, [unit(new_task(request_id="r")) for _ in range(3)])
    ids = {r.submitted[0].task.id for r in results if isinstance(r, ops.UnitResult)}
    assert len(ids) == 1
    assert sum(reader.counts().values()) == 1


def test_request_ids_belong_to_their_owner(database: Database) -> None:
    mine = submit(database, new_task(request_id="r", owner="ada"))
    theirs = submit(database, new_task(request_id="r", owner="bob", content=b"other"))
    assert mine.id != theirs.id


def test_a_thousand_tasks_of_one_unit_are_recorded_together(
    database: Database, reader: Reader
) -> None:
    result = database.execute(ops.submit, unit(*[new_task() for _ in range(1000)]))
    assert len(result.submitted) == 1000
    assert sum(reader.counts().values()) == 1000


def test_the_dispatcher_takes_no_row_that_a_gateway_publishes_itself(
    database: Database,
) -> None:
    gateway = new_id()
    made = submit(database, new_task(), gateway_id=gateway)
    backlog = ops.Backlog("images", (made.type,), 10, new_id())
    assert database.execute(ops.take_backlog, backlog) == []
    assert database.execute(ops.release_gateway, gateway) == 1
    assert len(database.execute(ops.take_backlog, backlog)) == 1
