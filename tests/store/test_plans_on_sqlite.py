"""What the services ask all the time is asked by an index, however many tasks have ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from taskwire_core import recovery
from taskwire_core.task import Dispatch, Payload
from taskwire_db import operations as ops
from taskwire_db.database import Database, Transaction
from tests.store.steps import new_task, running, submit, unit, worker
from tests.support.stores import Stores

Operation = Callable[[Transaction, Sequence[Any]], Any]

SECOND_US = 1_000_000


@pytest.fixture
def stores(sqlite_stores: Stores) -> Stores:
    return sqlite_stores


def wishes(database: Database) -> dict[str, tuple[Operation, Any]]:
    """Each operation with something to do; all of one transaction."""
    held = running(database)
    waiting = submit(database, new_task())
    sweep = ops.Sweep()
    done = recovery.succeeded(held, Payload("acme.v1.ShrinkResponse", b"done"))
    assert held.worker_id is not None
    return {
        "a heartbeat": (ops.heartbeat, ops.Heartbeat(held.worker_id, 0, SECOND_US)),
        "a submission": (ops.submit, unit(new_task())),
        "a mark": (ops.mark_dispatched, Dispatch(waiting.id, waiting.type, waiting.queue, 1)),
        "a claim": (ops.claim, ops.ClaimRequest(waiting.id, worker(database))),
        "a settlement": (ops.settle, done),
        "what is due": (ops.sweep_due, sweep),
        "what is late": (ops.sweep_deadlines, sweep),
        "what is lost": (ops.sweep_lost, sweep),
        "what is stranded": (ops.sweep_stranded, ops.Stranded("images", 1)),
    }


def test_no_operation_of_every_day_reads_all_tasks(database: Database) -> None:
    plans = {}
    for name, (operation, wish) in wishes(database).items():
        with database.transaction() as tx:
            driver = tx.connection.connection.driver_connection
            assert driver is not None
            said: list[str] = []
            driver.set_trace_callback(said.append)
            operation(tx, [wish])
            driver.set_trace_callback(None)
            asked = [each for each in said if re.match(r"(SELECT|WITH|UPDATE|DELETE)", each)]
            assert said, name
            plans[name] = [
                row[-1] for each in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {each}")
            ]
    scans = {
        name: found
        for name, plan in plans.items()
        if (found := [line for line in plan if re.match(r"SCAN tasks(?! USING)", line)])
    }
    assert not scans, plans
