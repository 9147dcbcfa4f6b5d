"""On PostgreSQL a place in the change log looks back to the oldest transaction under way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from taskwire_core.changes import CursorExpired
from taskwire_db import operations as ops
from taskwire_db import schema
from taskwire_db.change_entry import entries_in
from taskwire_db.database import Database
from taskwire_db.models import deployment, task_changes
from taskwire_db.reader import Reader
from tests.store.steps import new_task, submit
from tests.support.stores import Stores

pytestmark = pytest.mark.servers

_BEGIN_TO_WRITE = sa.text("SELECT pg_current_xact_id()")


@pytest.fixture
def url(postgresql_stores: Stores) -> Iterator[str]:
    with postgresql_stores.migrated() as found:
        yield found


def test_a_long_transaction_of_anybody_expires_no_watch(url: str) -> None:
    database, reader = Database(url), Reader(url)
    with database.engine.connect() as another:
        another.execute(_BEGIN_TO_WRITE)
        for _ in range(2):
            submit(database, new_task(database.clock.now_us()))
        with database.transaction() as tx:
            tx.connection.execute(sa.update(task_changes).values(change_time=0))
        assert database.execute(ops.prune_changes, 100) == 0
        begin = reader.change_head()
        made = submit(database, new_task(database.clock.now_us()))
        assert reader.changes(begin, 10).tasks.keys() == {made.id}
    with database.transaction() as tx:
        tx.connection.execute(sa.update(task_changes).values(change_time=0))
    assert database.execute(ops.prune_changes, 100) == 2, "the newest row stays"
    reader.close()
    database.close()


def _restored_from_another_cluster(database: Database) -> None:
    """Bring the log of a cluster whose transactions have come a little further."""
    with database.transaction() as tx:
        tx.connection.execute(sa.delete(task_changes))
        own_id = tx.connection.execute(_BEGIN_TO_WRITE).scalar_one()
        ahead = [int(own_id) + number for number in range(3, 40)]
        rows = [{"number": number, "change_time": 0, "tasks": b"\x90"} for number in ahead]
        tx.connection.execute(sa.insert(task_changes), rows)
        tx.connection.execute(sa.update(deployment).values(pruned_number=ahead[-1]))


def _submitted(database: Database) -> bytes | None:
    try:
        return submit(database, new_task(database.clock.now_us())).id
    except exc.IntegrityError:
        return None


def test_a_restored_log_of_another_cluster_is_in_nobodys_way(url: str) -> None:
    database = Database(url)
    _restored_from_another_cluster(database)
    made = {_submitted(database) for _ in range(45)}
    assert None not in made, "a row of the old log was in the way"
    with database.connect() as connection:
        bodies = connection.execute(sa.select(task_changes.c.tasks)).scalars()
        logged = {task_id for body in bodies for task_id, _, _ in entries_in(body)}
    assert logged == made
    database.close()


def test_an_upgrade_begins_a_restored_log_anew(url: str) -> None:
    database, reader = Database(url), Reader(url)
    submit(database, new_task(database.clock.now_us()))
    before = reader.change_head()
    _restored_from_another_cluster(database)
    with pytest.raises(CursorExpired):
        reader.changes(reader.change_head(), 10)
    schema.upgrade(database)
    with pytest.raises(CursorExpired):
        reader.changes(before, 10)
    begin = reader.change_head()
    made = submit(database, new_task(database.clock.now_us()))
    assert reader.changes(begin, 10).tasks.keys() == {made.id}
    schema.upgrade(database)
    assert reader.changes(begin, 10).tasks.keys() == {made.id}, "its own log stays"
    reader.close()
    database.close()
