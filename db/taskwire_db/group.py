"""One statement over a group of rows, compiled once and prepared once per connection.

SQLite gets a VALUES list, written into the text that was compiled for one row. One of n rows is a
different text for every n, to be prepared and kept by the driver: large groups are padded with
rows of NULLs, which match nothing, so that there are 37 texts per statement. PostgreSQL gets an
array per column, and one text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import postgresql, sqlite

MAX_ROWS = 1024
MAX_EXACT = 16
"""Up to so many rows a group has a text of its own on SQLite: a statement costs more than a row."""
MAX_PORTION = 64
"""How many rows SQLite gets in one INSERT: a prepared one of more would be megabytes."""
MAX_ARRAY_BYTES = 16 * 1024 * 1024
"""How much payload PostgreSQL gets in one array, which cannot have more than 1 GiB."""

AnyRow = Sequence[Any]
"""A row of whatever columns, the driver's own or SQLAlchemy's."""

Columns = Mapping[str, sa.types.TypeEngine[Any]]

Build = Callable[[sa.CTE], sa.ClauseElement]


class _Text(NamedTuple):
    """A compiled statement: the binds before and after those of the group's rows, by name."""

    text: str
    others: Mapping[str, object]
    """What its other binds are when nobody says."""
    before: Sequence[str] = ()
    after: Sequence[str] = ()


class GroupStatement:
    """`build(v)` makes the statement; `v` is a CTE with the named `columns`, a row per item."""

    def __init__(self, columns: Columns, build: Build) -> None:
        self._columns = dict(columns)
        self._build = build
        self._compiled: dict[str, _Text] = {}

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
        compiled = self._compile(connection.dialect)
        others = {**compiled.others, **parameters}
        if connection.dialect.name == "postgresql":
            return run_by_driver(connection, compiled.text, others | self._arrays(rows))
        width, size = len(self._columns), _padded(len(rows))
        arguments = [others[name] for name in compiled.before]
        arguments.extend(chain.from_iterable(rows))
        arguments.extend((None,) * (width * (size - len(rows))))
        arguments.extend([others[name] for name in compiled.after])
        return run_by_driver(connection, _for_rows(compiled.text, width, size), arguments)

    def _arrays(self, rows: Sequence[Sequence[object]]) -> dict[str, object]:
        return {
            f"{name}_all": list(column)
            for name, column in zip(self._columns, zip(*rows, strict=True), strict=True)
        }

    def _compile(self, dialect: sa.Dialect) -> _Text:
        if dialect.name not in self._compiled:
            arrays = dialect.name == "postgresql"
            v = _rows_of_arrays(self._columns).cte("v") if arrays else self._one_row()
            compiled: Any = self._build(v).compile(dialect=dialect)
            text, others = str(compiled), dict(compiled.params)
            self._compiled[dialect.name] = (
                _Text(text, others) if arrays else self._around(text, others, compiled.positiontup)
            )
        return self._compiled[dialect.name]

    def _around(self, text: str, others: Mapping[str, object], positions: list[str]) -> _Text:
        names = [f"{name}_0" for name in self._columns]
        start = positions.index(names[0])
        end = start + len(names)
        if positions[start:end] != names:
            raise AssertionError("a group's cells are not bound one after the other")
        return _Text(text, others, positions[:start], positions[end:])

    def _one_row(self) -> sa.CTE:
        columns = [sa.column(name, type_) for name, type_ in self._columns.items()]
        cells = tuple(
            sa.bindparam(f"{name}_0", None, type_=type_) for name, type_ in self._columns.items()
        )
        return sa.values(*columns, name="v").data([cells]).cte("v")


def _padded(rows: int) -> int:
    """How many rows the text has that takes so many."""
    step = 1 if rows <= MAX_EXACT else 8 if rows <= MAX_PORTION else MAX_PORTION
    return -(-rows // step) * step


@cache
def _for_rows(text: str, columns: int, rows: int) -> str:
    """A statement with `VALUES (?, …)` for one row, written for so many."""
    one = f"({', '.join('?' * columns)})"
    if text.count(f"VALUES {one}") != 1:
        raise AssertionError("a group's statement has not one VALUES list")
    return text.replace(f"VALUES {one}", f"VALUES {', '.join([one] * rows)}")


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
        self._names = [column.name for column in table.columns]
        self._heavy = [
            index for index, column in enumerate(table.columns) if is_unlimited(column.type)
        ]

    def run(self, connection: sa.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert `rows`, each a tuple in the order of the table's columns."""
        if not rows:
            return
        text = self._compile(connection.dialect)
        if connection.dialect.name != "postgresql":
            for some in self._portions(rows):
                sized = _for_rows(text, len(self._names), len(some))
                run_by_driver(connection, sized, list(chain(*some)))
            return
        for some in self._bearable(rows):
            columns = zip(self._names, zip(*some, strict=True), strict=True)
            arrays = {f"{name}_all": list(column) for name, column in columns}
            run_by_driver(connection, text, arrays)

    def _portions(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
        """`rows` in parts of 64, 48, 32 or 16 and a rest, so that there are few texts to prepare.

        Not `executemany`: the driver gives up the interpreter for each of its rows, and whoever
        has it then does not give it back at once.
        """
        start = 0
        while left := len(rows) - start:
            size = left if left <= MAX_EXACT else min(MAX_PORTION, left // MAX_EXACT * MAX_EXACT)
            yield rows[start : start + size]
            start += size

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


def is_unlimited(type_: sa.types.TypeEngine[Any]) -> bool:
    """Whether a column of this type holds bytes of any length: a payload."""
    return isinstance(type_, sa.LargeBinary) and type_.length is None


def run_by_driver(connection: sa.Connection, text: str, arguments: Any) -> Sequence[AnyRow]:
    """What a compiled statement returns that is run on the driver itself.

    SQLAlchemy's execution contexts and result rows add a third to the cost of a large group.
    Its errors are kept, those as well that SQLite meets only on the way to a later row.
    """
    dialect: Any = connection.dialect
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(text, arguments)
        found: Sequence[AnyRow] = cursor.fetchall() if cursor.description else []
    except dialect.loaded_dbapi.Error as error:
        raise exc.DBAPIError.instance(
            text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error
    return found


def insert_for(dialect: sa.Dialect, table: sa.Table) -> Any:  # both dialects' Insert
    """An INSERT that knows ON CONFLICT, of the given dialect."""
    return (postgresql if dialect.name == "postgresql" else sqlite).insert(table)
