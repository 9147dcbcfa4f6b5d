"""The form of a log line."""

from __future__ import annotations

import logging
import re

import pytest

from taskwire_core.logs import LineFormatter


def line(message: str, **fields: object) -> str:
    record = logging.makeLogRecord(
        {"name": "taskwire_worker.runner", "levelname": "INFO", "msg": message, **fields}
    )
    return LineFormatter().format(record)


def test_a_line_has_time_level_logger_message_and_fields() -> None:
    found = line("attempt failed", task_id="t", attempt=2)
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(
        time + r" INFO    taskwire_worker\.runner  attempt failed task_id=t attempt=2", found
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("two words", '"two words"'),
        ("two\nlines", '"two\\nlines"'),
        ("", '""'),
        (b"\x01\xff", "01ff"),
        (None, "None"),
        (1.5, "1.5"),
    ],
)
def test_a_value_never_breaks_its_line(value: object, text: str) -> None:
    assert line("message", key=value).endswith(f" key={text}")


def test_a_message_never_breaks_its_line() -> None:
    assert "one\\ntwo" in line("one\ntwo")


def test_an_exception_follows_its_line() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "m", "exc_info": (ValueError, error, None)})
    assert LineFormatter().format(record).splitlines()[-1] == "ValueError: x"
