"""One statement over a group of rows, compiled once and prepared once per connection.

SQLite gets a VALUES list. One of n rows is a different text for every n, which SQLAlchemy does
not cache: groups are padded with rows of NULLs, which match nothing, to a power of two, so that
there are eleven texts per statement. PostgreSQL gets an array per column, and one text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite

MAX_ROWS = 1024
MAX_PORTION = 64
"""How many rows SQLite gets in one INSERT: a prepared one of more would be megabytes."""
MAX_ARRAY_BYTES = 16 * 1024 * 1024
"""How much payload PostgreSQL gets in one array, which cannot have more than 1 GiB."""

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
        dialect = connection.dialect
        arrays = dialect.name == "postgresql"
        size = 0 if arrays else 1 << (len(rows) - 1).bit_length()
        text, positions, values = self._compile(dialect, size)
        bound = {**values, **parameters, **(self._arrays(rows) if arrays else self._cells(rows))}
        arguments: Any = bound if positions is None else tuple(bound[p] for p in positions)
        cursor = _run_by_driver(connection, text, arguments)
        return cursor.fetchall() if cursor.description else []

    def _arrays(self, rows: Sequence[Sequence[object]]) -> dict[str, object]:
        return {
            f"{name}_all": list(column)
            for name, column in zip(self._columns, zip(*rows, strict=True), strict=True)
        }

    def _cells(self, rows: Sequence[Sequence[object]]) -> dict[str, object]:
        return {
            f"{name}_{index}": value
            for index, row in enumerate(rows)
            for name, value in zip(self._columns, row, strict=True)
        }

    def _compile(
        self, dialect: sa.Dialect, size: int
    ) -> tuple[str, list[str] | None, dict[str, Any]]:
        key = (dialect.name, size)
        if key not in self._compiled:
            v = self._values(size) if size else _rows_of_arrays(self._columns).cte("v")
            compiled: Any = self._build(v).compile(dialect=dialect)
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


def _rows_of_arrays(columns: Columns) -> sa.Select[*tuple[Any, ...]]:
    """A SELECT of the rows in the arrays `<column>_all`, in their order."""
    arrays = [
        sa.bindparam(f"{name}_all", type_=postgresql.ARRAY(type_))
        for name, type_ in columns.items()
    ]
    names = [sa.column(name, type_) for name, type_ in columns.items()]
    rows = sa.func.unnest(*arrays).table_valued(*names, name="u").render_derived()
    return sa.select(*rows.c)


class RowInsert:
    """An INSERT of many rows into `table`, compiled once per dialect; values in column order."""

    def __init__(self, table: sa.Table, *, conflict: Callable[[Any], Any] | None = None) -> None:
        self._table = table
        self._conflict = conflict
        self._compiled: dict[str, str] = {}
        self._texts: dict[tuple[int, str], str] = {}
        self._names = [column.name for column in table.columns]
        self._heavy = [
            index for index, column in enumerate(table.columns) if _is_unlimited(column.type)
        ]

    def run(
        self, connection: sa.Connection, rows: Sequence[tuple[object, ...]]
    ) -> Sequence[AnyRow]:
        """Insert `rows`, each a tuple in the order of the table's columns.

        What the statement returns, on PostgreSQL only.
        """
        found: list[AnyRow] = []
        if not rows:
            return found
        text = self._compile(connection.dialect)
        if connection.dialect.name != "postgresql":
            for some in self._portions(rows):
                _run_by_driver(connection, self._of(text, len(some)), list(chain(*some)))
            return found
        for some in self._bearable(rows):
            columns = zip(self._names, zip(*some, strict=True), strict=True)
            arrays = {f"{name}_all": list(column) for name, column in columns}
            cursor = _run_by_driver(connection, text, arrays)
            found.extend(cursor.fetchall() if cursor.description else [])
        return found

    def _portions(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
        """`rows` in parts of 64, 32, 16 rows and so on, so that there are few texts to prepare.

        Not `executemany`: the driver gives up the interpreter for each of its rows, and whoever
        has it then does not give it back at once.
        """
        start = 0
        while left := len(rows) - start:
            size = min(MAX_PORTION, 1 << left.bit_length() - 1)
            yield rows[start : start + size]
            start += size

    def _of(self, text: str, rows: int) -> str:
        """The statement for so many rows."""
        if (rows, text) not in self._texts:
            one = f"({', '.join('?' * len(self._names))})"
            self._texts[rows, text] = text.replace(one, ", ".join([one] * rows), 1)
        return self._texts[rows, text]

    def _bearable(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
        """`rows` in parts whose payloads are not too many bytes for one array."""
        if not self._heavy:
            yield rows
            return
        start = size = 0
        for index, row in enumerate(rows):
            here = sum(len(row[column] or b"") for column in self._heavy)
            if index > start and size + here > MAX_ARRAY_BYTES:
                yield rows[start:index]
                start, size = index, 0
            size += here
        yield rows[start:]

    def _compile(self, dialect: sa.Dialect) -> str:
        if dialect.name not in self._compiled:
            statement: Any = insert_for(dialect, self._table)
            if dialect.name == "postgresql":
                columns = {column.name: column.type for column in self._table.columns}
                statement = statement.from_select(self._names, _rows_of_arrays(columns))
            if self._conflict is not None:
                statement = self._conflict(statement)
            compiled = statement.compile(dialect=dialect)
            if compiled.positiontup not in (None, self._names):
                raise AssertionError(f"{self._table.name}: columns are bound out of order")
            self._compiled[dialect.name] = str(compiled)
        return self._compiled[dialect.name]


class Prepared:
    """One statement without parameters, compiled once per dialect."""

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._texts: dict[str, str] = {}

    def scalar(self, connection: sa.Connection) -> Any:  # whatever its one column holds
        """The first column of the one row that it returns."""
        dialect = connection.dialect
        if dialect.name not in self._texts:
            compiled = self._statement.compile(
                dialect=dialect, compile_kwargs={"literal_binds": True}
            )
            self._texts[dialect.name] = str(compiled)
        (row,) = _run_by_driver(connection, self._texts[dialect.name], ()).fetchall()
        return row[0]


def _is_unlimited(type_: sa.types.TypeEngine[Any]) -> bool:
    return isinstance(type_, sa.LargeBinary) and type_.length is None


def _run_by_driver(
    connection: sa.Connection, text: str, arguments: Any
) -> Any:  # the driver's cursor
    """Run a compiled statement on the driver itself.

    SQLAlchemy's execution contexts and result rows add a third to the cost of a large group.
    Its errors are kept.
    """
    dialect: Any = connection.dialect
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(text, arguments)
    except dialect.loaded_dbapi.Error as error:
        raise exc.DBAPIError.instance(
            text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error
    return cursor


def insert_for(dialect: sa.Dialect, table: sa.Table) -> Any:  # both dialects' Insert
    """An INSERT that knows ON CONFLICT, of the given dialect."""
    return (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
