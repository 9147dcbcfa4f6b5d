"""`taskwire list`, `count` and `events` against a real server."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.cli.conftest import DIVIDE, Taskwire

NO_EXPORT = "The server has no type Export; see: taskwire types"
NO_MIAL = "The server has no queue mial; see: taskwire queues"


def divided(taskwire: Taskwire, mark: str, divisor: int = 2) -> str:
    """The id of a task that has ended, with the label `mark`."""
    values = json.dumps({"dividend": 84, "divisor": divisor})
    answer = taskwire("submit", DIVIDE, values, "--label", f"mark={mark}", "--wait", "--json")
    task_id: str = answer.json["id"]
    return task_id


def test_a_list_is_a_table_with_the_newest_first(taskwire: Taskwire) -> None:
    mark = str(uuid.uuid4())
    first, second = divided(taskwire, mark), divided(taskwire, mark, divisor=0)
    answer = taskwire("list", f"labels.mark = {mark}")
    assert answer.code == 0
    heading, *rows = answer.out.splitlines()
    assert heading.split() == ["ID", "TYPE", "STATE", "ATTEMPT", "CREATED", "CHANGED", "LABELS"]
    assert [row.split()[0] for row in rows] == [second, first]
    assert rows[0].split()[1:4] == [DIVIDE, "FAILED", "1"]
    assert rows[0].rstrip().endswith(f"mark={mark}")
    oldest = taskwire("list", f"labels.mark = {mark}", "--order-by", "create_time", "--all")
    assert [row.split()[0] for row in oldest.out.splitlines()[1:]] == [first, second]


def test_a_list_says_when_there_are_more(taskwire: Taskwire) -> None:
    mark = str(uuid.uuid4())
    made = [divided(taskwire, mark) for _ in range(3)]
    answer = taskwire("list", f"labels.mark = {mark}", "--limit", "2", "--page-size", "1")
    *_, last = answer.out.splitlines()
    assert len(answer.out.splitlines()) == 4
    assert last == "There are more than these 2: see --limit and --all, or `taskwire count`."
    exactly = taskwire("list", f"labels.mark = {mark}", "--limit", "3")
    assert [row.split()[0] for row in exactly.out.splitlines()[1:]] == made[::-1]


def test_a_list_in_json_has_a_line_for_each_task(taskwire: Taskwire) -> None:
    mark = str(uuid.uuid4())
    made = [divided(taskwire, mark) for _ in range(2)]
    answer = taskwire("list", f"labels.mark = {mark}", "--json", "--page-size", "1", "--all")
    assert [json.loads(line)["id"] for line in answer.out.splitlines()] == made[::-1]


def test_a_list_of_nothing_says_so(taskwire: Taskwire) -> None:
    answer = taskwire("list", "labels.mark = nobody-has-it")
    assert (answer.code, answer.out) == (0, "No task matches.\n")


@pytest.mark.parametrize(
    ("filter", "told"),
    [
        ("type = Export", [NO_EXPORT]),
        ('state = FAILED AND queue="mial"', [NO_MIAL]),
        (f"type = {DIVIDE} AND labels.mark = nobody-has-it", []),
        ("labels.type = Export", []),
        ("labels.my-type = Export", []),
        ('labels.note = "queue = mails"', []),
        ("type != Export AND labels.mark = nobody-has-it", []),
        ("type = Export OR queue = mial", [NO_EXPORT, NO_MIAL]),
    ],
)
def test_a_list_of_nothing_says_which_names_there_are_not(
    taskwire: Taskwire, filter: str, told: list[str]
) -> None:
    answer = taskwire("list", filter)
    assert (answer.code, answer.out.splitlines()) == (0, ["No task matches.", *told])


def test_a_filter_that_is_none_is_one_line_with_its_position(taskwire: Taskwire) -> None:
    answer = taskwire("list", "state = FALED")
    assert answer.code == 3
    assert "not valid at character 9" in answer.line
    assert "Did you mean FAILED?" in answer.line
    assert "(INVALID_ARGUMENT INVALID_FILTER)" in answer.line


def test_tasks_are_counted(taskwire: Taskwire) -> None:
    mark = str(uuid.uuid4())
    for divisor in (1, 1, 0):
        divided(taskwire, mark, divisor)
    of_mark = f"labels.mark = {mark}"
    assert taskwire("count", of_mark).out == "3 tasks\n"
    rows = [
        line.split() for line in taskwire("count", of_mark, "--by", "state,type").out.splitlines()
    ]
    assert rows == [
        ["STATE", "TYPE", "COUNT"],
        ["SUCCEEDED", DIVIDE, "2"],
        ["FAILED", DIVIDE, "1"],
        ["3", "tasks"],
    ]
    as_json = taskwire("count", of_mark, "--by", "state", "--json").json
    assert as_json["totalCount"] == "3"
    assert as_json["groups"][1] == {"values": ["FAILED"], "count": "1"}


def test_the_events_of_a_task_are_a_table(taskwire: Taskwire) -> None:
    task_id = divided(taskwire, "x", divisor=0)
    heading, *rows = taskwire("events", task_id).out.splitlines()
    assert heading.split() == ["VERSION", "TIME", "STATE", "ATTEMPT", "BY", "WHY"]
    assert [row.split()[3] for row in rows] == ["QUEUED", "RUNNING", "FAILED"]
    assert " dev " in rows[0]
    assert rows[-1].rstrip().endswith("The divisor must not be 0.")
    lines = taskwire("events", task_id, "--json").out.splitlines()
    assert [json.loads(line)["version"] for line in lines] == ["1", "2", "3"]


def test_the_events_of_no_task_are_refused(taskwire: Taskwire) -> None:
    answer = taskwire("events", "0199e1c2-7a55-7d0f-8000-0f8d7b1c2a11")
    assert answer.code == 3
    assert "TASK_NOT_FOUND" in answer.line
