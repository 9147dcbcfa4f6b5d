"""What operators watch of a database: how many tasks there are in which state, and its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from taskwire_core.lifecycle import State
from taskwire_db.queue_reading import queue_rows
from taskwire_db.reader import Reader

_MOST_QUEUES = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """`tasks` are keyed by state, type and queue. `oldest_s` is how long the oldest due task of
    a queue has been due, `overdue_s` how long the oldest ended task that should be gone."""

    tasks: Mapping[tuple[str, str, str], int]
    oldest_s: Mapping[str, float]
    workers: int
    slots: int
    bytes: int
    overdue_s: float


def read_figures(reader: Reader) -> Figures:
    """The figures as they are now.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    tasks: Counter[tuple[str, str, str]] = Counter()
    for (type_, queue, _owner, state), count in reader.counts().items():
        tasks[state.name, type_, queue] += count
    workers = reader.live_workers()
    sizes = reader.sizes()
    now_us = reader.database.clock.now_us()
    return Figures(
        tasks=tasks,
        oldest_s=_oldest(reader, tasks),
        workers=len(workers),
        slots=sum(worker.slots for worker in workers),
        bytes=sizes.database_bytes,
        overdue_s=_seconds(sizes.overdue_since_us, now_us),
    )


def _oldest(reader: Reader, tasks: Mapping[tuple[str, str, str], int]) -> dict[str, float]:
    queued: Counter[str] = Counter()
    for (state, _, queue), count in tasks.items():
        if state == State.QUEUED.name:
            queued[queue] += count
    # Callers may choose names of queues, and must not crowd out those where work waits.
    queues = [queue for queue, _ in queued.most_common(_MOST_QUEUES)]
    return {
        row.name: _seconds(row.oldest_due_us, row.now_us)
        for row in queue_rows(reader, queues)
        if row.oldest_due_us is not None
    }


def _seconds(since_us: int | None, now_us: int) -> float:
    return 0.0 if since_us is None else max(0.0, (now_us - since_us) / 1e6)
