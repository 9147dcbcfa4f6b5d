"""The lines that `taskwire dev` prints to be pasted."""

from __future__ import annotations

import pytest

from taskwire_cli.connection import reachable_form
from taskwire_cli.greeting import greeting


def test_the_example_is_called_with_an_input_that_works() -> None:
    text = greeting(
        "127.0.0.1:1234", ["a.B/C", "taskwire.examples.v1.MathTasks/Divide"], where="here"
    )
    assert "2 task types on 127.0.0.1:1234 (here)" in text
    assert "127.0.0.1:1234 taskwire.examples.v1.MathTasks/Divide" in text
    assert "http://127.0.0.1:1234/taskwire.examples.v1.MathTasks/Divide" in text


def test_without_the_examples_the_first_type_is_called() -> None:
    text = greeting("127.0.0.1:1234", ["z.B/C", "a.B/C"], where="here")
    assert "-d '{}' 127.0.0.1:1234 a.B/C" in text


def test_types_without_a_handler_are_named() -> None:
    text = greeting(
        "127.0.0.1:1234", ["z.B/C", "a.B/C"], where="here", unhandled=["z.B/C", "a.B/C"]
    )
    assert "No handler here: a.B/C, z.B/C (such tasks wait for a worker)." in text
    assert "No handler" not in greeting("127.0.0.1:1234", ["a.B/C"], where="here")


def test_without_types_there_is_nothing_to_call() -> None:
    assert "Call a task" not in greeting("127.0.0.1:1234", [], where="here")


@pytest.mark.parametrize(
    ("listen", "reachable"),
    [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:1", "[::1]:1"),
        ("host.example:1", "host.example:1"),
    ],
)
def test_a_server_on_every_address_is_reached_by_its_own(listen: str, reachable: str) -> None:
    assert reachable_form(listen) == reachable
