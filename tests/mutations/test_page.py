"""The table of the page: what a run has found out replaces what the page says, and nothing else."""

from __future__ import annotations

import pytest

from tests.mutations.check import Verdict
from tests.mutations.guard import Guard
from tests.mutations.page import written

EMPTY = "# Guards\n\n<!-- made by make mutations -->\n<!-- end -->\n\nThe end.\n"


def guard(name: str) -> Guard:
    return Guard(name, without_it="It is gone.", promises=(1, 2), tests=(), edits=())


def verdict(name: str, test: str) -> Verdict:
    return Verdict(guard(name), (f"tests/room/test_it.py::{test}",), seconds=4.4)


def rows(page: str) -> list[list[str]]:
    """The name, the test and the seconds of each row."""
    lines = [line.split(" | ") for line in page.splitlines() if line.startswith("| [")]
    return [[cells[0].split("]")[0].removeprefix("| ["), *cells[3:]] for cells in lines]


def test_a_run_of_all_guards_writes_the_whole_table() -> None:
    page = written(
        EMPTY, [guard("a"), guard("b")], [verdict("a", "test_1"), verdict("b", "test_2")]
    )
    assert rows(page) == [
        ["a", "`test_it.py::test_1`", "4 |"],
        ["b", "`test_it.py::test_2`", "4 |"],
    ]
    assert page.startswith("# Guards\n\n")
    assert page.endswith("<!-- end -->\n\nThe end.\n")


@pytest.mark.parametrize(
    ("guards", "expected"),
    [("abc", ["a", "b", "c"]), ("a", ["a"]), ("abcd", ["a", "b", "c"])],
    ids=["in their order", "a guard that is gone", "a guard that was never checked"],
)
def test_a_run_of_some_guards_keeps_the_rows_of_the_others(
    guards: str, expected: list[str]
) -> None:
    known = [guard(name) for name in guards]
    page = written(EMPTY, [guard("a"), guard("c")], [verdict("a", "old"), verdict("c", "old")])
    page = written(page, known, [verdict("a", "new"), verdict("b", "new")])
    found = {name: test for name, test, _ in rows(page)}
    assert list(found) == expected
    assert found["a"] == "`test_it.py::new`"
    assert found.get("c", "`test_it.py::old`") == "`test_it.py::old`"
