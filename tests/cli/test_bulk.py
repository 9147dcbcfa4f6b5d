"""`--filter` of cancel, retry and delete, `queue purge` and `operations`, on a real server."""

from __future__ import annotations

import uuid

import pytest

from tests.cli.conftest import DIVIDE, SLEEP, Taskwire


@pytest.fixture
def label() -> str:
    """A label's value that no other test uses."""
    return f"x{uuid.uuid4().hex}"


def waiting(taskwire: Taskwire, label: str, *arguments: str) -> str:
    """The id of a new task that waits for an hour."""
    given = ("--delay", "1h", "--label", f"run={label}", *arguments)
    return taskwire("submit", SLEEP, '{"duration": "0.1s"}', *given).out.split()[0]


def failed(taskwire: Taskwire, label: str) -> str:
    """The id of a task that has failed."""
    task = taskwire("submit", DIVIDE, "{}", "--wait", "--json", "--label", f"run={label}").json
    return str(task["id"])


def test_without_force_the_tasks_are_only_counted_and_shown(taskwire: Taskwire, label: str) -> None:
    ids = [waiting(taskwire, label) for _ in range(2)]
    answer = taskwire("cancel", "--filter", f"labels.run = {label}")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "2 tasks would be cancelled:",
        *(f"  {task_id}" for task_id in ids),
        "Add --force to do it.",
    ]
    assert "SCHEDULED" in taskwire("get", ids[0]).out
    shown = taskwire("cancel", "--filter", f"labels.run = {label}", "--json").json
    assert shown == {"taskCount": "2", "sample": ids}


def test_a_filter_that_matches_nothing_says_so(taskwire: Taskwire, label: str) -> None:
    answer = taskwire("retry", "--filter", f"labels.run = {label}")
    assert (answer.code, answer.out) == (0, "No task matches.\n")


def test_a_bulk_cancel_is_followed_to_its_end(taskwire: Taskwire, label: str) -> None:
    ids = [waiting(taskwire, label) for _ in range(3)]
    by_label = ("--filter", f"labels.run = {label}")
    answer = taskwire("cancel", *by_label, "--force", "--wait", "--reason", "they left")
    assert (answer.code, answer.out) == (0, "3 cancelled, 0 skipped, 0 failed\n")
    assert "they left" in taskwire("get", ids[2]).out


def test_a_bulk_retry_and_a_bulk_delete_are_operations(taskwire: Taskwire, label: str) -> None:
    old = failed(taskwire, label)
    begun = taskwire("retry", "--filter", f"labels.run = {label}", "--force")
    assert begun.code == 0
    first, second = begun.out.splitlines()
    assert first.endswith(": 1 tasks have their turn now.")
    name = second.removeprefix("Follow it with: taskwire operations wait ")
    assert taskwire("operations", "wait", name).out == "1 retried, 0 skipped, 0 failed\n"
    shown = taskwire("operations", "get", name)
    assert "1 of 1" in shown.out
    assert f"labels.run = {label}" in shown.out
    assert name in taskwire("operations", "list").out
    as_json = taskwire("operations", "get", name, "--json").json
    assert as_json["metadata"]["doneCount"] == "1"
    assert as_json["response"]["doneCount"] == "1"
    everything = taskwire("operations", "list", "--json").json
    assert f"operations/{name}" in {each["name"] for each in everything}
    both = ("--filter", f"labels.run = {label} AND state = FAILED", "--force", "--wait", "--json")
    deleted = taskwire("delete", *both).json
    assert int(deleted["response"]["doneCount"]) >= 1
    assert taskwire("get", old).code == 3


def test_an_operation_that_has_ended_is_not_cancelled_any_more(
    taskwire: Taskwire, label: str
) -> None:
    waiting(taskwire, label)
    by_label = ("--filter", f"labels.run = {label}")
    done = taskwire("cancel", *by_label, "--force", "--wait", "--json").json
    name = done["name"].partition("/")[2]
    assert taskwire("operations", "cancel", name).out == "1 cancelled, 0 skipped, 0 failed\n"


def test_an_operation_that_is_not_there_is_exit_code_3(taskwire: Taskwire) -> None:
    for command in ("get", "wait", "cancel"):
        answer = taskwire("operations", command, "17")
        assert answer.code == 3
        assert answer.line.startswith("taskwire: There is no operation operations/17 of yours;")
        assert answer.line.endswith("(NOT_FOUND OPERATION_NOT_FOUND)")


def test_a_filter_with_a_mistake_is_exit_code_3_with_its_place(taskwire: Taskwire) -> None:
    answer = taskwire("delete", "--filter", "state = FAILD")
    assert answer.code == 3
    assert "at character 9" in answer.line
    assert "Did you mean FAILED?" in answer.line
    assert answer.line.endswith("(INVALID_ARGUMENT INVALID_FILTER)")


def test_a_purge_must_be_meant(taskwire: Taskwire, label: str) -> None:
    waiting(taskwire, label, "--queue", label)
    answer = taskwire("queue", "purge", label)
    assert answer.code == 3
    assert answer.line == (
        f"taskwire: A purge of {label} would cancel 1 waiting tasks of yours; set force to mean it."
        " (FAILED_PRECONDITION FORCE_REQUIRED)"
    )
    purged = taskwire("queue", "purge", label, "--force", "--wait")
    assert (purged.code, purged.out) == (0, "1 cancelled, 0 skipped, 0 failed\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["cancel"], "name a task by its ID, or several by --filter"),
        (["retry"], "name a task by its ID, or several by --filter"),
        (["delete"], "name a task by its ID, or several by --filter"),
        (["cancel", "x", "--filter", "state = FAILED"], "name a task by its ID, or several"),
        (["cancel", "x", "--force"], "--force and --wait go with --filter"),
        (["delete", "x", "--wait"], "--force and --wait go with --filter"),
        (["retry", "--filter", "state = FAILED", "--input", "{}"], "--input is for a single task"),
        (["operations", "wait"], "Missing argument 'ID'"),
    ],
)
def test_wrong_usage_is_one_line(bare: Taskwire, arguments: list[str], problem: str) -> None:
    answer = bare(*arguments)
    assert answer.code == 2
    assert problem in answer.line
