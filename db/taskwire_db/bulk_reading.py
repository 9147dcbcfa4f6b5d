"""Reading bulk operations, and what they are to do next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import sqlalchemy as sa
from msgspec.structs import replace

from taskwire_core.bulk import BulkKind, BulkOperation, BulkPreview, BulkScope
from taskwire_core.task import Payload, Task, View
from taskwire_db.bulk_operations import in_scope, operation, operation_of
from taskwire_db.lists.time_limit import time_limit
from taskwire_db.models import task_inputs, tasks
from taskwire_db.operations.reading import tasks_by_id
from taskwire_db.operator_models import bulk_operations
from taskwire_db.reader import Reader

MOST_BYTES = 16 * 1024 * 1024
"""Of the inputs of one chunk, whatever the number of its tasks."""

_c = bulk_operations.c


def preview(reader: Reader, scope: BulkScope, sample: int, within_s: float) -> BulkPreview:
    """What an operation of this scope would deal with.

    Raises:
        TooManyToCount: more rows have to be looked at than `within_s` is enough for.
    """
    wanted = in_scope(scope)
    count = sa.select(sa.func.count()).select_from(tasks).where(wanted)
    first = sa.select(tasks.c.id).where(wanted).order_by(tasks.c.id).limit(sample)
    database = reader.database
    with database.snapshot() as connection, time_limit(database, connection, within_s):
        ids = tuple(bytes(key) for key in connection.execute(first).scalars())
        return BulkPreview(connection.execute(count).scalar_one(), ids)


def next_tasks(reader: Reader, bulk: BulkOperation, limit: int) -> tuple[list[bytes], bool]:
    """The ids of the tasks that come next, at most `limit`; and whether none come after them."""
    statement = next_ids(bulk, limit)
    with reader.database.snapshot() as connection:
        found = [bytes(key) for key in connection.execute(statement).scalars()]
        kept = found
        if bulk.scope.kind is BulkKind.RETRY and found:
            kept = found[: _bearable(connection, found)]
    return kept, len(kept) == len(found) < limit


def next_ids(bulk: BulkOperation, limit: int) -> sa.Select[bytes]:
    """Reads on from the operation's place, in the order of ids."""
    return (
        sa.select(tasks.c.id)
        .where(in_scope(bulk.scope), tasks.c.id > bulk.cursor)
        .order_by(tasks.c.id)
        .limit(limit)
    )


def _bearable(connection: sa.Connection, ids: Sequence[bytes]) -> int:
    """How many of the tasks, one at least, have inputs that may be in memory together."""
    size = sa.func.length(task_inputs.c.data)
    statement = sa.select(task_inputs.c.task_id, size).where(task_inputs.c.task_id.in_(ids))
    sizes = {bytes(key): count for key, count in connection.execute(statement)}
    totals = accumulate(sizes.get(key, 0) for key in ids)
    return max(1, sum(1 for total in totals if total <= MOST_BYTES))


def tasks_with_input(reader: Reader, ids: Sequence[bytes]) -> dict[bytes, Task]:
    """The tasks among `ids` that exist, in the BASIC view and with their input."""
    c = task_inputs.c
    statement = sa.select(c.task_id, c.type_name, c.data).where(c.task_id.in_(ids))
    with reader.database.snapshot() as connection:
        found = tasks_by_id(reader.database, connection, ids, View.BASIC)
        inputs = {
            bytes(key): Payload(name, bytes(data))
            for key, name, data in connection.execute(statement)
        }
    return {key: replace(task, input=inputs.get(key)) for key, task in found.items()}


def running_bulks(reader: Reader) -> list[BulkOperation]:
    """The operations that have not ended, the oldest first."""
    statement = sa.select(bulk_operations).where(_c.end_time.is_(None)).order_by(_c.id)
    with reader.database.snapshot() as connection:
        return [operation_of(row) for row in connection.execute(statement)]


def bulk_by_id(reader: Reader, key: bytes, owner: str) -> BulkOperation | None:
    """The operation of `owner` with this id."""
    with reader.database.snapshot() as connection:
        return operation(connection, key, owner)


def bulk_page(reader: Reader, owner: str, before: bytes, limit: int) -> list[BulkOperation]:
    """Up to `limit` operations of `owner` that are older than `before`, the newest first."""
    statement = (
        sa.select(bulk_operations)
        .where(_c.owner == owner, _c.id < before)
        .order_by(_c.id.desc())
        .limit(limit)
    )
    with reader.database.snapshot() as connection:
        return [operation_of(row) for row in connection.execute(statement)]
