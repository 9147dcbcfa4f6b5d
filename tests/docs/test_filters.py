"""The filters on the page are filters, mean what it says, and are refused where it says so."""

from __future__ import annotations

import re

import pytest

from taskwire_core.errors import InvalidRequest
from taskwire_core.failure import FailureKind
from taskwire_core.filters import Field
from taskwire_core.filters.parsing import parse
from taskwire_core.lifecycle import State
from tests.docs.pages import page, table

_CODE = re.compile(r"`([^`]+)`")


def rows(*headings: str) -> list[list[str]]:
    return table(page("docs/filters.md"), *headings)


def code(cell: str) -> list[str]:
    return _CODE.findall(cell)


@pytest.mark.parametrize(
    "text", [code(row[0])[0] for row in rows("filter", "the tasks that match")]
)
def test_a_filter_of_the_page_is_one(text: str) -> None:
    parse(text)


def test_the_page_has_an_example_of_every_operator_of_every_field() -> None:
    examples = [code(row[0])[0] for row in rows("filter", "the tasks that match")]
    for names, _, operators in rows("field", "its values", "operators"):
        for field in code(names):
            start = "labels." if field == "labels.KEY" else field
            assert any(text.startswith(start) for text in examples), field
            for operator in code(operators):
                value = {"state": "FAILED", "error.kind": "TIMEOUT", "attempt": "1"}.get(field, "a")
                value = "2026-01-31T12:00:00Z" if field.endswith("_time") else value
                parse(f"{field} {operator}" if operator == ":*" else f"{field} {operator} {value}")


def test_the_table_of_fields_has_all_of_them_with_their_values() -> None:
    found = {
        name: cells[1]
        for cells in rows("field", "its values", "operators")
        for name in code(cells[0])
    }
    assert {name.removesuffix(".KEY") for name in found} == {*Field}
    assert found["state"].split(", ") == [state.name for state in State]
    assert found["error.kind"].split(", ") == [kind.name for kind in FailureKind]


def test_together_they_mean_what_the_page_says() -> None:
    compared = 0
    for filter_, meaning in rows("filter", "means"):
        parsed = parse(code(filter_)[0])
        for same in code(meaning):
            assert parsed == parse(same)
            compared += 1
    assert compared == 2


@pytest.mark.parametrize(
    ("filter_", "position", "sentence"), rows("filter", "at", "what the error says")
)
def test_what_the_page_says_is_refused_is(filter_: str, position: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(code(filter_)[0])
    assert caught.value.metadata["position"] == position
    pattern = ".*".join(re.escape(part.strip()) for part in sentence.split("…"))
    assert re.search(pattern, caught.value.message)
