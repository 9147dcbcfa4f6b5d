"""The JSON that Periskop scrapes: the names and types that its server decodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from periskop_client.collector import ExceptionCollector
from periskop_client.exporter import ExceptionExporter

from taskwire_admin.exception_book import ExceptionBook
from taskwire_admin.occurrence import Occurrence
from taskwire_admin.periskop import payload
from taskwire_core.caught import catch


def exported() -> dict[str, Any]:
    book = ExceptionBook()
    try:
        try:
            raise KeyError("width")
        except KeyError as error:
            raise ValueError("no") from error
    except ValueError as error:
        caught = catch(error)
    book.record(Occurrence(caught, "task", "acme.v1.Things/Do", fields={"task_id": "t"}))
    found: dict[str, Any] = json.loads(payload("here", book.bundles()))
    return found


def test_every_field_that_periskop_reads_is_there() -> None:
    found = exported()
    assert found["target_uuid"] == "here"
    (aggregated,) = found["aggregated_errors"]
    assert re.fullmatch(r"ValueError@[0-9a-f]{8}", aggregated["aggregation_key"])
    assert aggregated["total_count"] == 1
    assert aggregated["severity"] == "error"
    assert datetime.fromisoformat(aggregated["created_at"]).tzinfo is not None
    (latest,) = aggregated["latest_errors"]
    assert latest["severity"] == "error"
    assert latest["uuid"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", latest["timestamp"])
    error = latest["error"]
    assert (error["class"], error["message"]) == ("ValueError", "no")
    assert all(isinstance(line, str) for line in error["stacktrace"])
    assert error["cause"]["class"] == "KeyError"
    assert latest["http_context"] == {
        "request_method": "task",
        "request_url": "acme.v1.Things/Do",
        "request_headers": {"task_id": "t"},
        "request_body": None,
    }


def test_the_names_are_those_of_the_library_s_own_export() -> None:
    collector = ExceptionCollector()
    try:
        raise ValueError("no")
    except ValueError as error:
        collector.report(error)
    theirs = json.loads(ExceptionExporter(collector).export())
    assert set(_names(exported())) == set(_names(theirs))


def _names(value: object, path: str = "") -> Iterator[str]:
    """The path of every value, but not what is inside those that their example does not have."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}.{name}"
            if name not in ("http_context", "cause"):
                yield from _names(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner, path)


def test_the_stack_begins_where_it_was_raised() -> None:
    def inner() -> None:
        raise ValueError("no")

    book = ExceptionBook()
    for _ in range(2):
        try:
            inner()
        except ValueError as error:
            book.record(Occurrence(catch(error), "log", "here"))
    (bundle,) = json.loads(payload("here", book.bundles()))["aggregated_errors"]
    assert "in inner: raise ValueError" in bundle["latest_errors"][0]["error"]["stacktrace"][0]
    assert bundle["total_count"] == 2


def test_nothing_caught_is_an_empty_list() -> None:
    assert json.loads(payload("here", [])) == {"aggregated_errors": [], "target_uuid": "here"}
