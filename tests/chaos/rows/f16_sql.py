"""F16: somebody else holds SQL's locks, and PostgreSQL is restarted and crashes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from tests.chaos.cluster import Shape
from tests.chaos.context import Chaos
from tests.chaos.records import Ok
from tests.chaos.rows.registry import row
from tests.chaos.work import work

LOCKED_S = 10.0

MOST_UNDER_WAY = 100
"""Tasks whose commit may have been under way when the lock came: three callers, each with a batch
or a stream of up to 30."""


def file_of(chaos: Chaos) -> Path:
    """SQLite's file."""
    return Path(chaos.cluster.database_url.removeprefix("sqlite:///"))


def refused(chaos: Chaos) -> bool:
    """Whether a submission is not acknowledged now."""
    return not isinstance(chaos.client.submit(work(key="refused")), Ok)


@contextmanager
def locked(chaos: Chaos) -> Iterator[None]:
    """A transaction of somebody else keeps writers out, and on PostgreSQL readers too."""
    if chaos.cluster.shape.store == "sqlite":
        with closing(sqlite3.connect(file_of(chaos), timeout=30, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            yield
            holder.execute("ROLLBACK")
    else:
        with psycopg.connect(chaos.cluster.database_url) as connection:
            connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()


@row(
    "F16",
    "SQL is locked for 10 s; PostgreSQL is restarted, and crashes",
    needs_s=75,
    shape=Shape(workers=2),
    breaks=["postgresql"],
)
def sql_away(chaos: Chaos) -> None:
    chaos.load.more(20)
    running = chaos.submit("Work", LOCKED_S + 5, slow_once=True)
    chaos.journal.begun(running)
    with chaos.fault("locked", "sql"), locked(chaos):
        acknowledged = len(chaos.load.known)
        assert refused(chaos)
        chaos.stay(LOCKED_S)
        assert len(chaos.load.known) - acknowledged <= MOST_UNDER_WAY
    chaos.load.more(20)
    if chaos.cluster.shape.store == "postgresql":
        restarted(chaos)
    assert chaos.ended(running, within=90).state == "SUCCEEDED"


def restarted(chaos: Chaos) -> None:
    """PostgreSQL stops in order, and then without any."""
    postgres = chaos.servers.postgres
    for name, end in (("restarted", postgres.stop), ("crashed", postgres.crash)):
        with chaos.fault(name, "postgresql"):
            end()
            assert refused(chaos)
            postgres.start()
        chaos.load.more(20)
