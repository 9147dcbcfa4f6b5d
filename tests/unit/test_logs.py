"""The form of a log line."""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskwire_core.logs import FIELDS, MAX_TEXT_CHARS, JsonFormatter, LineFormatter
from taskwire_core.scope import Scope, working_on


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
    assert line("message", problem=value).endswith(f" problem={text}")


def test_a_message_never_breaks_its_line() -> None:
    assert "one\\ntwo" in line("one\ntwo")


def test_a_text_of_megabytes_is_cut_before_it_is_masked() -> None:
    long = "-" * 8_000_000
    found = line(long, problem=long)
    assert len(found) < 3 * MAX_TEXT_CHARS
    assert len(str(json_line(long)["event"])) == MAX_TEXT_CHARS


def test_an_exception_follows_its_line() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "m", "exc_info": (ValueError, error, None)})
    assert LineFormatter().format(record).splitlines()[-1] == "ValueError: x"


def json_line(message: str, **fields: object) -> dict[str, Any]:
    record = logging.makeLogRecord(
        {"name": "taskwire_worker.runner", "levelname": "INFO", "msg": message, **fields}
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    return found


def test_a_json_line_is_one_object() -> None:
    found = json_line("attempt\nfailed", attempt=2, types=["a", "b"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "INFO",
        "logger": "taskwire_worker.runner",
        "event": "attempt\nfailed",
        "fields": {"attempt": 2, "types": ["a", "b"]},
    }


def test_a_json_line_has_the_exception_as_data() -> None:
    try:
        raise ValueError("password=hunter2")
    except ValueError as error:
        found = json_line("m", exc_info=(ValueError, error, error.__traceback__))
    assert found["exception"]["type"] == "ValueError"
    assert found["exception"]["message"] == "password=***"
    assert "raise ValueError" in found["exception"]["stack"][0]


@pytest.mark.parametrize("form", [line, json_line])
def test_a_field_that_is_not_listed_is_not_written(form: Callable[..., object]) -> None:
    assert "hunter2" not in str(form("message", input="hunter2"))


def test_a_handler_s_own_fields_are_its_own() -> None:
    record = logging.makeLogRecord({"name": "acme.tasks", "msg": "m", "order": 7})
    assert LineFormatter().format(record).endswith(" order=7")


@pytest.mark.parametrize("form", [line, json_line])
def test_what_is_worked_on_is_in_every_line(form: Callable[..., object]) -> None:
    with working_on(Scope({"task_id": "t-1"}, b"hunter2")):
        assert "t-1" in str(form("message"))
    assert "t-1" not in str(form("message"))


@pytest.mark.parametrize("form", [line, json_line])
def test_a_url_s_password_is_not_written(form: Callable[..., object]) -> None:
    found = str(form("at redis://:hunter2@r/0", problem="amqp://user:hunter2@rabbit/"))
    assert "hunter2" not in found
    assert "rabbit" in found


def test_every_field_that_the_code_logs_is_listed() -> None:
    root = Path(__file__).parents[2]
    rooms = ("core", "contracts", "db", "broker", "admin", "gateway", "worker", "cli")
    used = {
        key.value
        for room in rooms
        for file in (root / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.keyword)
        and node.arg == "extra"
        and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    assert used, "the expression above finds no field at all"
    assert used - FIELDS == set(), "add it to FIELDS, if it never holds an input or a secret"
