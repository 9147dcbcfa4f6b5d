"""One statement over a group of rows, compiled once per power of two.

A VALUES list of n rows is a different SQL text for every n, and SQLAlchemy does not cache it.
Groups are therefore padded with rows of NULLs, which match nothing, to a power of two: eleven
texts per statement, each compiled once and prepared once per connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

MAX_ROWS = 1024

AnyRow = Sequence[Any]
"""A row of whatever columns, the driver's own or SQLAlchemy's."""

Columns = Mapping[str, sa.types.TypeEngine[Any]]

Build = Callable[[sa.CTE], sa.ClauseElement]


class GroupStatement:
    """`build(v)` makes the statement; `v` is a CTE with the named `columns`, a row per item."""

    def __init__(self, columns: Columns, build: Build) -> None:
        self._columns = dict(columns)
        self._build = build
        self._compiled: dict[tuple[str, int], tuple[str, list[str] | None, dict[str, Any]]] = {}

    def run(
        self,
        connection: sa.Connection,
        rows: Sequence[Sequence[object]],
        **parameters: object,
    ) -> list[AnyRow]:
        """What the statement returns for `rows` (values in the order of `columns`).

        `parameters` fill the statement's other named binds. More than 1,024 rows are run in
        several statements of the same transaction.
        """
        found: list[AnyRow] = []
        for start in range(0, len(rows), MAX_ROWS):
            found.extend(self._run_some(connection, rows[start : start + MAX_ROWS], parameters))
        return found

    def _run_some(
        self,
        connection: sa.Connection,
        rows: Sequence[Sequence[object]],
        parameters: Mapping[str, object],
    ) -> Sequence[AnyRow]:
        size = 1 << (len(rows) - 1).bit_length()
        text, positions, values = self._compile(connection.dialect, size)
        bound = {**values, **parameters}
        names = list(self._columns)
        for index, row in enumerate(rows):
            for name, value in zip(names, row, strict=True):
                bound[f"{name}_{index}"] = value
        arguments: Any = bound if positions is None else tuple(bound[p] for p in positions)
        cursor = _run_by_driver(connection, text, arguments)
        return cursor.fetchall() if cursor.description else []

    def _compile(
        self, dialect: sa.Dialect, size: int
    ) -> tuple[str, list[str] | None, dict[str, Any]]:
        key = (dialect.name, size)
        if key not in self._compiled:
            compiled: Any = self._build(self._values(size)).compile(dialect=dialect)
            positions = compiled.positiontup
            self._compiled[key] = (str(compiled), positions, dict(compiled.params))
        return self._compiled[key]

    def _values(self, size: int) -> sa.CTE:
        columns = [sa.column(name, type_) for name, type_ in self._columns.items()]
        data = [
            tuple(
                sa.bindparam(f"{name}_{index}", None, type_=type_)
                for name, type_ in self._columns.items()
            )
            for index in range(size)
        ]
        return sa.values(*columns, name="v").data(data).cte("v")


class RowInsert:
    """An INSERT of many rows into `table`, compiled once per dialect; values in column order."""

    def __init__(self, table: sa.Table, *, conflict: Callable[[Any], Any] | None = None) -> None:
        self._table = table
        self._conflict = conflict
        self._compiled: dict[str, tuple[str, list[str] | None]] = {}
        self._names = [column.name for column in table.columns]

    def run(self, connection: sa.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert `rows`, each a tuple in the order of the table's columns."""
        if not rows:
            return
        text, positions = self._compile(connection.dialect)
        if positions is None:
            arguments: Any = [dict(zip(self._names, row, strict=True)) for row in rows]
        else:
            arguments = list(rows)
        _run_by_driver(connection, text, arguments, many=True)

    def _compile(self, dialect: sa.Dialect) -> tuple[str, list[str] | None]:
        if dialect.name not in self._compiled:
            statement: Any = insert_for(dialect, self._table)
            if self._conflict is not None:
                statement = self._conflict(statement)
            compiled = statement.compile(dialect=dialect)
            positions = compiled.positiontup
            if positions is not None and positions != self._names:
                raise AssertionError(f"{self._table.name}: columns are bound out of order")
            self._compiled[dialect.name] = (str(compiled), positions)
        return self._compiled[dialect.name]


def _run_by_driver(
    connection: sa.Connection, text: str, arguments: Any, *, many: bool = False
) -> Any:  # the driver's cursor
    """Run a compiled statement on the driver itself.

    SQLAlchemy's execution contexts and result rows add a third to the cost of a large group.
    Its errors are kept.
    """
    dialect: Any = connection.dialect
    cursor: Any = connection.connection.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(text, arguments)
    except dialect.loaded_dbapi.Error as error:
        raise exc.DBAPIError.instance(
            text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error
    return cursor


def insert_for(dialect: sa.Dialect, table: sa.Table) -> Any:  # both dialects' Insert
    """An INSERT that knows ON CONFLICT, of the given dialect."""
    if dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
