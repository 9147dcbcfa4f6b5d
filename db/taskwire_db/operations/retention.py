"""Retention: what has had its time goes, in chunks that hold up nobody.

Ended tasks go when their delete_time has passed, the oldest first. The change log and
the names of deleted tasks are kept for an hour, and a watch that was away for longer begins
again. An option set goes when no task has it and no process can still take it for stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from taskwire_db.database import Transaction
from taskwire_db.known_options import OPTIONS_KNOWN_US
from taskwire_db.models import (
    Micros,
    deployment,
    option_sets,
    task_changes,
    task_counters,
    task_deletions,
    tasks,
)
from taskwire_db.operations.delete import DOOMED_COLUMNS, erase

CHANGES_KEPT_US = 60 * 60 * 1_000_000
PRUNED_BYTES = 4 * 1024 * 1024
"""About how much of the change log one transaction deletes: some 40 ms of SQLite's time."""
OPTIONS_KEPT_US = 24 * 60 * 60 * 1_000_000
assert OPTIONS_KEPT_US > 10 * OPTIONS_KNOWN_US, "a process could take a deleted set for stored"


@dataclass(frozen=True, slots=True)
class Expired:
    """Delete up to `limit` ended tasks whose delete_time has passed."""

    limit: int


_EXPIRED = (
    sa.select(*DOOMED_COLUMNS)
    .where(tasks.c.delete_time.is_not(None))
    .where(tasks.c.delete_time <= sa.bindparam("now", type_=Micros))
    .order_by(tasks.c.delete_time)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
    .with_for_update(skip_locked=True)
)


def delete_expired(tx: Transaction, sweeps: Sequence[Expired]) -> list[int]:
    """How many tasks each sweep has deleted."""
    counts = []
    for sweep in sweeps:
        arguments = {"now": tx.now_us, "limit": sweep.limit}
        doomed = tx.connection.execute(_EXPIRED, arguments).all()
        erase(tx, doomed)
        counts.append(len(doomed))
    return counts


_OLDEST_CHANGES = (
    sa.select(
        task_changes.c.number, task_changes.c.change_time, sa.func.length(task_changes.c.tasks)
    )
    # The newest row stays, however old it is: SQLite counts on from it.
    .where(task_changes.c.number < sa.select(sa.func.max(task_changes.c.number)).scalar_subquery())
    .order_by(task_changes.c.number)
    .limit(sa.bindparam("limit", type_=sa.Integer()))
)

# A place of PostgreSQL's log is a snapshot, and looks back to the oldest transaction that was
# under way, whoever's it was in the whole cluster: what a place of this moment needs is kept.
_NEEDED = sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


def prune_changes(tx: Transaction, limits: Sequence[int]) -> list[int]:
    """How many rows of the change log, or of deletions if that is more, were deleted.

    They are `limit` of each at the most, and fewer where rows name many tasks.
    """
    return [max(_prune_changes(tx, limit), _prune_deletions(tx, limit)) for limit in limits]


def _prune_changes(tx: Transaction, limit: int) -> int:
    needed = None if tx.database.is_sqlite else tx.connection.execute(_NEEDED).scalar_one()
    last = old = size = 0
    for number, time_us, bytes_ in tx.connection.execute(_OLDEST_CHANGES, {"limit": limit}):
        if needed is not None and number >= needed:
            break
        # A time far ahead was written while the clock was wrong: it must not keep the rest.
        if abs(tx.now_us - time_us) <= CHANGES_KEPT_US:
            break
        last, old, size = number, old + 1, size + bytes_
        if size > PRUNED_BYTES:
            break
    if old:
        tx.connection.execute(sa.delete(task_changes).where(task_changes.c.number <= last))
        tx.connection.execute(sa.update(deployment).values(pruned_number=last))
    return old


def _prune_deletions(tx: Transaction, limit: int) -> int:
    time = task_deletions.c.delete_time
    old = (
        sa.select(task_deletions.c.task_id)
        .where(sa.or_(time < tx.now_us - CHANGES_KEPT_US, time > tx.now_us + CHANGES_KEPT_US))
        .limit(limit)
    )
    return tx.connection.execute(
        sa.delete(task_deletions).where(task_deletions.c.task_id.in_(old))
    ).rowcount


def forget_options(tx: Transaction, groups: Sequence[Sequence[int]]) -> list[int]:
    """How many of the option sets of each group, which no task had, were deleted.

    A set that is older than a day was not written again since, so that no process takes it for
    stored: who submits a task with it writes it again.
    """
    before_us = tx.now_us - OPTIONS_KEPT_US
    counts = []
    for ids in groups:
        done = tx.connection.execute(
            sa.delete(option_sets).where(
                option_sets.c.id.in_(list(ids)), option_sets.c.used_time < before_us
            )
        )
        counts.append(done.rowcount)
    return counts


def forget_counters(tx: Transaction, items: Sequence[None]) -> list[None]:
    """Drop the counters that count nothing, such as those of a type that is not used any more."""
    tx.connection.execute(sa.delete(task_counters).where(task_counters.c.count == 0))
    return [None] * len(items)
