"""Inserts of many rows: all of them arrive, in however many statements they go."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from taskwire_db.database import Database
from taskwire_db.group import MAX_PORTION, RowInsert
from taskwire_db.models import option_sets


@pytest.mark.parametrize("count", [0, 1, 2, 7, 63, 64, 65, 100, 3 * MAX_PORTION + 41])
def test_every_row_of_a_group_arrives(database: Database, count: int) -> None:
    rows = [(number, f"body {number}", number * 10) for number in range(1, count + 1)]
    insert = RowInsert(option_sets)
    with database.transaction() as transaction:
        insert.run(transaction.connection, rows)
    with database.connect() as connection:
        columns = (option_sets.c.id, option_sets.c.body, option_sets.c.used_time)
        found = connection.execute(sa.select(*columns).order_by(option_sets.c.id)).all()
    assert [tuple(row) for row in found] == rows
