"""What belongs together is committed together: a row, its event, its counters, its change."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from taskwire_db import operations as ops
from taskwire_db.change_entry import entries_in
from taskwire_db.database import Database
from taskwire_db.models import task_changes, tasks
from tests.store.invariants import check_what_is_seen
from tests.store.steps import (
    EACH_CONDITION,
    ManualClock,
    cancel,
    fail,
    new_task,
    running,
    submit,
    succeed,
)


class Commits:
    """Looks at what each transaction is about to commit; `wrong` is what it found."""

    def __init__(self, database: Database) -> None:
        self.wrong: list[str] = []
        self.count = 0
        self._versions: dict[bytes, int] = {}
        self._last_change = 0
        # The last thing that is done before every commit.
        self._require_file = database._require_file
        database._require_file = self._look  # type: ignore[method-assign]

    def _look(self, connection: sa.Connection) -> None:
        self._require_file(connection)
        self.count += 1
        try:
            check_what_is_seen(connection)
            self._check_changes(connection)
        except AssertionError as problem:
            # It would be the store's error here, and not the test's.
            self.wrong.append(str(problem))

    def _check_changes(self, connection: sa.Connection) -> None:
        c = task_changes.c
        rows = connection.execute(
            sa.select(c.number, c.tasks).where(c.number > self._last_change)
        ).all()
        changed = {task_id for row in rows for task_id, _, _ in entries_in(row.tasks)}
        versions = {
            bytes(row[0]): row[1]
            for row in connection.execute(sa.select(tasks.c.id, tasks.c.version))
        }
        moved = {key for key, version in versions.items() if self._versions.get(key) != version}
        assert moved <= changed, "a move is not in the change log"
        self._versions = versions
        self._last_change = max((row.number for row in rows), default=self._last_change)


@pytest.fixture
def commits(database: Database) -> Commits:
    return Commits(database)


def test_no_commit_has_a_move_without_its_event_its_counters_and_its_change(
    database: Database, commits: Commits, clock: ManualClock
) -> None:
    succeed(database, running(database, new_task(follow_ups=EACH_CONDITION)))
    cancel(database, submit(database, new_task(delay_s=9)).id)
    fail(database, running(database))
    clock.advance(9)
    database.execute(ops.sweep_due, ops.Sweep())
    database.execute(ops.sweep_lost, ops.Sweep())
    assert commits.count > 10
    assert commits.wrong == []
