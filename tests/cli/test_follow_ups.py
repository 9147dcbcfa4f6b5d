"""`taskwire submit --on-success …` against a real server."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import DIVIDE, FLAKY, SLEEP, Taskwire
from tests.support.eventually import eventually

NAP = f'{SLEEP}={{"duration": "0.1s"}}'


def follow_ups(taskwire: Taskwire, task_id: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = taskwire("get", task_id, "--json").json.get("followUps", [])
    return found


def submitted(taskwire: Taskwire, *arguments: str) -> str:
    answer = taskwire("submit", *arguments, "--wait", "--json")
    assert answer.out, answer.err
    task_id: str = json.loads(answer.out)["id"]
    return task_id


def test_what_follows_is_submitted_and_shown(taskwire: Taskwire) -> None:
    task_id = submitted(
        taskwire,
        DIVIDE,
        '{"dividend": 84, "divisor": 2}',
        *("--on-success", NAP),
        *("--on-failure", f'{DIVIDE}={{"dividend": 1}}'),
        *("--then", FLAKY),
    )

    found = follow_ups(taskwire, task_id)
    assert [(each["type"], "taskId" in each) for each in found] == [
        (SLEEP, True),
        (DIVIDE, False),
        (FLAKY, True),
    ]
    shown = taskwire("get", task_id).out
    assert f"on success: {SLEEP}  {found[0]['taskId']}" in shown
    assert f"on failure: {DIVIDE}  (not begun: the task is SUCCEEDED)" in shown
    assert f"always: {FLAKY}" in shown
    child = taskwire("get", found[0]["taskId"])
    assert f"parent     {task_id}" in child.out
    eventually(lambda: "SUCCEEDED" in taskwire("get", found[0]["taskId"]).out)


def test_a_failure_is_followed(taskwire: Taskwire) -> None:
    task_id = submitted(taskwire, DIVIDE, '{"dividend": 1}', "--on-failure", NAP)

    (found,) = follow_ups(taskwire, task_id)
    assert found["condition"] == "FOLLOW_UP_CONDITION_ON_FAILURE"
    assert found["taskId"]


@pytest.mark.parametrize(
    ("plan", "code", "says"),
    [
        ("", 2, "must be TYPE:FIELD=JSON"),
        (":field", 2, "must be TYPE:FIELD=JSON"),
        ("taskwire.examples.v1.MathTasks/Devide", 2, f"did you mean {DIVIDE}"),
        (f'{DIVIDE}={{"sum": 1}}', 2, f"the JSON is not the input of {DIVIDE}"),
        (f"{DIVIDE}:quotient={{}}", 3, "INVALID_FOLLOW_UP"),
        (f'{SLEEP}={{"duration": "-1s"}}', 3, "follow_ups[0].request.input.duration"),
    ],
)
def test_what_cannot_follow_is_refused_before_anything_is_submitted(
    taskwire: Taskwire, plan: str, code: int, says: str
) -> None:
    answer = taskwire("submit", DIVIDE, '{"dividend": 1, "divisor": 1}', "--then", plan)

    assert answer.code == code
    assert says in answer.err
