"""Two transactions of PostgreSQL at the worst moment: what one decided is asked again as it writes.

On SQLite there are no such moments: its writers come one after the other.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from taskwire_core import recovery
from taskwire_core.ids import new_id
from taskwire_core.lifecycle import State
from taskwire_core.task import Task
from taskwire_db import operations as ops
from taskwire_db.database import Database
from taskwire_db.reader import Reader
from tests.store.steps import TTL_US, ManualClock, new_task, running, submit, waiting_for_locks
from tests.support.eventually import eventually
from tests.support.stores import Stores

pytestmark = pytest.mark.servers


@pytest.fixture
def stores(postgresql_stores: Stores) -> Stores:
    return postgresql_stores


@pytest.fixture
def other(url: str, clock: ManualClock) -> Iterator[Database]:
    """Another process's view of the same database."""
    opened = Database(url, clock=clock)
    yield opened
    opened.close()


def test_rows_that_another_leader_has_just_taken_are_left_to_it(
    database: Database, other: Database
) -> None:
    made = submit(database, new_task())
    wish = ops.Backlog(made.queue, (made.type,), 10, new_id())
    with ThreadPoolExecutor() as threads:
        with database.transaction() as tx:
            (taken,) = ops.take_backlog(tx, [wish])
            late = threads.submit(other.execute, ops.take_backlog, wish)
            eventually(lambda: waiting_for_locks(database) == 1)
        assert [dispatch.task_id for dispatch in taken] == [made.id]
        assert late.result(10) == []


def test_an_attempt_whose_lease_is_renewed_while_it_is_swept_goes_on(
    database: Database,
    other: Database,
    reader: Reader,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = running(database)
    clock.advance(10)
    beating = ExitStack()
    beat = beating.enter_context(other.transaction())
    (lease,) = ops.heartbeat(beat, [ops.Heartbeat(task.worker_id or b"", 0, TTL_US)])
    assert lease.alive
    clock.advance(11)

    def decided_as_the_renewal_is_committed(found: Task, **how: Any) -> recovery.Settlement:
        beating.close()
        return recovery.lost(found, **how)

    # The package exports functions by these names, so the module is asked for by path.
    sweeps = importlib.import_module("taskwire_db.operations.sweeps")
    monkeypatch.setattr(sweeps, "lost", decided_as_the_renewal_is_committed)
    assert database.execute(ops.sweep_lost, ops.Sweep()) == []
    assert reader.get([task.id])[task.id].state == State.RUNNING
