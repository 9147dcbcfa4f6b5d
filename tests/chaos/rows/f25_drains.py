"""F25: SIGTERM to a worker while it runs tasks that take longer than it may wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.load import Plan
from tests.chaos.rows.registry import row
from tests.chaos.work import Kind

_LONG_S = 60.0
_KINDS: tuple[Kind, ...] = ("Work", "WorkAsync", "WorkApart")


@row(
    "F25",
    "SIGTERM to a worker with long tasks, twice, and with SQL away",
    needs_s=150,
    plan=Plan(callers=2, pause_s=0.1),
    # The default lease: one that ended during the drain would hide what the drain does.
    shape=Shape(settings={"lease_ttl": "20s", "worker_threads": "7"}),
)
def drained(chaos: Chaos) -> None:
    chaos.load.more(15)
    _drained_with_long_tasks(chaos, grace="2s", signals=1)
    chaos.load.more(15)
    _drained_with_long_tasks(chaos, grace="300s", signals=2)
    chaos.load.more(15)
    _drained_without_sql(chaos)


def _drained_with_long_tasks(chaos: Chaos, *, grace: str, signals: int) -> None:
    """Whatever has not ended after the grace, or at the second signal, begins anew elsewhere."""
    _start_with(chaos, grace)
    tasks = [chaos.submit(kind, _LONG_S, slow_once=True) for kind in _KINDS]
    tasks.append(chaos.submit("Work", _LONG_S, slow_once=True, deaf=True))
    once = chaos.submit("WorkOnce", _LONG_S)
    for task_id in [*tasks, once]:
        chaos.journal.begun(task_id, within=90)
    with chaos.fault("SIGTERM" if signals == 1 else "SIGTERM twice", "worker"):
        chaos.cluster.send("TERM", "worker")
        if signals == 2:
            chaos.stay(1)
            assert chaos.cluster.alive("worker"), "it does not wait"
            chaos.cluster.send("TERM", "worker")
        assert chaos.cluster.wait_until_ended("worker", within=40) == 0
        chaos.load.more(5)
        chaos.cluster.start("worker")
    for task_id in tasks:
        assert chaos.ended(task_id).state == "SUCCEEDED"
        assert chaos.journal.begun(task_id, attempts=2)
    assert chaos.ended(once).state == "FAILED"


def _drained_without_sql(chaos: Chaos) -> None:
    """What ends while SQL is away is kept in the spool, and is not run again."""
    _start_with(chaos, "10s")
    task_id = chaos.submit("Work", 3.0)
    chaos.journal.begun(task_id)
    with chaos.fault("SQL away", "worker"), _without_sql(chaos):
        chaos.cluster.send("TERM", "worker")
        assert chaos.cluster.wait_until_ended("worker", within=60) == 0
        assert "settlements spooled" in chaos.cluster.log("worker")
    chaos.cluster.start("worker")
    assert chaos.ended(task_id).state == "SUCCEEDED"


def _start_with(chaos: Chaos, grace: str) -> None:
    chaos.cluster.send("TERM", "worker")
    assert chaos.cluster.wait_until_ended("worker") == 0
    chaos.cluster.start("worker", drain_grace=grace)


@contextmanager
def _without_sql(chaos: Chaos) -> Iterator[None]:
    """The worker cannot reach PostgreSQL, or nobody can write to SQLite."""
    if chaos.cluster.shape.store == "postgresql":
        link = chaos.cluster.links("worker", "postgresql")
        link.refuse()
        link.cut()
        try:
            yield
        finally:
            link.heal()
        return
    path = chaos.cluster.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
