"""An UPDATE of a group's rows that answers with what they are now.

RETURNING hands out a row at a time, and SQLite's driver gives up the interpreter for each: beside
a busy thread a hundred rows wait for it a hundred times, under the lock that all writers wait
for. So larger groups are updated without RETURNING, and read as one row of JSON.

And what RETURNING hands out SQLite copies into a table in memory first, which for half a megabyte
takes four times as long as to read it. So it returns small payloads only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from taskwire_db.group import (
    MAX_ROWS,
    AnyRow,
    Columns,
    GroupStatement,
    run_by_driver,
)
from taskwire_db.models import Id, tasks

Column = sa.ColumnElement[Any]

LEAST = 8
"""Smaller groups are answered by RETURNING: one statement instead of four."""
MOST_BYTES = 4096
"""Of a payload that is read as JSON or returned; a group with a larger one is read row by row."""

_rows = msgspec.json.Decoder(list[list[int | str | None]])


class GroupUpdate:
    """`build(v)` makes an UPDATE of `tasks` (see `GroupStatement`; the first of `columns` is the
    task's id, once in a group). It answers with the columns of `answer`, of which the first is
    the id too, and behind them with what `payload` selects for a task: bytes, never NULL."""

    def __init__(
        self,
        columns: Columns,
        build: Callable[[sa.CTE], sa.Update],
        answer: Sequence[Column],
        payload: sa.Select[tuple[bytes]] | None = None,
    ) -> None:
        whole, small, as_hex = _forms(payload)
        self._update = GroupStatement(columns, build)
        self._returning = GroupStatement(columns, lambda v: build(v).returning(*answer, *whole))
        self._returning_small = GroupStatement(
            columns, lambda v: build(v).returning(*answer, *small)
        )
        self._read = GroupStatement({"id": Id}, lambda v: _of_those(v, [*answer, *whole]))
        as_json = sa.func.json_group_array(sa.func.json_array(*map(_shown, answer), *as_hex))
        self._read_json = GroupStatement({"id": Id}, lambda v: _of_those(v, [as_json]))
        self._ids = [
            index for index, column in enumerate(answer) if isinstance(column.type, sa.LargeBinary)
        ]
        self._payload = len(answer) if payload is not None else None

    def run(
        self, connection: sa.Connection, rows: Sequence[Sequence[Any]], **parameters: object
    ) -> Sequence[AnyRow]:
        """The answer's columns of every task that was updated."""
        if connection.dialect.name != "sqlite":
            return self._returning.run(connection, rows, **parameters)
        if LEAST <= len(rows) <= MAX_ROWS:
            found = self._at_once(connection, rows, parameters)
            if found is not None:
                return found
        found = self._returning_small.run(connection, rows, **parameters)
        return self._whole(connection, found)

    def _whole(self, connection: sa.Connection, found: Sequence[AnyRow]) -> Sequence[AnyRow]:
        """`found`, read again if a payload was too large to come along."""
        if self._payload is None or all(row[self._payload] is not None for row in found):
            return found
        return self._read.run(connection, [row[:1] for row in found])

    def _at_once(
        self, connection: sa.Connection, rows: Sequence[Sequence[Any]], parameters: dict[str, Any]
    ) -> Sequence[AnyRow] | None:
        """None, and nothing done, when some of the rows were not to be updated: which of them,
        only RETURNING can tell."""
        driver: Any = connection.connection.dbapi_connection
        run_by_driver(connection, "SAVEPOINT at_once", ())
        before = driver.total_changes
        self._update.run(connection, rows, **parameters)
        if driver.total_changes - before != len(rows):
            run_by_driver(connection, "ROLLBACK TO at_once", ())
            return None
        ids = [row[:1] for row in rows]
        ((text,),) = self._read_json.run(connection, ids)
        return self._whole(connection, [self._with_bytes(row) for row in _rows.decode(text)])

    def _with_bytes(self, row: list[Any]) -> list[Any]:
        """The row with the bytes in place of their hex."""
        for index in self._ids:
            row[index] = bytes.fromhex(row[index]) if row[index] else None
        if self._payload is not None and row[self._payload] is not None:
            row[self._payload] = bytes.fromhex(row[self._payload])
        return row


def _of_those(v: sa.CTE, columns: Sequence[Column]) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(*columns).select_from(v.join(tasks, tasks.c.id == v.c.id))


def _forms(payload: sa.Select[tuple[bytes]] | None) -> tuple[list[Column], ...]:
    """The payload whole, and only if it is small: as it is, and in hex. Its length is asked where
    it is selected, for there SQLite knows it without reading what is large."""
    if payload is None:
        return [], [], []
    (column,) = payload.selected_columns
    is_small = sa.func.length(column) <= sa.literal_column(str(MOST_BYTES))
    # In this order because SQLite's hex of NULL is '', which would be an empty payload.
    forms = (column, sa.case((is_small, column)), sa.case((is_small, sa.func.hex(column))))
    whole, small, as_hex = (payload.with_only_columns(form).scalar_subquery() for form in forms)
    return [whole], [small], [as_hex]


def _shown(column: Column) -> Column:
    """`column` as JSON has it: bytes in hex, which is '' of NULL."""
    return sa.func.hex(column) if isinstance(column.type, sa.LargeBinary) else column
