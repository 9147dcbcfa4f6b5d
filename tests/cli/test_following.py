"""`taskwire watch`, `get`, `cancel` and `types` against a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import DIVIDE, FLAKY, SLEEP, THUMBNAIL, Taskwire
from tests.support.eventually import eventually

NOBODY = "0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11"


def submitted(taskwire: Taskwire, *arguments: str) -> str:
    return taskwire("submit", *arguments).out.split()[0]


def events(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_watch_shows_progress_and_the_result(taskwire: Taskwire) -> None:
    task_id = submitted(taskwire, SLEEP, '{"duration": "1.2s"}', "--delay", "2s")
    answer = taskwire("watch", task_id)
    assert answer.code == 0
    assert "RUNNING" in answer.out
    assert " %" in answer.out
    assert "SUCCEEDED    {" in answer.out.splitlines()[-1]


def test_a_watch_in_json_is_one_message_a_line_and_ends_with_closed(taskwire: Taskwire) -> None:
    task_id = submitted(taskwire, FLAKY, '{"failures": 1}')
    answer = taskwire("watch", task_id, "--json")
    seen = events(answer.out)
    versions = [int(each["task"]["version"]) for each in seen if "task" in each]
    assert versions == sorted(set(versions))
    assert seen[-2]["task"]["state"] == "TASK_STATE_SUCCEEDED"
    assert seen[-1] == {"closed": {"reason": "REASON_TERMINAL"}}


def test_a_watch_of_a_failing_task_is_exit_code_1(taskwire: Taskwire) -> None:
    answer = taskwire("watch", submitted(taskwire, DIVIDE, "{}"))
    assert answer.code == 1
    assert "DIVISION_BY_ZERO" in answer.out


def test_a_watch_after_the_last_version_still_knows_how_it_ended(taskwire: Taskwire) -> None:
    task = taskwire("submit", DIVIDE, "{}", "--wait", "--json").json
    answer = taskwire("watch", task["id"], "--after-version", task["version"], "--json")
    assert answer.code == 1
    assert [key for each in events(answer.out) for key in each if key == "task"] == []


def test_a_watch_after_a_version_of_the_future_is_refused(taskwire: Taskwire) -> None:
    task = taskwire("submit", DIVIDE, "{}", "--wait", "--json").json
    answer = taskwire("watch", task["id"], "--after-version", "1000")
    assert answer.code == 3
    assert "OUT_OF_RANGE VERSION_AHEAD" in answer.line


@pytest.mark.parametrize("command", ["watch", "get", "cancel"])
def test_an_unknown_id_is_exit_code_3(taskwire: Taskwire, command: str) -> None:
    answer = taskwire(command, NOBODY)
    assert answer.code == 3
    assert "NOT_FOUND TASK_NOT_FOUND" in answer.line


@pytest.mark.parametrize("command", ["watch", "get", "cancel"])
def test_an_id_that_is_none_is_exit_code_3(taskwire: Taskwire, command: str) -> None:
    answer = taskwire(command, "seven")
    assert answer.code == 3
    assert "INVALID_ARGUMENT FIELD_VIOLATION" in answer.line


def test_get_shows_input_and_result(taskwire: Taskwire) -> None:
    task_id = taskwire("submit", DIVIDE, '{"divisor": 4}', "--wait", "--json").json["id"]
    answer = taskwire("get", task_id)
    assert answer.code == 0
    assert '{"divisor": 4.0}' in answer.out
    assert "SUCCEEDED" in answer.out


def test_get_of_a_waiting_task_says_why_it_waits(taskwire: Taskwire) -> None:
    task_id = submitted(taskwire, SLEEP, '{"duration": "1s"}', "--delay", "1h")
    assert "SCHEDULED  (waits for its time)" in taskwire("get", task_id).out


def test_get_in_the_basic_view_has_no_payloads(taskwire: Taskwire) -> None:
    task_id = taskwire("submit", DIVIDE, '{"divisor": 4}', "--wait", "--json").json["id"]
    task = taskwire("get", task_id, "--view", "basic", "--json").json
    assert task["state"] == "TASK_STATE_SUCCEEDED"
    assert "input" not in task
    assert "result" not in task


def test_a_waiting_task_is_cancelled_at_once(taskwire: Taskwire) -> None:
    task_id = submitted(taskwire, SLEEP, '{"duration": "1s"}', "--delay", "1h")
    answer = taskwire("cancel", task_id, "--reason", "wrong picture")
    assert answer.code == 0
    assert answer.out == "CANCELLED: it will never start.\n"
    assert "wrong picture" in taskwire("get", task_id).out


def test_a_running_task_is_told_to_stop(taskwire: Taskwire) -> None:
    task_id = submitted(taskwire, SLEEP, '{"duration": "60s"}')
    _until_running(taskwire, task_id)
    answer = taskwire("cancel", task_id, "--json")
    assert answer.json["effective"] is True
    watched = taskwire("watch", task_id)
    assert watched.code == 1
    assert "CANCELLED" in watched.out.splitlines()[-1]


def test_cancelling_an_ended_task_changes_nothing(taskwire: Taskwire) -> None:
    task_id = taskwire("submit", DIVIDE, '{"divisor": 4}', "--wait", "--json").json["id"]
    answer = taskwire("cancel", task_id)
    assert answer.code == 0
    assert answer.out == "SUCCEEDED: it had ended already, so nothing was changed.\n"


def test_types_are_listed_with_whole_names(taskwire: Taskwire) -> None:
    answer = taskwire("types")
    for name in (DIVIDE, FLAKY, SLEEP, THUMBNAIL):
        assert name in answer.out
    assert "Divides one number by another" in answer.out


def test_types_in_json_have_their_options(taskwire: Taskwire) -> None:
    types = {each["name"]: each for each in taskwire("types", "--json").json}
    assert types[DIVIDE]["inputType"] == "taskwire.examples.v1.DivideRequest"
    assert types[DIVIDE]["options"]["retry"]["maxAttempts"] == 3
    assert types[THUMBNAIL]["liveWorkers"] == 1


def _until_running(taskwire: Taskwire, task_id: str) -> None:
    eventually(
        lambda: taskwire("get", task_id, "--json").json["state"] == "TASK_STATE_RUNNING",
        what="the task runs",
    )
