"""On PostgreSQL a place in the change log looks back to the oldest transaction under way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.models import task_changes
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
