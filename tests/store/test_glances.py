"""Reads of one statement: no transaction is around them, and none is left behind."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.errors import StoreUnavailable
from taskwire_core.lifecycle import State
from taskwire_core.task import View
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import cancel, new_task, unit


@pytest.mark.parametrize("view", list(View))
def test_a_read_shows_what_was_committed_since_the_last_one(
    database: Database, reader: Reader, view: View
) -> None:
    new = new_task()
    database.execute(ops.submit, unit(new))
    # The first one meets options that this process does not know, and has to ask for them.
    for _ in range(2):
        found = reader.get([new.id], view)[new.id]
        assert (found.state, found.options) == (State.QUEUED, new.options)
        assert reader.versions([new.id]) == {new.id: 1}
    cancel(database, new.id)
    assert reader.get([new.id], view)[new.id].state is State.CANCELLED
    assert reader.versions([new.id]) == {new.id: 2}


def test_more_ids_than_one_statement_takes_are_read(database: Database, reader: Reader) -> None:
    ids = [new_task().id for _ in range(1_500)]
    new = new_task()
    database.execute(ops.submit, unit(new))
    assert reader.get([*ids, new.id]).keys() == {new.id}
    assert reader.versions([*ids, new.id]) == {new.id: 1}
    assert reader.get([]) == {}
    assert reader.versions([]) == {}


def test_after_an_error_a_thread_reads_on_another_connection(
    database: Database, reader: Reader
) -> None:
    new = new_task()
    database.execute(ops.submit, unit(new))
    broken: list[sa.Connection] = []

    def fail() -> None:
        with reader.database.glance() as connection:
            broken.append(connection)
            raise exc.OperationalError("SELECT", None, Exception("gone"))

    with pytest.raises(StoreUnavailable, match="gone"):
        fail()
    with reader.database.glance() as connection:
        assert connection not in broken
    assert reader.versions([new.id]) == {new.id: 1}
