"""What the two indexes of the lists cost the writers: the store's own operations, with and without.

Groups of a hundred tasks are submitted, claimed and settled, as the writers of a busy gateway and
a busy worker do it; the two kinds of database take turns, A B B A.

    .venv/bin/python -m bench.index_cost
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import sqlalchemy as sa

from bench.machine import cpu_s
from taskwire_core import recovery
from taskwire_core.task import Payload
from taskwire_db import operations as ops
from taskwire_db import schema
from taskwire_db.database import Database
from tests.store.steps import new_task, unit, worker
from tests.support.postgres import PostgresServer, database_of

INDEXES = ("ix_tasks_cohort", "ix_tasks_updated")
GROUPS, GROUP, PAIRS = 100, 100, 3

Place = Callable[[], AbstractContextManager[str]]
"""Gives the URL of a new database."""


def main() -> None:
    """Measure both stores, and print the ratios of the CPU time of database and writer."""
    with tempfile.TemporaryDirectory() as folder:

        @contextmanager
        def on_sqlite() -> Iterator[str]:
            yield f"sqlite:///{Path(tempfile.mkdtemp(dir=folder)) / 'taskwire.db'}"

        _compare("sqlite", on_sqlite, time.process_time)
    server = PostgresServer(fsync="on", full_page_writes="on")
    try:
        server.start()
        root = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        _compare(
            "postgresql",
            lambda: database_of(server),
            lambda: time.process_time() + cpu_s(root),
        )
    finally:
        server.close()


def _compare(name: str, place: Place, cpu: Callable[[], float]) -> None:
    ratios = []
    for _ in range(PAIRS):
        with_, without, without_again, with_again = (
            _us_per_task(place, cpu, indexed) for indexed in (True, False, False, True)
        )
        print(f"  {with_:.0f} {without:.0f} {without_again:.0f} {with_again:.0f} us per task")
        ratios += [with_ / without, with_again / without_again]
    print(
        f"{name}: {statistics.median(ratios):.2f} times the CPU per task with the indexes"
        f" [{min(ratios):.2f}, {max(ratios):.2f}]",
        flush=True,
    )


def _us_per_task(place: Place, cpu: Callable[[], float], indexed: bool) -> float:
    with place() as url:
        database = Database(url)
        schema.upgrade(database)
        if not indexed:
            with database.engine.begin() as connection:
                for index in INDEXES:
                    connection.execute(sa.text(f"DROP INDEX {index}"))
        worker_id = worker(database, ttl_us=None)
        began = cpu()
        for _ in range(GROUPS):
            _group(database, worker_id)
        took = cpu() - began
        database.close()
    return took / (GROUPS * GROUP) * 1e6


def _group(database: Database, worker_id: bytes) -> None:
    new = [new_task() for _ in range(GROUP)]
    with database.transaction() as tx:
        ops.submit(tx, [unit(task) for task in new])
    with database.transaction() as tx:
        claimed = ops.claim(tx, [ops.ClaimRequest(task.id, worker_id) for task in new])
    done = [recovery.succeeded(task, Payload("acme.Out", b"done")) for task in claimed if task]
    assert len(done) == GROUP
    with database.transaction() as tx:
        ops.settle(tx, done)


if __name__ == "__main__":
    main()
