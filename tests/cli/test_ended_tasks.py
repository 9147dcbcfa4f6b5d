"""`taskwire delete` and `retry` against a real server."""

from __future__ import annotations

from tests.cli.conftest import DIVIDE, SLEEP, Taskwire

NOBODY = "0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11"


def ended(taskwire: Taskwire, json: str = "{}") -> str:
    found: str = taskwire("submit", DIVIDE, json, "--wait", "--json").json["id"]
    return found


def waiting(taskwire: Taskwire) -> str:
    return taskwire("submit", SLEEP, '{"duration": "1s"}', "--delay", "1h").out.split()[0]


def test_several_tasks_are_deleted(taskwire: Taskwire) -> None:
    one, other = ended(taskwire), ended(taskwire)
    answer = taskwire("delete", one, other, one)
    assert answer.code == 0
    assert answer.out.splitlines() == [f"{one}  deleted", f"{other}  deleted"]
    assert taskwire("get", one).code == 3


def test_what_cannot_be_deleted_is_named_and_the_others_are_deleted(taskwire: Taskwire) -> None:
    live, done = waiting(taskwire), ended(taskwire)
    answer = taskwire("delete", NOBODY, live, done)
    assert answer.code == 3
    assert answer.out == f"{done}  deleted\n"
    assert f"{NOBODY}: " in answer.line
    assert "NOT_FOUND TASK_NOT_FOUND" in answer.line
    assert "FAILED_PRECONDITION TASK_NOT_ENDED" in answer.line
    assert "cancel it" in answer.line


def test_delete_wants_an_id(taskwire: Taskwire) -> None:
    answer = taskwire("delete")
    assert answer.code == 2
    assert "taskwire delete --help" in answer.line


def test_a_retry_with_another_input_succeeds(taskwire: Taskwire) -> None:
    failed = ended(taskwire)
    arguments = ("--input", '{"dividend": 84, "divisor": 2}', "--wait", "--json")
    answer = taskwire("retry", failed, *arguments)
    assert answer.code == 0
    assert answer.json["retryOf"] == failed
    assert answer.json["result"]["quotient"] == 42


def test_a_retry_of_a_task_that_fails_again_is_exit_code_1(taskwire: Taskwire) -> None:
    answer = taskwire("retry", ended(taskwire), "--wait")
    assert answer.code == 1
    assert "DIVISION_BY_ZERO" in answer.out


def test_a_retry_with_the_same_request_id_is_the_same_task(taskwire: Taskwire) -> None:
    failed = ended(taskwire)
    first, second = (taskwire("retry", failed, "--request-id", f"again-{failed}") for _ in "ab")
    assert first.code == 0
    assert first.out == second.out


def test_a_retry_of_a_live_task_is_refused(taskwire: Taskwire) -> None:
    answer = taskwire("retry", waiting(taskwire))
    assert answer.code == 3
    assert "FAILED_PRECONDITION TASK_NOT_ENDED" in answer.line


def test_a_retry_with_json_that_does_not_fit_is_refused(taskwire: Taskwire) -> None:
    answer = taskwire("retry", ended(taskwire), "--input", '{"nonsense": 1}')
    assert answer.code == 2
    assert f"the JSON is not the input of {DIVIDE}" in answer.line
