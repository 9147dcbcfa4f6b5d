"""How fast queues move: what a transaction did to each, added up in buckets of ten seconds.

One small row per queue and transaction, whatever it changed: rates cost no scan of anything.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from taskwire_core.lifecycle import State
from taskwire_db.group import RowInsert
from taskwire_db.operator_models import queue_activity

BUCKET_US = 10_000_000
KEPT_BUCKETS = 30
"""Five minutes: what nobody asks for any more is deleted."""

_SUBMITTED, _STARTED, _SUCCEEDED, _FAILED = range(4)
_COLUMN_OF = {
    State.RUNNING: _STARTED,
    State.SUCCEEDED: _SUCCEEDED,
    State.FAILED: _FAILED,
    State.EXPIRED: _FAILED,
}


class Activity:
    """What one transaction did to each queue."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def note(self, queue: str, source: State | None, target: State) -> None:
        """Count one move of a task of `queue`."""
        column = _SUBMITTED if source is None else _COLUMN_OF.get(target)
        if column is None:
            return
        counts = self._counts.get(queue)
        if counts is None:
            counts = self._counts[queue] = [0, 0, 0, 0]
        counts[column] += 1

    def write(self, connection: sa.Connection, *, now_us: int, shard: int) -> None:
        """Add it to the present bucket."""
        bucket = bucket_of(now_us)
        _add_activity.run(
            connection,
            [(queue, bucket, shard, *counts) for queue, counts in sorted(self._counts.items())],
        )


def bucket_of(now_us: int) -> int:
    """The number of the ten seconds that a time falls into."""
    return now_us // BUCKET_US


def _add(insert: Any) -> Any:  # a dialect's Insert
    columns = ("submitted", "started", "succeeded", "failed")
    return insert.on_conflict_do_update(
        index_elements=["queue", "bucket", "shard"],
        set_={name: queue_activity.c[name] + insert.excluded[name] for name in columns},
    )


_add_activity = RowInsert(queue_activity, conflict=_add)
