"""What is known of queues, each thing by a counter or an index: no task is scanned for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db.activity import BUCKET_US, bucket_of
from taskwire_db.group import AnyRow, GroupStatement
from taskwire_db.models import Micros, is_state, task_counters, tasks
from taskwire_db.operator_models import queue_activity, queue_pauses
from taskwire_db.reader import Reader

RATE_BUCKETS = 6
"""Whole buckets of ten seconds that a rate is made of, and the present one."""


@dataclass(frozen=True, slots=True)
class PauseRow:
    """That a queue is paused."""

    pause_time_us: int
    paused_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Moves:
    """How many tasks did something within `seconds`."""

    seconds: float
    submitted: int = 0
    started: int = 0
    succeeded: int = 0
    failed: int = 0


@dataclass(slots=True)
class QueueRow:
    """One queue at `now_us`."""

    name: str
    now_us: int
    moves: Moves
    pause: PauseRow | None = None
    counts: dict[State, int] = field(default_factory=dict)
    oldest_due_us: int | None = None
    live_workers: int = 0
    slots: int = 0


def paused_queues(reader: Reader) -> frozenset[str]:
    """The names of the paused queues."""
    with reader.database.snapshot() as connection:
        return frozenset(connection.execute(sa.select(queue_pauses.c.queue)).scalars())


def queue_names(reader: Reader) -> frozenset[str]:
    """The queues that a task, a live worker or a pause names."""
    counted = sa.select(task_counters.c.queue).where(task_counters.c.count != 0)
    with reader.database.snapshot() as connection:
        found = set(connection.execute(counted.union(sa.select(queue_pauses.c.queue))).scalars())
    return frozenset(found.union(*(worker.queues for worker in reader.live_workers())))


def queue_rows(reader: Reader, names: Sequence[str]) -> list[QueueRow]:
    """Each of the queues, in their order; one that nothing names is empty."""
    now_us = reader.database.clock.now_us()
    present = bucket_of(now_us)
    since = present - RATE_BUCKETS
    idle = Moves(seconds=(now_us - since * BUCKET_US) / 1e6)
    rows = {name: QueueRow(name, now_us, idle) for name in names}
    with reader.database.snapshot() as connection:
        for name, pause in _pauses(connection):
            if name in rows:
                rows[name].pause = pause
        for name, state, count in _counts(connection, names):
            rows[name].counts[State(state)] = int(count)
        for row in _moves(connection, names, since, present):
            rows[row[0]].moves = Moves(idle.seconds, *(int(count) for count in row[1:]))
        for name, oldest in _oldest.run(connection, [(name,) for name in names]):
            if name is not None:
                rows[name].oldest_due_us = oldest
    for worker in reader.live_workers():
        for name in () if worker.draining else worker.queues & rows.keys():
            rows[name].live_workers += 1
            rows[name].slots += worker.slots
    return list(rows.values())


def _pauses(connection: sa.Connection) -> Iterable[tuple[str, PauseRow]]:
    for row in connection.execute(sa.select(queue_pauses)):
        yield row.queue, PauseRow(row.pause_time, row.paused_by, row.reason)


def _counts(connection: sa.Connection, names: Sequence[str]) -> Sequence[AnyRow]:
    c = task_counters.c
    statement = sa.select(c.queue, c.state, sa.func.sum(c.count)).group_by(c.queue, c.state)
    return connection.execute(statement.where(c.queue.in_(names))).all()


def _moves(
    connection: sa.Connection, names: Sequence[str], since: int, present: int
) -> Sequence[AnyRow]:
    c = queue_activity.c
    sums = [sa.func.sum(column) for column in (c.submitted, c.started, c.succeeded, c.failed)]
    statement = sa.select(c.queue, *sums).group_by(c.queue)
    # What is behind the present was written before the clock was set back.
    lately = c.bucket.between(since, present)
    return connection.execute(statement.where(c.queue.in_(names), lately)).all()


_oldest = GroupStatement(
    {"name": sa.Text()},
    lambda v: sa.select(
        v.c.name,
        sa.select(tasks.c.not_before)
        .where(is_state(tasks.c.state, State.QUEUED), tasks.c.queue == v.c.name)
        .order_by(tasks.c.not_before)
        .limit(sa.literal_column("1", Micros))
        .scalar_subquery(),
    ),
)
