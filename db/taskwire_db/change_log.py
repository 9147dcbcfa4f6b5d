"""Reading the change log: what became visible between two places of it, page by page.

A place is what a reader could see: on SQLite the number of the last transaction, on PostgreSQL a
snapshot, as `pg_current_snapshot()` writes it. `change_entry.py` says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from taskwire_core.changes import Change, ChangePage, Cursor, CursorExpired
from taskwire_core.task import Task
from taskwire_db import codec
from taskwire_db.change_entry import entries_in
from taskwire_db.database import Database
from taskwire_db.group import AnyRow, GroupStatement
from taskwire_db.models import Id, deployment, task_changes, task_outcomes, tasks
from taskwire_db.rows import TASK_COLUMNS, WIDTH, read_tasks

_Written = tuple[int, bytes, str, bool]
"""A row's number, and a task of it with its owner and whether it was deleted."""

_c = task_changes.c
_pruned = sa.select(deployment.c.pruned_number)
_last = sa.select(sa.func.coalesce(sa.func.max(_c.number), 0))
_snapshot = sa.text("SELECT pg_current_snapshot()::text")

_ROWS = 100
"""How many rows are read at once; each may name thousands of tasks, and most name few."""


def head(database: Database, connection: sa.Connection) -> Cursor:
    """The place behind everything that `connection` sees."""
    return Cursor(_visible(database, connection))


def read_changes(
    database: Database, connection: sa.Connection, after: Cursor, limit: int
) -> ChangePage:
    """What has changed since `after`, up to `limit` changes.

    Raises:
        CursorExpired: the log does not go back so far.
    """
    now = _visible(database, connection)
    log = _SqliteLog(after) if database.is_sqlite else _PostgresqlLog(after)
    log.require(pruned=connection.execute(_pruned).scalar_one(), now=now)
    upto = after.upto or now
    written = list(islice(_written(connection, log.between(upto), after), limit))
    full = len(written) == limit
    changes = _last_of_each(written, after.since, upto)
    found = _judged(database, connection, [c.task_id for c in changes if not c.deleted])
    next_ = changes[-1].cursor if full else Cursor(upto)
    # A place within a page is of a moment that may have passed long ago.
    return ChangePage(changes, found, next_, more=full or upto != now)


def _written(
    connection: sa.Connection, between: Sequence[sa.ColumnElement[bool]], after: Cursor
) -> Iterator[_Written]:
    """What the log's rows say behind `after`, in the order of numbers and then of ids."""
    for number, tasks_ in _rows(connection, between, after.number):
        for task_id, owner, deleted in entries_in(tasks_):
            if (number, task_id) > (after.number, after.task_id):
                yield number, task_id, owner, deleted


def _rows(
    connection: sa.Connection, between: Sequence[sa.ColumnElement[bool]], first: int
) -> Iterator[AnyRow]:
    """The rows from `first` on, a few at a time."""
    columns = sa.select(_c.number, _c.tasks).where(*between).order_by(_c.number).limit(_ROWS)
    while True:
        rows = connection.execute(columns.where(_c.number >= first)).all()
        yield from rows
        if len(rows) < _ROWS:
            return
        first = rows[-1].number + 1


def _visible(database: Database, connection: sa.Connection) -> str:
    return str(connection.execute(_last if database.is_sqlite else _snapshot).scalar_one())


class _SqliteLog:
    """Numbers are in the order of the commits: what is later is greater."""

    def __init__(self, after: Cursor) -> None:
        self._since = _number(after.since)

    def require(self, *, pruned: int, now: str) -> None:
        """Refuse a place that was pruned, or that this database has not come to."""
        if self._since < pruned or self._since > int(now):
            raise CursorExpired

    def between(self, upto: str) -> Sequence[sa.ColumnElement[bool]]:
        return [_c.number > self._since, _c.number <= _number(upto)]


class _PostgresqlLog:
    """Numbers are transactions, and a snapshot knows which of them it sees."""

    def __init__(self, after: Cursor) -> None:
        self._since = after.since
        self._xmin, self._xmax = _bounds(after.since)

    def require(self, *, pruned: int, now: str) -> None:
        """Refuse a place that was pruned, or that this database has not come to."""
        if self._xmin <= pruned or self._xmax > _bounds(now)[1]:
            raise CursorExpired

    def between(self, upto: str) -> Sequence[sa.ColumnElement[bool]]:
        return [
            _c.number >= self._xmin,
            # After a restore there may be numbers of a cluster that was further than this one.
            _c.number < _bounds(upto)[1],
            sa.not_(_sees(self._since)),
            _sees(upto),
        ]


def _sees(snapshot: str) -> sa.ColumnElement[bool]:
    text = sa.literal(snapshot, sa.Text())
    condition: Any = sa.func.pg_visible_in_snapshot(
        sa.text("task_changes.number::text::xid8"), sa.cast(text, _PgSnapshot())
    )
    return condition  # type: ignore[no-any-return]  # a function's result


class _PgSnapshot(sa.types.UserDefinedType[str]):
    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "pg_snapshot"


def _bounds(snapshot: str) -> tuple[int, int]:
    xmin, xmax, *_ = (*snapshot.split(":"), "", "")
    return _number(xmin), _number(xmax)


def _number(text: str) -> int:
    # A place of the other kind of database, as after a move from one to the other.
    if not text.isdecimal():
        raise CursorExpired
    return int(text)


def _last_of_each(written: Sequence[_Written], since: str, upto: str) -> tuple[Change, ...]:
    found: dict[bytes, Change] = {}
    for number, task_id, owner, deleted in written:
        found.pop(task_id, None)
        cursor = Cursor(since, upto, number, task_id)
        found[task_id] = Change(task_id, owner, deleted, cursor)
    return tuple(found.values())


_judge = GroupStatement(
    {"id": Id},
    lambda v: (
        sa.select(*TASK_COLUMNS, task_outcomes.c.failure)
        .join_from(v, tasks, tasks.c.id == v.c.id)
        .outerjoin(task_outcomes, task_outcomes.c.task_id == tasks.c.id)
    ),
)


def _judged(
    database: Database, connection: sa.Connection, ids: Sequence[bytes]
) -> Mapping[bytes, Task]:
    """The tasks with all that a filter asks for; results may be large and are not read."""
    if not ids:
        return {}
    rows = _judge.run(connection, [(task_id,) for task_id in ids])
    found = read_tasks(database, connection, rows, _failure_of)
    return {task.id: task for task in found}


def _failure_of(row: AnyRow) -> Mapping[str, Any]:
    return {"failure": codec.decode_failure(row[WIDTH])}
