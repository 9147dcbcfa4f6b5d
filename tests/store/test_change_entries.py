"""A transaction writes one row of the change log, and the log's pages are read across them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from taskwire_core.changes import Cursor
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import task_changes
from taskwire_db.operations import retention
from taskwire_db.operations.retention import CHANGES_KEPT_US
from taskwire_db.reader import Reader
from tests.store.steps import SECOND, ManualClock, new_task, running, submit, succeed, unit

_HOW_MANY = sa.select(sa.func.count()).select_from(task_changes)


def _told(reader: Reader, after: Cursor) -> list[tuple[bytes, str, bool]]:
    """What is read there: each task with its owner and whether it was deleted."""
    return [(c.task_id, c.owner, c.deleted) for c in reader.changes(after, 10).changes]


def test_a_transaction_writes_one_row_whatever_it_does(database: Database, reader: Reader) -> None:
    gone = succeed(database, running(database, new_task(owner="ann")))
    assert gone is not None
    begin = reader.change_head()
    with database.connect() as connection:
        before = connection.execute(_HOW_MANY).scalar_one()
    made = [new_task(owner=owner) for owner in ("ann", "bob", "ann")]
    with database.transaction() as transaction:
        ops.submit(transaction, [unit(*made[:2]), unit(made[2])])
        ops.cancel(transaction, [ops.CancelRequest(made[0].id, "ann", "", "ann")])
        ops.delete(transaction, [ops.DeleteRequest(gone.id, "ann")])
    with database.connect() as connection:
        assert connection.execute(_HOW_MANY).scalar_one() == before + 1
    assert _told(reader, begin) == sorted(
        [(task.id, task.owner, False) for task in made] + [(gone.id, "ann", True)]
    )


def test_a_task_that_ends_and_is_deleted_in_one_transaction_was_deleted(
    database: Database, reader: Reader
) -> None:
    task = submit(database, new_task())
    begin = reader.change_head()
    with database.transaction() as transaction:
        ops.cancel(transaction, [ops.CancelRequest(task.id, "dev", "", "dev")])
        ops.delete(transaction, [ops.DeleteRequest(task.id, "dev")])
    assert _told(reader, begin) == [(task.id, "dev", True)]
    assert reader.was_deleted(task.id, owner="dev")


def test_a_page_goes_over_as_many_rows_as_it_needs(database: Database, reader: Reader) -> None:
    begin = reader.change_head()
    made = [submit(database, new_task()).id for _ in range(205)]
    page = reader.changes(begin, 203)
    assert [change.task_id for change in page.changes] == made[:203]
    assert page.more
    assert [change.task_id for change in reader.changes(page.next, 203).changes] == made[203:]


def test_rows_that_name_many_tasks_are_pruned_a_few_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "CHANGES_KEPT_US", -1)
    for _ in range(4):
        database.execute(ops.submit, unit(*(new_task() for _ in range(10))))
    monkeypatch.setattr(retention, "PRUNED_BYTES", 10 * 16 + 100)
    assert database.execute(ops.prune_changes, 100) == 2
    assert database.execute(ops.prune_changes, 100) == 1, "the newest row stays"


def test_numbers_go_on_when_all_of_the_log_was_pruned(
    database: Database, reader: Reader, clock: ManualClock
) -> None:
    for _ in range(3):
        submit(database, new_task())
    clock.advance(CHANGES_KEPT_US / SECOND + 1)
    begin = reader.change_head()
    database.execute(ops.prune_changes, 100)
    database.execute(ops.prune_changes, 100)
    made = [submit(database, new_task()).id for _ in range(3)]
    assert _told(reader, begin) == [(task_id, "dev", False) for task_id in made]
