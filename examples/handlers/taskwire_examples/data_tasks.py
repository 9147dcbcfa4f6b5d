"""Work on data, in a process of its own: it is heavy on the CPU, and tells how far it is."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from taskwire import Isolation, TaskContext, errors, task
from taskwire.examples.v1.data_tasks_pb2 import ProfileCsvRequest, ProfileCsvResponse
from taskwire_examples.column_statistics import ColumnStatistics

_ROWS_AT_A_TIME = 5_000
_MAX_COLUMNS = 1_000
_SHOWN_LINES = 20

_CODECS = {
    ProfileCsvRequest.ENCODING_UNSPECIFIED: "utf-8-sig",
    ProfileCsvRequest.ENCODING_UTF_8: "utf-8-sig",
    ProfileCsvRequest.ENCODING_UTF_16: "utf-16",
    ProfileCsvRequest.ENCODING_LATIN_1: "latin-1",
    ProfileCsvRequest.ENCODING_WINDOWS_1252: "cp1252",
}

# The csv module tells them apart by their texts only, which are not for callers.
_PROBLEMS = {
    "unexpected end of data": "a quoted cell has no end",
    "expected after": "a quoted cell goes on after its closing quote",
    "field larger than": f"a cell has more than {csv.field_size_limit():,} characters",
}

_Row = tuple[int, list[str]]
"""The line that it begins at, from 1, and its cells."""


@dataclass(slots=True)
class _Table:
    """The columns, and the rows that they were made of."""

    columns: list[ColumnStatistics]
    rows: int = 0
    malformed: list[int] = field(default_factory=list)

    def add(self, rows: Iterable[_Row]) -> None:
        good = []
        for line, cells in rows:
            if len(cells) == len(self.columns):
                good.append(cells)
            else:
                self.malformed.append(line)
        self.rows += len(good)
        # What is the same in many rows is looked at once. Without a good row there are no values.
        for column, values in zip(self.columns, zip(*good, strict=True), strict=False):
            column.add(Counter(values).items())


@task("taskwire.examples.v1.DataTasks/ProfileCsv", isolation=Isolation.PROCESS)
def profile_csv(request: ProfileCsvRequest, context: TaskContext) -> ProfileCsvResponse:
    """What is in the columns; a row with too many or too few cells is counted and left out."""
    text = _decoded(request)
    file = io.StringIO(text, newline="")
    rows = _rows(file, request.delimiter or ",")
    names, first = _header(rows, named=not request.HasField("has_header") or request.has_header)
    table = _Table([ColumnStatistics(name) for name in names])
    table.add(first)
    while some := list(islice(rows, _ROWS_AT_A_TIME)):
        context.raise_if_cancelled()
        table.add(some)
        done = len(request.csv) * file.tell() // len(text)
        context.progress(completed=done, total=len(request.csv), message=f"line {some[-1][0]:,}")
    return ProfileCsvResponse(
        columns=[column.profile() for column in table.columns],
        row_count=table.rows,
        malformed_row_count=len(table.malformed),
        malformed_lines=table.malformed[:_SHOWN_LINES],
    )


def _decoded(request: ProfileCsvRequest) -> str:
    codec = _CODECS[request.encoding]
    try:
        return request.csv.decode(codec)
    except UnicodeDecodeError as error:
        line = request.csv[: error.start].decode(codec, errors="ignore").count("\n") + 1
        raise _unreadable(line, "its bytes are not those of its encoding") from error


def _rows(file: io.StringIO, delimiter: str) -> Iterator[_Row]:
    """The rows but for blank lines.

    Raises:
        errors.InvalidArgument: at the first one that is no CSV.
    """
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise _unreadable(begins, _problem(error)) from error
        if cells is None:
            return
        if cells:
            yield begins, cells


def _header(rows: Iterator[_Row], *, named: bool) -> tuple[list[str], list[_Row]]:
    """The columns' names, and the first row when it has no names but values."""
    first = next(rows, None)
    if first is None:
        raise errors.InvalidArgument("The CSV has no rows.", reason="CSV_EMPTY")
    width = len(first[1])
    if width > _MAX_COLUMNS:
        raise errors.InvalidArgument(
            f"The CSV has more than {_MAX_COLUMNS:,} columns: is that its delimiter?",
            reason="TOO_MANY_COLUMNS",
            metadata={"columns": str(width), "max_columns": str(_MAX_COLUMNS)},
        )
    names = first[1] if named else [""] * width
    numbered = [name or f"column {number}" for number, name in enumerate(names, 1)]
    return numbered, [] if named else [first]


def _problem(error: csv.Error) -> str:
    found = (text for part, text in _PROBLEMS.items() if part in str(error))
    return next(found, "it cannot be divided into cells")


def _unreadable(line: int, problem: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        f"Line {line} of the CSV cannot be read: {problem}.",
        reason="CSV_UNREADABLE",
        metadata={"line": str(line)},
    )
