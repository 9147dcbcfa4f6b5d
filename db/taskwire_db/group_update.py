"""An UPDATE of a group's rows that answers with what they are now.

RETURNING hands out a row at a time, and SQLite's driver gives up the interpreter for each: beside
a busy thread a hundred rows wait for it a hundred times, under the lock that all writers wait
for. So larger groups are updated without RETURNING, and read as one row of JSON.
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
    is_unlimited,
    run_by_driver,
)
from taskwire_db.models import Id, tasks

Column = sa.ColumnElement[Any]

LEAST = 8
"""Smaller groups are answered by RETURNING: one statement instead of four."""
MOST_BYTES = 4096
"""Of a payload that is read as JSON; a group with a larger one is read row by row."""

_rows = msgspec.json.Decoder(list[list[int | str | None]])


class GroupUpdate:
    """`build(v)` makes an UPDATE of `tasks` (see `GroupStatement`; the first of `columns` is the
    task's id, once in a group), and `answer` are the columns that it answers with."""

    def __init__(
        self, columns: Columns, build: Callable[[sa.CTE], sa.Update], answer: Sequence[Column]
    ) -> None:
        self._update = GroupStatement(columns, build)
        self._returning = GroupStatement(columns, lambda v: build(v).returning(*answer))
        self._read = GroupStatement({"id": Id}, lambda v: _of_those(v, answer))
        as_json = sa.func.json_group_array(sa.func.json_array(*map(_shown, answer)))
        self._read_json = GroupStatement({"id": Id}, lambda v: _of_those(v, [as_json]))
        self._bytes = [
            (index, is_unlimited(column.type))
            for index, column in enumerate(answer)
            if isinstance(column.type, sa.LargeBinary)
        ]
        """Places of ids, which may be NULL, and of payloads, which are never NULL."""

    def run(
        self, connection: sa.Connection, rows: Sequence[Sequence[Any]], **parameters: object
    ) -> Sequence[AnyRow]:
        """The answer's columns of every task that was updated."""
        if connection.dialect.name == "sqlite" and LEAST <= len(rows) <= MAX_ROWS:
            found = self._at_once(connection, rows, parameters)
            if found is not None:
                return found
        return self._returning.run(connection, rows, **parameters)

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
        found = _rows.decode(text)
        if not self._with_bytes(found):
            return self._read.run(connection, ids)
        return found

    def _with_bytes(self, rows: list[list[Any]]) -> bool:
        """Put the bytes in place of their hex; whether all of them are there."""
        for index, is_payload in self._bytes:
            for row in rows:
                text = row[index]
                if text:
                    row[index] = bytes.fromhex(text)
                elif text is None and is_payload:
                    return False
                else:
                    row[index] = b"" if is_payload else None
        return True


def _of_those(v: sa.CTE, columns: Sequence[Column]) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(*columns).select_from(v.join(tasks, tasks.c.id == v.c.id))


def _shown(column: Column) -> Column:
    """`column` as JSON has it: bytes in hex, which is '' of NULL, and NULL of what is too large."""
    if not isinstance(column.type, sa.LargeBinary):
        return column
    small = sa.func.coalesce(sa.func.length(column), 0) <= sa.literal_column(str(MOST_BYTES))
    return sa.case((small, sa.func.hex(column)))
