"""The CSV example, called directly."""

from __future__ import annotations

import random
import statistics

import pytest

from taskwire import TaskContext, errors
from taskwire.examples.v1.data_tasks_pb2 import (
    ColumnProfile,
    ProfileCsvRequest,
    ProfileCsvResponse,
)
from taskwire_examples import profile_csv
from taskwire_examples.distinct_count import DistinctCount

ORDERS = '''\
order,customer,amount,paid,date,at,note
1,ada,9.50,true,2027-01-31,2027-01-31T09:00:00Z,
2,bob,-3,FALSE,2026-12-31,2027-01-31 10:00:00,"two
lines, and a ""quote"""
3,ada,1e3,true,2027-02-01,2027-02-01,x
'''


def profiled(csv: str | bytes, **how: object) -> ProfileCsvResponse:
    data = csv.encode() if isinstance(csv, str) else csv
    request = ProfileCsvRequest(csv=data, **how)  # type: ignore[arg-type]  # fields of any type
    return profile_csv(request, TaskContext.for_test())


def column(values: list[str]) -> ColumnProfile:
    """The profile of one column with these values; an empty cell is written as quotes."""
    (found,) = profiled("\n".join(value or '""' for value in ["value", *values])).columns
    return found


def refused(csv: str | bytes, **how: object) -> errors.InvalidArgument:
    with pytest.raises(errors.InvalidArgument) as found:
        profiled(csv, **how)
    assert not found.value.retryable
    return found.value


def test_every_column_has_its_name_and_its_type() -> None:
    response = profiled(ORDERS)

    assert response.row_count == 3
    assert [(each.name, ColumnProfile.Type.Name(each.type)) for each in response.columns] == [
        ("order", "TYPE_INTEGER"),
        ("customer", "TYPE_TEXT"),
        ("amount", "TYPE_NUMBER"),
        ("paid", "TYPE_BOOLEAN"),
        ("date", "TYPE_DATE"),
        ("at", "TYPE_TIMESTAMP"),
        ("note", "TYPE_TEXT"),
    ]


def test_a_column_of_numbers_has_their_statistics() -> None:
    amount = profiled(ORDERS).columns[2]

    assert (amount.min, amount.max) == ("-3", "1e3")
    assert (amount.count, amount.null_count, amount.distinct_count) == (3, 0, 3)
    assert amount.mean == pytest.approx(statistics.mean([9.5, -3, 1000]))
    assert amount.standard_deviation == pytest.approx(statistics.stdev([9.5, -3, 1000]))


def test_a_column_of_text_has_its_longest_one_and_counts_empty_cells() -> None:
    note = profiled(ORDERS).columns[6]

    assert (note.count, note.null_count) == (2, 1)
    assert note.longest_text == 'two\nlines, and a "quote"'
    assert note.longest_length == len(note.longest_text)
    assert not note.HasField("mean")
    assert not note.HasField("standard_deviation")


@pytest.mark.parametrize(
    ("values", "type"),
    [
        (["", ""], "UNSPECIFIED"),
        (["1", "", "-2", "+3", "0"], "INTEGER"),
        (["1", "2.0"], "NUMBER"),
        ([".5", "5.", "-1.5E-3"], "NUMBER"),
        (["007"], "TEXT"),
        (["007.5"], "TEXT"),
        (["0.5", "0"], "NUMBER"),
        (["1,5"], "TEXT"),
        (["1e999"], "TEXT"),
        (["9" * 400], "TEXT"),
        (["nan"], "TEXT"),
        (["inf"], "TEXT"),
        (["\u0661"], "TEXT"),
        (["1_000"], "TEXT"),
        ([" 1"], "TEXT"),
        (["1", "one"], "TEXT"),
        (["true", "False"], "BOOLEAN"),
        (["true", "1"], "TEXT"),
        (["2027-02-29"], "TEXT"),
        (["2028-02-29"], "DATE"),
        (["20270131"], "INTEGER"),
        (["2027-01-31", "1"], "TEXT"),
        (["2027-01-31", "2027-01-31T09:00:00.5+01:00"], "TIMESTAMP"),
        (["2027-01-31T25:00:00"], "TEXT"),
    ],
)
def test_a_type_is_that_of_all_values(values: list[str], type: str) -> None:
    quoted = [f'"{value}"' for value in values]
    assert ColumnProfile.Type.Name(column(quoted).type) == f"TYPE_{type}"


def test_one_number_has_a_mean_and_no_deviation() -> None:
    found = column(["7"])
    assert (found.mean, found.HasField("standard_deviation")) == (7, False)


def test_numbers_that_turn_out_to_be_text_have_no_mean_and_the_order_of_text() -> None:
    found = column(["10", "9", "x"])
    assert (found.min, found.max) == ("10", "x")
    assert not found.HasField("mean")


def test_the_deviation_of_large_numbers_that_differ_little_is_right() -> None:
    found = column([f"{1_000_000_000 + each}" for each in (4, 7, 13, 16)] * 1000)
    assert found.standard_deviation == pytest.approx(
        statistics.stdev([4, 7, 13, 16] * 1000), rel=1e-9
    )


def test_many_rows_are_the_same_as_their_numbers_at_once() -> None:
    dice = random.Random(7)
    numbers = [round(dice.gauss(50, 20), 2) for _ in range(20_000)]
    found = column([str(number) for number in numbers])
    assert found.count == 20_000
    assert found.mean == pytest.approx(statistics.mean(numbers))
    assert found.standard_deviation == pytest.approx(statistics.stdev(numbers))
    assert (float(found.min), float(found.max)) == (min(numbers), max(numbers))


def test_rows_of_another_width_are_counted_and_left_out() -> None:
    response = profiled('a,b\n1,2\n3\n\n"4\n",5,6\n7,8\n')

    assert response.row_count == 2
    assert response.malformed_row_count == 2
    assert list(response.malformed_lines) == [3, 5]
    assert response.columns[0].max == "7"


def test_a_file_of_malformed_rows_only_has_empty_columns() -> None:
    response = profiled("a,b\n" + "1\n" * 30)

    assert (response.row_count, response.malformed_row_count) == (0, 30)
    assert list(response.malformed_lines) == list(range(2, 22))
    assert [each.count for each in response.columns] == [0, 0]


def test_a_header_alone_is_a_table_without_rows() -> None:
    response = profiled("a,,b\n")
    assert [each.name for each in response.columns] == ["a", "column 2", "b"]
    assert response.row_count == 0


def test_without_a_header_the_first_row_has_values() -> None:
    response = profiled("1,2\n3,4\n", has_header=False)

    assert response.row_count == 2
    assert [(each.name, each.min) for each in response.columns] == [
        ("column 1", "1"),
        ("column 2", "2"),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", "§"])
def test_another_delimiter_divides_the_cells(delimiter: str) -> None:
    response = profiled(f"a{delimiter}b\n1{delimiter}2,5\n", delimiter=delimiter)
    assert [each.max for each in response.columns] == ["1", "2,5"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("größe\n5\n".encode(), ProfileCsvRequest.ENCODING_UNSPECIFIED),
        ("größe\n5\n".encode("utf-8-sig"), ProfileCsvRequest.ENCODING_UTF_8),
        ("größe\n5\n".encode("utf-16"), ProfileCsvRequest.ENCODING_UTF_16),
        ("größe\n5\n".encode("latin-1"), ProfileCsvRequest.ENCODING_LATIN_1),
        ("größe\n5\n".encode("cp1252"), ProfileCsvRequest.ENCODING_WINDOWS_1252),
    ],
)
def test_every_encoding_is_read(data: bytes, encoding: ProfileCsvRequest.Encoding) -> None:
    (found,) = profiled(data, encoding=encoding).columns
    assert (found.name, found.max) == ("größe", "5")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_a_line_is_one(end: str) -> None:
    response = profiled(end.join(["a,b", "1,2", "3,4", ""]))
    assert (response.row_count, response.columns[1].max) == (2, "4")


@pytest.mark.parametrize(
    ("csv", "line", "problem"),
    [
        ('a,b\n1,2\n"3,4\n5,6\n', "3", "a quoted cell has no end"),
        ('a,b\n"1"x,2\n', "2", "a quoted cell goes on after its closing quote"),
        ('a\n"1\n"x\n', "2", "a quoted cell goes on after its closing quote"),
        ("a\n" + "x" * 131_073, "2", "a cell has more than 131,072 characters"),
        (b"a,b\n1,2\n\xff,4\n", "3", "its bytes are not those of its encoding"),
        (b'"a', "1", "a quoted cell has no end"),
    ],
)
def test_what_is_no_csv_is_refused_with_its_line(csv: str | bytes, line: str, problem: str) -> None:
    error = refused(csv)

    assert (error.reason, error.metadata) == ("CSV_UNREADABLE", {"line": line})
    assert error.message == f"Line {line} of the CSV cannot be read: {problem}."


def test_bytes_that_are_no_utf_16_are_refused_with_their_line() -> None:
    data = "a\nb\n".encode("utf-16") + b"\x00\xdcx"
    error = refused(data, encoding=ProfileCsvRequest.ENCODING_UTF_16)
    assert error.metadata == {"line": "3"}


@pytest.mark.parametrize("csv", ["\n", "\r\n\n", "\ufeff"])
def test_a_file_without_rows_is_refused(csv: str) -> None:
    assert refused(csv).reason == "CSV_EMPTY"


def test_too_many_columns_are_refused_with_a_hint() -> None:
    error = refused("," * 1000)

    assert error.reason == "TOO_MANY_COLUMNS"
    assert error.metadata == {"columns": "1001", "max_columns": "1000"}
    assert len(profiled("," * 999).columns) == 1000


def test_texts_are_cut() -> None:
    (found,) = profiled("n" * 500 + "\n" + "x" * 1000 + "\n").columns
    assert [len(text) for text in (found.name, found.min, found.max, found.longest_text)] == (
        [200] * 4
    )
    assert found.longest_length == 1000


def test_different_values_are_counted_exactly_while_they_are_few() -> None:
    counted = DistinctCount()
    for number in [*range(4095), *range(4095)]:
        counted.add(str(number))
    assert (counted.count, counted.estimated) == (4095, False)


@pytest.mark.parametrize("distinct", [4096, 50_000])
def test_many_different_values_are_estimated_and_say_so(distinct: int) -> None:
    counted = DistinctCount()
    for number in range(distinct):
        counted.add(str(number))
        counted.add(str(number // 2))
    assert counted.estimated
    assert counted.count == pytest.approx(distinct, rel=0.06)


def test_progress_moves_towards_the_end_of_the_file() -> None:
    context = TaskContext.for_test()
    data = b"a,b\n" + b"1,2\n" * 12_000

    profile_csv(ProfileCsvRequest(csv=data), context)

    done = [report.completed for report in context.progress_reports]
    assert done == sorted(done)
    assert done[-1] == len(data)
    assert len(done) == 3
    assert {report.total for report in context.progress_reports} == {len(data)}


def test_a_profile_stops_when_it_is_cancelled() -> None:
    context = TaskContext.for_test()
    context.cancel()
    with pytest.raises(errors.Cancelled):
        profile_csv(ProfileCsvRequest(csv=b"a\n1\n"), context)
