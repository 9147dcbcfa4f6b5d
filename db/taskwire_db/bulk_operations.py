"""Bulk operations as rows: their scope as a condition, and a row as an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from taskwire_core.bulk import (
    MOST_FAILURES,
    BulkFailure,
    BulkKind,
    BulkOperation,
    BulkScope,
)
from taskwire_core.lifecycle import TERMINAL, WAITING, State
from taskwire_db.filters import condition
from taskwire_db.models import is_state, task_events, tasks
from taskwire_db.operator_models import bulk_operations

FIRST_ID = bytes(16)
"""Smaller than every id."""

LAST_ID = b"\xff" * 16
"""Greater than every id."""


def in_scope(scope: BulkScope) -> sa.ColumnElement[bool]:
    """The condition on `tasks` that those of the scope fulfil.

    Raises:
        InvalidRequest: the filter is not valid.
    """
    # Imported here: a worker loads this file too, and reads no filter.
    from taskwire_core.filters.parsing import parse

    wanted = sa.and_(
        # Not the bare column: an index that begins with it is in another order than ids, and
        # would be read and sorted anew for each chunk.
        sa.func.coalesce(tasks.c.owner, "") == scope.owner,
        condition(parse(scope.filter)),
    )
    if scope.kind is BulkKind.CANCEL:
        moving = is_state(tasks.c.state, *WAITING, State.RUNNING)
        return sa.and_(wanted, moving, _was_there(scope.began_us))
    return sa.and_(wanted, is_state(tasks.c.state, *TERMINAL), tasks.c.end_time <= scope.began_us)


def _was_there(at_us: int) -> sa.ColumnElement[bool]:
    """Whether a task was recorded by then, by the store's clock.

    Its id and its create_time tell that by the clock of the host that made it.
    """
    e = task_events.c
    recorded = sa.exists().where(e.task_id == tasks.c.id, e.version == 1, e.event_time <= at_us)
    return sa.or_(tasks.c.update_time <= at_us, recorded)


def operation_of(row: sa.Row[Any]) -> BulkOperation:
    """The operation in a whole row of the table."""
    return BulkOperation(
        id=bytes(row.id),
        scope=BulkScope(BulkKind(row.kind), row.owner, row.filter, row.create_time),
        reason=row.reason,
        request_id=row.request_id,
        cursor=bytes(row.cursor),
        total=row.total,
        done=row.done,
        skipped=row.skipped,
        failed=row.failed,
        failures=msgspec.json.decode(row.failures, type=tuple[BulkFailure, ...]),
        create_time_us=row.create_time,
        update_time_us=row.update_time,
        end_time_us=row.end_time,
        cancelled=bool(row.cancelled),
    )


def encode_failures(failures: Sequence[BulkFailure]) -> str:
    """The column's text: the first few of them."""
    return msgspec.json.encode(tuple(failures[:MOST_FAILURES])).decode()


def operation(connection: sa.Connection, key: bytes, owner: str | None) -> BulkOperation | None:
    """The operation of `owner` (None: whosever it is) with this id."""
    c = bulk_operations.c
    statement = sa.select(bulk_operations).where(c.id == key)
    if owner is not None:
        statement = statement.where(c.owner == owner)
    row = connection.execute(statement).first()
    return None if row is None else operation_of(row)
